"""Amounts of training by a recipe: steps, images and FLOPs, without JAX."""

from typing import Protocol

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import forward_flops
from mothernets_jax.config.settings import Recipe
from mothernets_jax.data import Dataset
from mothernets_jax.training.averaging import STATISTICS_STEPS


class TaskData(Protocol):
    """What of a task decides how much training it takes; see `stages.task.Task`."""

    @property
    def dataset(self) -> Dataset:
        """The images."""
        ...

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height and width of an image, in pixels, and its channels."""
        ...

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        ...


def steps_per_epoch(recipe: Recipe, task: TaskData) -> int:
    """Number of whole batches in the training split; an epoch leaves out the rest."""
    return len(task.dataset.train_labels) // recipe.batch_size


def fitting_batch(examples: int, *, steps: int, largest: int, smallest: int = 1) -> int:
    """A batch size for a number of examples: a power of two, where they are enough.

    Args:
        examples: number of examples that train.
        steps: number of steps that an epoch is to have at least, if it can.
        largest: the largest batch, a power of two.
        smallest: the smallest batch of as many examples.

    >>> [fitting_batch(n, steps=8, largest=128, smallest=16) for n in (9, 300, 5000)]
    [9, 32, 128]
    """
    most = max(1, examples // steps)
    fitting = 1 << (most.bit_length() - 1)
    return min(largest, max(smallest, fitting), max(1, examples))


def epoch_images(recipe: Recipe, task: TaskData) -> int:
    """Number of images that a network sees in an epoch."""
    return steps_per_epoch(recipe, task) * recipe.batch_size


def statistics_steps(recipe: Recipe, task: TaskData) -> int:
    """Number of batches on which the statistics of an average are estimated."""
    return min(STATISTICS_STEPS, steps_per_epoch(recipe, task))


def average_flops(task: TaskData, recipe: Recipe, architecture: Architecture) -> float:
    """FLOPs of estimating the statistics of one network's average; 0 without one."""
    if recipe.average == "none":
        return 0.0
    images = statistics_steps(recipe, task) * recipe.batch_size
    return images * forward_flops(architecture, task.input_shape, task.num_classes)
