"""A stage: the members of one architecture, trained together by one recipe.

A method is a list of stages. Each is a pure function of the task, the seed and the
networks that earlier stages have trained.
"""

import types
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.augment import pad_for_crops
from mothernets_jax.clustering import Cluster
from mothernets_jax.compilation import Executables, ProgramStore
from mothernets_jax.costs import forward_flops, train_flops
from mothernets_jax.data import Dataset
from mothernets_jax.devices import Device
from mothernets_jax.losses import Distillation
from mothernets_jax.schedules import learning_rates
from mothernets_jax.settings import Recipe
from mothernets_jax.training import (
    Augmentation,
    MemberState,
    TrainingData,
)

EVALUATION_BATCH = 512


class Task(NamedTuple):
    """What every stage works on.

    Attributes:
        dataset: the images, on the host.
        training_data: the training split, on the device, padded for crops; None where
            it is streamed.
        augmentation: how training images are varied.
        dtype: in which hidden layers are trained; None for that of the variables.
        key: derived from the run's seed.
        devices: where to train, the first also evaluates.
        stream_workers: processes that read a stream; 0 for threads of this one.
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
        """(height, width, channels) of an image."""
        return self.dataset.input_shape

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return self.dataset.num_classes


class Start(NamedTuple):
    """Where the members of a stage begin.

    Attributes:
        states: by member, of those that are left out too.
        checks: figures measured on the way, by member; empty for random beginnings.
        left_out: by member that cannot be trained from its beginning, why.
    """

    states: dict[str, MemberState]
    checks: dict[str, dict[str, float]]
    left_out: Mapping[str, str] = types.MappingProxyType({})


class Stage(NamedTuple):
    """Members of one architecture and how they are trained.

    Attributes:
        method: its name.
        label: names the stage within its method.
        architecture: of every member here.
        members: their names.
        recipe: how they are trained.
        start: from the states in which the method's earlier stages left their networks,
            by name, and the programs compiled so far, to the members' first states.
        needs: the networks among them that `start`, or the training, uses.
        prepare: begins to compile the programs that `start` uses.
        rates: from steps an epoch to the learning rate of every step, float32 [steps];
            None for the recipe's schedule.
        bags: whether each member draws its own bag of the images, with replacement.
        distillation: of an earlier network; None to learn from labels alone.
        branches_at: the number of the first operation that is not shared, for members
            that branch from one trunk; 0 for members of their own.
    """

    method: str
    label: str
    architecture: Architecture
    members: tuple[str, ...]
    recipe: Recipe
    start: Callable[[Mapping[str, MemberState], Executables], Start]
    needs: tuple[str, ...] = ()
    prepare: Callable[[ProgramStore], None] = lambda store: None
    rates: Callable[[int], np.ndarray] | None = None
    bags: bool = False
    distillation: Distillation | None = None
    branches_at: int = 0

    @property
    def name(self) -> str:
        """Names the stage's folder."""
        return f"{self.method}-{self.label}"


class Composition(NamedTuple):
    """A method's work.

    Attributes:
        stages: in the order of their training.
        members: the networks that the ensemble consists of, each trained by a stage
            under its name; stages may train others on the way.
        clusters: whose MotherNets are trained; none where a method has none.
    """

    stages: tuple[Stage, ...]
    members: dict[str, Architecture]
    clusters: tuple[Cluster, ...] = ()


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
) -> Task:
    """Moves the training split to the device, unless it is streamed.

    Raises:
        ValueError: fewer training images than a batch holds, or a padding larger than
            the images.
    """
    examples = len(dataset.train_labels)
    if examples < batch_size:
        raise ValueError(
            f"config.train.batch_size is {batch_size}, but only {examples} images "
            "train: lower it, or use more images"
        )
    side = min(dataset.input_shape[:2])
    if crop_padding > side:
        raise ValueError(
            f"config.data.crop_padding is {crop_padding}, but the images are only "
            f"{side} pixels high or wide: expected at most {side}, beyond which crops "
            "show nothing of an image"
        )
    training_data = None
    if isinstance(dataset.train_images, np.ndarray):
        training_data = TrainingData(
            jnp.asarray(pad_for_crops(dataset.train_images, crop_padding, crop_border)),
            jnp.asarray(dataset.train_labels),
            jnp.asarray(dataset.mean),
            jnp.asarray(dataset.std),
        )
    elif flip == "alternating":
        raise ValueError(
            "config.data.flip is 'alternating', but the images are streamed, where "
            "none is known by its place: use 'random', or raise "
            "config.data.memory_share"
        )
    elif crop_border != "black" and crop_padding:
        raise ValueError(
            f"config.data.crop_border is {crop_border!r}, but the images are streamed "
            "with black borders: use 'black', or raise config.data.memory_share"
        )
    augmentation = Augmentation(crop_padding, flip)
    return Task(
        dataset,
        training_data,
        augmentation,
        dtype,
        jax.random.key(seed),
        tuple(jax.devices()),
        stream_workers,
    )


def steps_per_epoch(recipe: Recipe, task: Task) -> int:
    """Whole batches in the training split; what is left over sits an epoch out."""
    return len(task.dataset.train_labels) // recipe.batch_size


def stage_rates(stage: Stage, task: Task) -> np.ndarray:
    """The learning rate of every step, float32 [epochs, steps]."""
    recipe, steps = stage.recipe, steps_per_epoch(stage.recipe, task)
    if stage.rates is not None:
        return stage.rates(steps).reshape(recipe.epochs, steps)
    return learning_rates(
        recipe.schedule,
        recipe.learning_rate,
        total_steps=steps * recipe.epochs,
        warmup_steps=round(steps * recipe.warmup_epochs),
    ).reshape(recipe.epochs, steps)


def settled(requested: str, stage: Stage) -> str | None:
    """A stage's strategy, where it can be told without a trial.

    Args:
        requested: `auto` or one of `groups.STRATEGIES`.
        stage: whose members are to be trained.
    """
    if len(stage.members) == 1:
        return "loop"  # all strategies are the same, and this is what they reduce to
    if stage.branches_at and requested in ("auto", "loop"):  # always together
        return "unroll" if jax.default_backend() == "cpu" else "vmap"
    return None if requested == "auto" else requested


def epoch_images(recipe: Recipe, task: Task) -> int:
    """Images that a network sees in an epoch."""
    return steps_per_epoch(recipe, task) * recipe.batch_size


def epoch_flops(stage: Stage, task: Task) -> float:
    """Training FLOPs of one epoch of one member, with its share of a common trunk."""
    shape, classes = task.input_shape, task.num_classes
    flops, cut = train_flops(stage.architecture, shape, classes), stage.branches_at
    if cut:
        trunk = train_flops(stage.architecture, shape, classes, stop=cut)
        flops -= trunk * (1 - 1 / len(stage.members))
    if stage.distillation is not None:  # the teacher looks at every image
        flops += forward_flops(stage.distillation.architecture, shape, classes)
    return epoch_images(stage.recipe, task) * flops


def planned_flops(stage: Stage, task: Task) -> float:
    """Training FLOPs of the stage, unless a member stops early."""
    return epoch_flops(stage, task) * stage.recipe.epochs * len(stage.members)
