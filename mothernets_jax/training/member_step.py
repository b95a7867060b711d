"""One member's training step.

Axes: [batch, height, width, channels] for images; a data set has `examples`, an epoch
`steps`. Everything here is pure; a member knows nothing of the others.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mothernets_jax.models.apply import apply, apply_and_update
from mothernets_jax.models.variables import Variables
from mothernets_jax.training import augment, optim
from mothernets_jax.training.augmentations.batch import Batch, own_part
from mothernets_jax.training.losses import accuracy, over_labels
from mothernets_jax.training.optim import Optimizer, OptState
from mothernets_jax.training.step_spec import Augmentation, StepSpec, Targets
from mothernets_jax.utils.pytrees import named_key


class MemberState(NamedTuple):
    """The state of a member: arrays only, so that members can be stacked.

    Attributes:
        params: the parameters that are trained.
        batch_stats: their running batch statistics.
        opt_state: the optimiser's state.
        average: variables with the running average of `params`; None where none is
            kept. Their batch statistics are those of `params` until the training ends,
            and are then estimated for the average.
        mask: bool tree like `params`, false where a parameter is kept at 0; None for
            none.
    """

    params: dict
    batch_stats: dict
    opt_state: OptState
    average: Variables | None = None
    mask: dict | None = None

    @property
    def variables(self) -> Variables:
        """Parameters and batch statistics that are trained, for `models.apply`."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    @property
    def predictor(self) -> Variables:
        """Variables to predict with: the averages where they are kept."""
        return self.variables if self.average is None else self.average


class TrainingData(NamedTuple):
    """The training split on a device.

    Attributes:
        images: raw pixels [examples, height, width, channels], padded for crops.
        labels: int32 [examples].
        mean: means of the channels, [channels], in pixel units; the dtype is that of
            the computation.
        std: deviations of the channels, [channels], in pixel units.
        references: variables of the trained networks that the loss refers to.
        class_weights: float32 [classes], factors on the loss of an example by its
            label; None for none.
    """

    images: jax.Array
    labels: jax.Array
    mean: jax.Array
    std: jax.Array
    references: tuple[Variables, ...] = ()
    class_weights: jax.Array | None = None


class StepInputs(NamedTuple):
    """Inputs of a member's step, which differ by step and member; traced.

    Attributes:
        indices: int32 [batch], places of the examples among the training images.
        key: typed key of the augmentation.
        learning_rate: scalar.
        weight_decay: scalar.
        label_smoothing: scalar, the share of a label spread over all classes.
        sides: state of alternating flips.
        active: bool scalar; where False, the member is left as it was.
        average_weight: scalar, weight of the parameters after the step in their running
            average; None where none is kept.
    """

    indices: jax.Array
    key: jax.Array
    learning_rate: jax.Array
    weight_decay: jax.Array
    label_smoothing: jax.Array
    sides: augment.FlipState
    active: jax.Array
    average_weight: jax.Array | None = None


class Metrics(NamedTuple):
    """Means over the images of a step, or their sums over steps.

    Attributes:
        loss: the loss that is minimised, with class weights where there are any.
        accuracy: share of the images that are classified correctly, each counted once;
            see `losses.accuracy`.
    """

    loss: jax.Array
    accuracy: jax.Array


class Forward(NamedTuple):
    """Results of the forward pass besides the loss."""

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
        """Takes one step; the metrics are those before it."""
        gradient = jax.grad(self.loss, has_aux=True)
        grads, forward = gradient(state.params, state.batch_stats, data, inputs)
        return self.update(state, grads, forward, inputs), forward.metrics


def new_state(
    variables: Variables, optimizer: Optimizer, opt_state: OptState | None = None
) -> MemberState:
    """A state that starts from these variables.

    Args:
        variables: `{"params": ..., "batch_stats": ...}`.
        optimizer: description of the optimiser that will train them.
        opt_state: the optimiser's state to go on from; None for its state before the
            first step.
    """
    params = variables["params"]
    opt_state = optim.init(optimizer, params) if opt_state is None else opt_state
    return MemberState(params, variables["batch_stats"], opt_state)


def begin_average(state: MemberState, spec: StepSpec) -> MemberState:
    """The state with a new average, begun at its parameters, if the spec keeps one."""
    return state._replace(average=state.variables if spec.averaged else None)


def blank_state(variables: Variables, spec: StepSpec) -> MemberState:
    """A state with every array that a member trained by a spec has, for its shapes."""
    state = begin_average(new_state(variables, spec.optimizer), spec)
    if not spec.masked:
        return state
    return state._replace(mask=jax.tree.map(lambda p: p != 0, state.params))


def make_member_step(spec: StepSpec, *, batch_axis: str | None = None) -> MemberStep:
    """Makes the step that trains one member on one batch.

    State, statistics and loss keep to the dtype of the variables.

    Args:
        spec: description of the step, of which the coupling is not read.
        batch_axis: name of the mapped axis over which each batch is divided, None where
            it is not; divided or not, the step is that on the whole batch.
    """

    def loss(params, batch_stats, data, inputs):
        batch = draw(data, inputs, spec.augmentation, batch_axis)
        if batch_axis is not None:
            # Of the whole batch, but computed from a part: the gradient's parts are
            # then summed once, where they come back to the parameters.
            params = jax.lax.pcast(params, batch_axis, to="varying")
        logits, stats = apply_and_update(
            spec.architecture,
            {"params": params, "batch_stats": batch_stats},
            batch.images,
            dtype=spec.dtype,
            batch_axis=batch_axis,
        )
        targets = make_targets(spec, data, batch, inputs)
        losses = over_labels(functools.partial(spec.loss, logits), targets)
        metrics = Metrics(losses.mean(), accuracy(logits, targets))
        if batch_axis is not None:
            metrics = jax.lax.pmean(metrics, batch_axis)
        return metrics.loss, Forward(metrics, stats)

    return MemberStep(loss, make_update(spec))


def make_targets(
    spec: StepSpec, data: TrainingData, batch: Batch, inputs: StepInputs
) -> Targets:
    """Targets that a batch's logits are compared with.

    Args:
        spec: description of the step.
        data: the training split.
        batch: the batch, whose images are normalised; the networks that the loss refers
            to see them as well, in evaluation mode.
        inputs: inputs of the step.
    """
    logits = None
    if spec.loss.references:
        networks = zip(spec.loss.references, data.references, strict=True)
        logits = jnp.stack(
            [apply(*network, batch.images, dtype=spec.dtype) for network in networks]
        )
    return Targets(
        batch.labels, inputs.label_smoothing, data.class_weights, logits, batch.partners
    )


def draw(
    data: TrainingData,
    inputs: StepInputs,
    augmentation: Augmentation,
    batch_axis: str | None,
) -> Batch:
    """A step's batch, its images varied and then normalised.

    Where it is divided over the mapped axis `batch_axis`, it is the part of this place
    on it.
    """
    images = augment.draw_batch(
        inputs.key,
        data.images,
        inputs.indices,
        inputs.sides,
        crop_padding=augmentation.crop_padding,
        flip=augmentation.flip,
        batch_axis=batch_axis,
    )
    batch = Batch(images, data.labels[own_part(inputs.indices, batch_axis)])
    for number, transform in enumerate(augmentation.transforms):
        key = named_key(inputs.key, "transform", str(number))
        batch = transform(key, batch, batch_axis)
    normalised = augment.normalise(batch.images, data.mean, data.std)
    return batch._replace(images=normalised)


def make_update(spec: StepSpec) -> Callable[..., MemberState]:
    """Makes the optimiser's step of one member, which leaves inactive ones alone.

    Args:
        spec: description of the step, of which the optimiser, the average and the mask
            are read.

    Returns:
        A function: (state, gradient, Forward, StepInputs) -> state.
    """

    def update(
        state: MemberState, grads: dict, forward: Forward, inputs: StepInputs
    ) -> MemberState:
        updates, opt_state = optim.update(
            spec.optimizer,
            grads,
            state.opt_state,
            state.params,
            learning_rate=inputs.learning_rate,
            weight_decay=inputs.weight_decay,
        )
        params: Any = optax.apply_updates(state.params, updates)
        if spec.masked:
            params = jax.tree.map(lambda p, kept: p * kept, params, state.mask)
        new = MemberState(
            params, forward.batch_stats, opt_state, state.average, state.mask
        )
        if spec.averaged:
            new = new._replace(average=_averaged(new, inputs.average_weight))
        return jax.tree.map(
            lambda after, before: jnp.where(inputs.active, after, before), new, state
        )

    return update


def _averaged(state: MemberState, weight: jax.Array | None) -> Variables:
    """The running average with the present parameters at their weight."""
    assert state.average is not None and weight is not None
    params = jax.tree.map(
        lambda mean, new: ((1 - weight) * mean + weight * new).astype(mean.dtype),
        state.average["params"],
        state.params,
    )
    return {"params": params, "batch_stats": state.batch_stats}
