"""The task that every stage of a run works on, and the step of networks on it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import forward_flops, train_flops
from mothernets_jax.config.settings import Recipe
from mothernets_jax.data import Dataset
from mothernets_jax.ensembles.prediction import filled_size
from mothernets_jax.runtime.devices import Device
from mothernets_jax.stages.amounts import (
    average_flops,
    epoch_images,
    statistics_steps,
    steps_per_epoch,
)
from mothernets_jax.training.augment import pad_for_crops
from mothernets_jax.training.augmentations.batch import Transform
from mothernets_jax.training.augmentations.own import Function
from mothernets_jax.training.augmentations.transforms import (
    check_transforms,
    make_transforms,
)
from mothernets_jax.training.coupling import Independent
from mothernets_jax.training.losses import CrossEntropy
from mothernets_jax.training.member_step import TrainingData
from mothernets_jax.training.optim import OPTIMIZERS
from mothernets_jax.training.step_spec import Augmentation, Coupling, Loss, StepSpec
from mothernets_jax.utils.argument_errors import Argument, ArgumentError

__all__ = [
    "Task",
    "average_flops",
    "epoch_images",
    "make_task",
    "statistics_steps",
    "step_spec",
    "steps_per_epoch",
]

# The most and the fewest images that are evaluated at a time.
EVALUATION_BATCH = 512
_SMALLEST_EVALUATION_BATCH = 16


class Task(NamedTuple):
    """The data, devices and random key that all stages of a run work with.

    Attributes:
        dataset: the images, on the host.
        training_data: the training split, on the device, padded for crops; None where
            it is streamed.
        augmentation: how training images are varied.
        dtype: the dtype that hidden layers are trained in; None for that of the
            variables.
        key: the random key made from the run's seed.
        devices: the devices to train on; the first also evaluates.
        stream_workers: number of processes that read a stream; 0 for threads of this
            process.
    """

    dataset: Dataset
    training_data: TrainingData | None
    augmentation: Augmentation
    dtype: jax.typing.DTypeLike | None
    key: jax.Array
    devices: tuple[Device, ...]
    stream_workers: int = 0

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height and width of an image, in pixels, and its channels."""
        return self.dataset.input_shape

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.dataset.num_classes

    @property
    def evaluation_batch(self) -> int:
        """Number of images at a time in all evaluations, with one program a network.

        The validation split goes into as few batches as possible, filled up to a power
        of two: a network is evaluated on it after every epoch, on other images once.
        """
        evaluated = self.dataset.validation_labels, self.dataset.test_labels
        images = next((len(labels) for labels in evaluated if len(labels)), 1)
        most = min(images, EVALUATION_BATCH)
        return filled_size(most, EVALUATION_BATCH, _SMALLEST_EVALUATION_BATCH)


def make_task(
    dataset: Dataset,
    *,
    crop_padding: int,
    crop_border: str,
    flip: str,
    seed: int,
    batch_size: int,
    dtype: jax.typing.DTypeLike | None = None,
    stream_workers: int = 0,
    augment: str = "",
    function: Function | None = None,
) -> Task:
    """Makes a task; moves the training split to the device, unless it is streamed.

    Raises:
        ValueError: there are fewer training images than a batch holds, the padding is
            larger than the images, the flips or borders of crops are not available
            for a stream, or the augmentation is none for these images.
    """
    examples = len(dataset.train_labels)
    if examples < batch_size:
        raise ArgumentError(
            Argument("batch_size"),
            f" is {batch_size}, but only {examples} images train: lower it, or use "
            "more images",
        )
    side = min(dataset.input_shape[:2])
    if crop_padding > side:
        raise ArgumentError(
            Argument("crop_padding"),
            f" is {crop_padding}, but the images are only {side} pixels high or wide: "
            f"expected at most {side}, beyond which crops show nothing of an image",
        )
    transforms = _checked_transforms(dataset, batch_size, augment, function)
    training_data = None
    if isinstance(dataset.train_images, np.ndarray):
        training_data = TrainingData(
            jnp.asarray(pad_for_crops(dataset.train_images, crop_padding, crop_border)),
            jnp.asarray(dataset.train_labels),
            jnp.asarray(dataset.mean),
            jnp.asarray(dataset.std),
        )
    elif flip == "alternating":
        raise ArgumentError(
            Argument("flip"),
            " is 'alternating', but the images are streamed, where none is known by "
            "its place: use 'random', or load them with a larger ",
            Argument("memory_bytes"),
        )
    elif crop_border != "black" and crop_padding:
        raise ArgumentError(
            Argument("crop_border"),
            f" is {crop_border!r}, but the images are streamed with black borders: use "
            "'black', or load them with a larger ",
            Argument("memory_bytes"),
        )
    return Task(
        dataset,
        training_data,
        Augmentation(crop_padding, flip, transforms),
        dtype,
        jax.random.key(seed),
        tuple(jax.devices()),
        stream_workers,
    )


def _checked_transforms(
    dataset: Dataset, batch_size: int, augment: str, function: Function | None
) -> tuple[Transform, ...]:
    """Transforms that can be applied to the batches of a data set."""
    transforms, images = make_transforms(augment, function), dataset.train_images
    dtype = images.dtype if isinstance(images, np.ndarray) else np.dtype(np.uint8)
    check_transforms(transforms, (batch_size, *dataset.input_shape), dtype)
    return transforms


def step_spec(
    task: Task,
    architecture: Architecture,
    *,
    recipe: Recipe,
    members: int = 1,
    loss: Loss | None = None,
    coupling: Coupling | None = None,
    masked: bool = False,
) -> StepSpec:
    """Makes the training step of networks of one architecture on a task.

    Args:
        task: the task, whose images, augmentation and dtype the step is for.
        architecture: the architecture of every member.
        recipe: the recipe, of which the optimiser and the average are read.
        members: number of members that are stepped together; the FLOPs of operations
            that they share are divided among them.
        loss: the loss to minimise; None for the cross-entropy of the labels.
        coupling: the coupling of the members; None where they are independent.
        masked: whether each member keeps some parameters at 0.
    """
    loss, coupling = loss or CrossEntropy(), coupling or Independent()
    shape, classes = task.input_shape, task.num_classes
    flops, shared = train_flops(architecture, shape, classes), 0.0
    if coupling.shared_operations:
        stop = coupling.shared_operations
        shared = train_flops(architecture, shape, classes, stop=stop)
    flops -= shared * (1 - 1 / members)
    for reference in loss.references:  # each looks at every image
        flops += forward_flops(reference, shape, classes)
    return StepSpec(
        architecture,
        task.augmentation,
        OPTIMIZERS[recipe.optimizer],
        loss,
        coupling,
        task.dtype,
        flops,
        averaged=recipe.average != "none",
        masked=masked,
    )
