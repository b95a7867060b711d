"""Inputs of an epoch's steps, drawn from the members' keys.

Axes: everything here has a leading [members] axis.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mothernets_jax.training.augment import FlipState
from mothernets_jax.training.member_step import StepInputs


class MemberKeys(NamedTuple):
    """Typed keys [members], the same in all epochs.

    Attributes:
        order: keys of the examples' order and of their augmentation.
        sides: keys of alternating flips.
        bag: keys of examples that are drawn with replacement.
    """

    order: jax.Array
    sides: jax.Array
    bag: jax.Array


class MemberRates(NamedTuple):
    """Hyper-parameters of an epoch, traced.

    Attributes:
        learning_rate: float32 [members, steps].
        weight_decay: float32 [members].
        label_smoothing: float32 [members].
        active: bool [members]; others are left as they were, bit for bit.
        average_weight: float32 [members, steps], weights of the parameters after each
            step in their running average; None where none is kept.
    """

    learning_rate: jax.Array
    weight_decay: jax.Array
    label_smoothing: jax.Array
    active: jax.Array
    average_weight: jax.Array | None = None


class EpochInputs(NamedTuple):
    """Inputs of every step of an epoch.

    Attributes:
        indices: int32 [members, steps, batch], places of the examples among the
            training images.
        keys: typed keys [members, steps] of the augmentation.
        rates: hyper-parameters of the epoch.
        sides: state of alternating flips, leaves [members].
    """

    indices: jax.Array
    keys: jax.Array
    rates: MemberRates
    sides: FlipState

    def at(self, step: jax.Array) -> StepInputs:
        """One step's inputs, leaves [members, ...]."""
        rates, average = self.rates, self.rates.average_weight
        return StepInputs(
            self.indices[:, step],
            self.keys[:, step],
            rates.learning_rate[:, step],
            rates.weight_decay,
            rates.label_smoothing,
            self.sides,
            rates.active,
            None if average is None else average[:, step],
        )


@functools.cache
def make_epoch_inputs(
    examples: int, batch_size: int, *, with_replacement: bool = False
) -> Callable[[MemberKeys, jax.Array, MemberRates], EpochInputs]:
    """Makes a jitted function: (`MemberKeys`, epoch, `MemberRates`) -> `EpochInputs`.

    Args:
        examples: number of examples in the training split.
        batch_size: images of one member's step.
        with_replacement: whether each member draws its own bag of as many examples,
            with replacement, once for all epochs.

    References: Breiman 1996, "Bagging predictors".
    """

    def draw(keys: MemberKeys, epoch: jax.Array) -> tuple[jax.Array, jax.Array]:
        key = jax.random.fold_in(keys.order, epoch)
        indices, step_keys = epoch_order(key, examples, batch_size)
        if with_replacement:
            bag = jax.random.randint(keys.bag, (examples,), 0, examples)
            indices = bag[indices]
        return indices, step_keys

    def epoch_inputs(keys, epoch, rates):
        indices, step_keys = jax.vmap(draw, in_axes=(0, None))(keys, epoch)
        epochs = jnp.full(len(keys.sides), epoch, jnp.int32)
        return EpochInputs(indices, step_keys, rates, FlipState(keys.sides, epochs))

    return jax.jit(epoch_inputs)


def epoch_order(
    key: jax.Array, examples: int, batch_size: int
) -> tuple[jax.Array, jax.Array]:
    """A fresh order of the examples and a key for every step.

    The examples that do not fill a last batch sit this epoch out.

    Args:
        key: a typed key.
        examples: number of examples.
        batch_size: number of examples of a step.

    Returns:
        The examples' places, int32 [steps, batch], and typed keys [steps].
    """
    order_key, step_key = jax.random.split(key)
    steps = examples // batch_size
    order = jax.random.permutation(order_key, jnp.arange(examples, dtype=jnp.int32))
    order = order[: steps * batch_size]
    return order.reshape(steps, batch_size), jax.random.split(step_key, steps)
