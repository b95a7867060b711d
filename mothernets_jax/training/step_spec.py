"""One training step as a value: all that decides which program runs it.

Everything in a `StepSpec` is frozen and compares by value, so that two specs made apart
share one compiled program. Whatever may differ by member or step (images, keys, rates,
weight decay) is traced instead; see `member_step.StepInputs`.

Methods make specs, stages hold them, `group_step` makes programs of them.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax

from mothernets_jax.architectures import Architecture
from mothernets_jax.training.augmentations.batch import Partners, Transform
from mothernets_jax.training.optim import Optimizer

# A group's step: (states, data, StepInputs) -> (states, Metrics), all of them with a
# leading [members] axis but for the data; see `member_step`.
GroupStep = Callable[[Any, Any, Any], tuple[Any, Any]]


class Augmentation(NamedTuple):
    """The ways in which training images are varied: first crops, then flips.

    Attributes:
        crop_padding: pixels around the images; 0 for no crops.
        flip: `none`, `random` or `alternating`; see `augment.draw_batch`.
        transforms: what is done to them after that, in this order.
    """

    crop_padding: int
    flip: str
    transforms: tuple[Transform, ...] = ()


class Targets(NamedTuple):
    """Targets that a batch's logits are compared with; traced.

    Attributes:
        labels: int [batch].
        label_smoothing: scalar, the share of a label spread over all classes.
        class_weights: float32 [classes], factors on the loss of an example by its
            label; None for none.
        reference_logits: [references, batch, classes], those of the networks that the
            loss refers to; None where it refers to none.
        partners: labels that those are mixed with, and the shares; None where images
            are not mixed. Losses do not read it: see `losses.over_labels`.
    """

    labels: jax.Array
    label_smoothing: jax.typing.ArrayLike
    class_weights: jax.Array | None = None
    reference_logits: jax.Array | None = None
    partners: Partners | None = None


class Loss(Protocol):
    """A loss that members minimise: frozen, hashable.

    Attributes:
        references: trained networks whose logits of the same images the loss needs;
            empty for a loss of labels alone.
    """

    @property
    def references(self) -> tuple[Architecture, ...]:
        """The networks that the loss refers to."""
        ...

    def __call__(self, logits: jax.Array, targets: Targets) -> jax.Array:
        """Losses [batch] of logits [batch, classes]."""
        ...


class Coupling(Protocol):
    """Dependence of a group's members on one another in a step: frozen, hashable.

    Attributes:
        shared_operations: number of the first operations that all members share.
        tied: whether members are always stepped together, stop together, and go back
            together where one diverges.
    """

    @property
    def shared_operations(self) -> int:
        """Number of operations at the network's start that are done once for all."""
        ...

    @property
    def tied(self) -> bool:
        """True where no member can be trained without the others."""
        ...

    def group_step(
        self, spec: "StepSpec", *, vmapped: bool, batch_axis: str | None
    ) -> GroupStep:
        """Makes the step of a group.

        Args:
            spec: description of the step.
            vmapped: whether each operation is done for all members at once, or the
                members are done in turn.
            batch_axis: name of the mapped axis over which each batch is divided; None
                where it is not.
        """
        ...


@dataclasses.dataclass(frozen=True)
class StepSpec:
    """One training step of a group of members.

    Attributes:
        architecture: the architecture of every member.
        augmentation: the ways in which training images are varied.
        optimizer: description of the optimiser.
        loss: the loss that each member minimises.
        coupling: dependence of the members on one another.
        dtype: dtype in which hidden layers compute; None for that of the variables.
        flops_per_image: training FLOPs that a member spends on an image, with its part
            of what is shared and with the predictions that its loss refers to.
        averaged: whether a running average of the parameters is kept.
        masked: whether some parameters are kept at 0 by each member's mask.
    """

    architecture: Architecture
    augmentation: Augmentation
    optimizer: Optimizer
    loss: Loss
    coupling: Coupling
    dtype: Any = None
    flops_per_image: float = 0.0
    averaged: bool = False
    masked: bool = False
