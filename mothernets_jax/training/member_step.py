"""One member's training step.

Axes: [batch, height, width, channels] for images; a data set has `examples`, an epoch
`steps`. Everything here is pure; a member knows nothing of the others.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mothernets_jax.architectures import Architecture
from mothernets_jax.models.models import Variables, apply, apply_and_update
from mothernets_jax.training import augment
from mothernets_jax.training.losses import (
    Distillation,
    accuracy,
    distilled,
    smoothed_cross_entropy,
)
from mothernets_jax.training.optim import sgd


class MemberState(NamedTuple):
    """All that training changes; arrays only, so that members can be stacked."""

    params: dict
    batch_stats: dict
    momentum: dict

    @property
    def variables(self) -> Variables:
        """What `models.apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


class TrainingData(NamedTuple):
    """The training split on a device.

    Attributes:
        images: uint8 [examples, height, width, channels], padded for crops.
        labels: int32 [examples].
        mean: [channels], pixel units; its dtype is that of the computation.
        std: [channels], pixel units.
        teacher: variables of the network that is distilled; None without one.
        class_weights: float32 [classes], factors on the loss of an example by its
            label; None for none.
    """

    images: jax.Array
    labels: jax.Array
    mean: jax.Array
    std: jax.Array
    teacher: Variables | None = None
    class_weights: jax.Array | None = None


class Augmentation(NamedTuple):
    """How images are varied; static."""

    crop_padding: int
    flip: str


class StepInputs(NamedTuple):
    """What differs from step to step and between members; traced.

    Attributes:
        indices: int32 [batch], which examples.
        key: for the augmentation.
        learning_rate: scalar.
        weight_decay: scalar.
        label_smoothing: scalar, the share of a label spread over all classes.
        sides: what alternating flips show.
        active: bool; where False, the member is left as it was.
    """

    indices: jax.Array
    key: jax.Array
    learning_rate: jax.Array
    weight_decay: jax.Array
    label_smoothing: jax.Array
    sides: augment.Sides
    active: jax.Array


class Metrics(NamedTuple):
    """Means over the images of a step, or their sums over steps.

    Attributes:
        loss: that is minimised, with class weights where there are any.
        accuracy: share of the images that are classified rightly, each counted once.
    """

    loss: jax.Array
    accuracy: jax.Array


class Forward(NamedTuple):
    """What the forward pass yields besides the loss."""

    metrics: Metrics
    batch_stats: dict


@dataclasses.dataclass(frozen=True, eq=False)
class MemberStep:
    """A member's step in two halves, between which the gradient is taken.

    Attributes:
        loss: (params, batch_stats, data, inputs) -> (scalar loss, Forward).
        update: (state, gradient of the loss by params, Forward, inputs) -> state.
    """

    loss: Callable[..., tuple[jax.Array, Forward]]
    update: Callable[..., MemberState]

    def __call__(
        self, state: MemberState, data: TrainingData, inputs: StepInputs
    ) -> tuple[MemberState, Metrics]:
        """One member's step; the metrics are those before it."""
        gradient = jax.grad(self.loss, has_aux=True)
        grads, forward = gradient(state.params, state.batch_stats, data, inputs)
        return self.update(state, grads, forward, inputs), forward.metrics


def new_state(variables: Variables, momentum: dict | None = None) -> MemberState:
    """A state that starts from these variables.

    Args:
        variables: `{"params": ..., "batch_stats": ...}`.
        momentum: a tree like the parameters; None for none yet.
    """
    params = variables["params"]
    none_yet = jax.tree.map(jnp.zeros_like, params)
    return MemberState(params, variables["batch_stats"], momentum or none_yet)


def make_member_step(
    architecture: Architecture,
    augmentation: Augmentation,
    *,
    dtype: jax.typing.DTypeLike | None = None,
    batch_axis: str | None = None,
    distillation: Distillation | None = None,
) -> MemberStep:
    """What trains one member on one batch.

    Args:
        architecture: the member's.
        augmentation: how images are varied.
        dtype: in which hidden layers compute; None for that of the variables. State,
            statistics and loss keep to that of the variables.
        batch_axis: the mapped axis over which each batch is divided, if it is; the
            step is then that on the whole batch.
        distillation: of a teacher, which sees the same augmented images, in evaluation
            mode; None to learn from labels alone.
    """

    def loss(params, batch_stats, data, inputs):
        images, labels = draw(data, inputs, augmentation, batch_axis)
        if batch_axis is not None:
            # Of the whole batch, but computed from a part: the gradient's parts are
            # then summed once, where they come back to the parameters.
            params = jax.lax.pcast(params, batch_axis, to="varying")
        logits, stats = apply_and_update(
            architecture,
            {"params": params, "batch_stats": batch_stats},
            images,
            dtype=dtype,
            batch_axis=batch_axis,
        )
        losses = smoothed_cross_entropy(
            logits, labels, inputs.label_smoothing, data.class_weights
        )
        if distillation is not None:
            taught = apply(distillation.architecture, data.teacher, images, dtype=dtype)
            losses = distilled(losses, logits, taught, distillation)
        metrics = Metrics(losses.mean(), accuracy(logits, labels))
        if batch_axis is not None:
            metrics = jax.lax.pmean(metrics, batch_axis)
        return metrics.loss, Forward(metrics, stats)

    return MemberStep(loss, update)


def draw(
    data: TrainingData,
    inputs: StepInputs,
    augmentation: Augmentation,
    batch_axis: str | None,
) -> tuple[jax.Array, jax.Array]:
    """A step's normalised images [batch, height, width, channels] and labels [batch].

    Where the batch is divided, this place's part of it.
    """
    images = augment.draw_batch(
        inputs.key,
        data.images,
        inputs.indices,
        inputs.sides,
        **augmentation._asdict(),
        batch_axis=batch_axis,
    )
    labels = data.labels[augment.own_part(inputs.indices, batch_axis)]
    return augment.normalise(images, data.mean, data.std), labels


def update(
    state: MemberState, grads: dict, forward: Forward, inputs: StepInputs
) -> MemberState:
    """The optimiser's step of one member, unless it is not active."""
    updates, momentum = sgd(
        grads,
        state.momentum,
        state.params,
        learning_rate=inputs.learning_rate,
        weight_decay=inputs.weight_decay,
    )
    params: Any = optax.apply_updates(state.params, updates)
    new = MemberState(params, forward.batch_stats, momentum)
    return jax.tree.map(
        lambda after, before: jnp.where(inputs.active, after, before), new, state
    )


def epoch_order(
    key: jax.Array, examples: int, batch_size: int
) -> tuple[jax.Array, jax.Array]:
    """A fresh order of the examples and a key for every step.

    The examples that do not fill a last batch sit this epoch out.

    Returns:
        int32 [steps, batch] and keys [steps].
    """
    order_key, step_key = jax.random.split(key)
    steps = examples // batch_size
    order = jax.random.permutation(order_key, jnp.arange(examples, dtype=jnp.int32))
    order = order[: steps * batch_size]
    return order.reshape(steps, batch_size), jax.random.split(step_key, steps)
