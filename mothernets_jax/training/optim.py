"""Optimisers as values, from which optax's transformations are built inside a trace.

Two optax transformations that do the same neither compare nor hash alike, as they hold
functions. A description does: equal descriptions make one compiled program. Learning
rates and weight decay are no part of it; they are traced, so that they may differ by
member and step.

A new optimiser is a frozen dataclass with `slots` and `transformation`, and an entry in
`OPTIMIZERS`.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
import optax

from mothernets_jax.growth.opt_state import COUNTER, FIRST_MOMENT, SECOND_MOMENT

# The optimiser's state by slot, each as optax holds it: a tree like the parameters, or
# a scalar.
OptState = dict


class Optimizer(Protocol):
    """A description of an optimiser: frozen, hashable.

    Attributes:
        slots: names of the fields of optax's state that hold arrays, with the kind of
            each, which says how it is hatched.
    """

    slots: ClassVar[Mapping[str, str]]

    def transformation(
        self, learning_rate: jax.typing.ArrayLike, weight_decay: jax.typing.ArrayLike
    ) -> optax.GradientTransformation:
        """The optax transformation; both arguments are scalars and may be traced."""
        ...


@dataclasses.dataclass(frozen=True)
class SGD:
    """SGD with momentum; weight decay is added to the gradient of kernels (L2).

    Attributes:
        momentum: share of the trace that each step keeps.
        nesterov: whether a step looks ahead along the trace.
    """

    momentum: float = 0.9
    nesterov: bool = True
    slots: ClassVar[Mapping[str, str]] = {"trace": FIRST_MOMENT}

    def transformation(
        self, learning_rate: jax.typing.ArrayLike, weight_decay: jax.typing.ArrayLike
    ) -> optax.GradientTransformation:
        """Builds SGD from optax's parts; see `Optimizer.transformation`."""
        return optax.chain(
            _decay_of_kernels(weight_decay),
            optax.trace(decay=self.momentum, nesterov=self.nesterov),
            optax.scale(-jnp.asarray(learning_rate)),
        )


@dataclasses.dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay of kernels, at optax's defaults.

    References: Loshchilov and Hutter, Decoupled weight decay regularization. ICLR 2019.
    """

    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    slots: ClassVar[Mapping[str, str]] = {
        "count": COUNTER,
        "mu": FIRST_MOMENT,
        "nu": SECOND_MOMENT,
    }

    def transformation(
        self, learning_rate: jax.typing.ArrayLike, weight_decay: jax.typing.ArrayLike
    ) -> optax.GradientTransformation:
        """Builds AdamW from optax's parts; see `Optimizer.transformation`."""
        return optax.chain(
            optax.scale_by_adam(self.b1, self.b2, self.eps),
            _decay_of_kernels(weight_decay),
            optax.scale(-jnp.asarray(learning_rate)),
        )


@dataclasses.dataclass(frozen=True)
class Lion:
    """Lion: the sign of a momentum, with decoupled weight decay of kernels.

    References: Chen et al., Symbolic discovery of optimization algorithms. NeurIPS
    2023.
    """

    b1: float = 0.9
    b2: float = 0.99
    slots: ClassVar[Mapping[str, str]] = {"count": COUNTER, "mu": FIRST_MOMENT}

    def transformation(
        self, learning_rate: jax.typing.ArrayLike, weight_decay: jax.typing.ArrayLike
    ) -> optax.GradientTransformation:
        """Builds Lion from optax's parts; see `Optimizer.transformation`."""
        return optax.chain(
            optax.scale_by_lion(self.b1, self.b2),
            _decay_of_kernels(weight_decay),
            optax.scale(-jnp.asarray(learning_rate)),
        )


# By the names that settings know.
OPTIMIZERS: dict[str, Optimizer] = {"sgd": SGD(), "adamw": AdamW(), "lion": Lion()}


@functools.partial(jax.jit, static_argnums=0)
def init(optimizer: Optimizer, params: dict) -> OptState:
    """The optimiser's state before the first step.

    Args:
        optimizer: description of the optimiser.
        params: tree of the parameters.
    """
    state = optimizer.transformation(0.0, 0.0).init(params)
    return _slots_of(optimizer, state)


def update(
    optimizer: Optimizer,
    gradients: dict,
    opt_state: OptState,
    params: dict,
    *,
    learning_rate: jax.typing.ArrayLike,
    weight_decay: jax.typing.ArrayLike,
) -> tuple[dict, OptState]:
    """Takes one step of an optimiser.

    Args:
        optimizer: description of the optimiser.
        gradients: a tree like the parameters.
        opt_state: the optimiser's state from `init` or the step before.
        params: tree of the parameters.
        learning_rate: scalar, may be traced.
        weight_decay: scalar, may be traced; applies to kernels only.

    Returns:
        A tree to add to the parameters, and the optimiser's new state.
    """
    transformation = optimizer.transformation(learning_rate, weight_decay)
    state = optax.tree_utils.tree_set(transformation.init(params), **opt_state)
    updates, state = transformation.update(gradients, state, params)
    return updates, _slots_of(optimizer, state)  # type: ignore[return-value]


def _slots_of(optimizer: Optimizer, state: optax.OptState) -> OptState:
    return {name: optax.tree_utils.tree_get(state, name) for name in optimizer.slots}


def _decay_of_kernels(
    weight_decay: jax.typing.ArrayLike,
) -> optax.GradientTransformation:
    """Weight decay that spares biases and normalisation."""

    def kernels(tree):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: path[-1].key == "kernel", tree
        )

    return optax.add_decayed_weights(weight_decay, mask=kernels)  # type: ignore[arg-type]
