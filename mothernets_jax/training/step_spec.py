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
from mothernets_jax.training.optim import Optimizer

# A group's step: (states, data, StepInputs) -> (states, Metrics), all of them with a
# leading [members] axis but for the data; see `member_step`.
GroupStep = Callable[[Any, Any, Any], tuple[Any, Any]]


class Augmentation(NamedTuple):
    """How training images are varied.

    Attributes:
        crop_padding: pixels around the images; 0 for no crops.
        flip: `none`, `random` or `alternating`; see `augment.draw_batch`.
    """

    crop_padding: int
    flip: str


class Targets(NamedTuple):
    """What a batch's logits are compared with; traced.

    Attributes:
        labels: int [batch].
        label_smoothing: scalar, the share of a label spread over all classes.
        class_weights: float32 [classes], factors on the loss of an example by its
            label; None for none.
        reference_logits: [batch, classes], those of the network that the loss refers
            to; None where it refers to none.
    """

    labels: jax.Array
    label_smoothing: jax.typing.ArrayLike
    class_weights: jax.Array | None = None
    reference_logits: jax.Array | None = None


class Loss(Protocol):
    """What a member minimises: frozen, hashable.

    Attributes:
        reference: a trained network whose logits of the same images the loss needs;
            None for a loss of labels alone.
    """

    @property
    def reference(self) -> Architecture | None:
        """The network that the loss refers to, if any."""
        ...

    def __call__(self, logits: jax.Array, targets: Targets) -> jax.Array:
        """Losses [batch] of logits [batch, classes]."""
        ...


class Coupling(Protocol):
    """How the members of a group hang together in a step: frozen, hashable.

    Attributes:
        shared_operations: how many of the first operations all members have in common.
        tied: whether members are always stepped together, stop together, and go back
            together where one diverges.
    """

    @property
    def shared_operations(self) -> int:
        """Operations at the beginning of the network that are done once for all."""
        ...

    @property
    def tied(self) -> bool:
        """Whether no member can be trained without the others."""
        ...

    def group_step(
        self, spec: "StepSpec", *, vmapped: bool, batch_axis: str | None
    ) -> GroupStep:
        """The step of a group.

        Args:
            spec: the step.
            vmapped: whether members are one operation each, or done in turn.
            batch_axis: the mapped axis over which each batch is divided, if it is.
        """
        ...


@dataclasses.dataclass(frozen=True)
class StepSpec:
    """One training step of a group of members.

    Attributes:
        architecture: of every member.
        augmentation: how training images are varied.
        optimizer: a description of the optimiser.
        loss: what each member minimises.
        coupling: how the members hang together.
        dtype: in which hidden layers compute; None for that of the variables.
        flops_per_image: training FLOPs that a member spends on an image, with its part
            of what is shared and with the predictions that its loss refers to.
    """

    architecture: Architecture
    augmentation: Augmentation
    optimizer: Optimizer
    loss: Loss
    coupling: Coupling
    dtype: Any = None
    flops_per_image: float = 0.0
