"""Refuse what this machine could not hold, finish, learn or record, before writing."""

import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp

from mothernets_jax.architectures.costs import (
    kept_values,
    norm_positions,
    num_params,
)
from mothernets_jax.architectures.operations import Weight
from mothernets_jax.config.settings import Settings
from mothernets_jax.runtime.devices import memory_bytes
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.task import Task, steps_per_epoch
from mothernets_jax.storage import event_files
from mothernets_jax.utils.messages import short_repr

MOST_STEPS = 100_000_000  # of a stage; each has a learning rate in memory

# Sides of filters that are small, in pixels, whatever the images are.
_SMALL_FILTER = 15
_BYTES = 4  # of a parameter, its momentum or its gradient: float32


def check_precision() -> None:
    """Raises ValueError where JAX makes 64 bits of what is given without a type."""
    if jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise ValueError(
            "JAX_ENABLE_X64 is set: expected it to be unset, as networks train on "
            "numbers of 32 bits or fewer, which those of 64 do not mix with"
        )


def check_event_files(settings: Settings) -> None:
    """Raises ValueError where event files are wanted and TensorBoard is missing."""
    missing = event_files.why_unavailable() if settings.log.tensorboard else ""
    if missing:
        raise ValueError(
            "config.log.tensorboard is True, for which TensorBoard is needed, and it "
            f"cannot be imported ({missing}): pip install -r "
            "requirements-tensorboard.txt. To do without: "
            "--config.log.tensorboard=False"
        )


def check_steps(stages: Iterable[Stage], task: Task) -> None:
    """Raises ValueError if a stage has more than `MOST_STEPS` training steps."""
    for stage in stages:
        epochs, steps = stage.recipe.epochs, steps_per_epoch(stage.recipe, task)
        if epochs * steps > MOST_STEPS:
            raise ValueError(
                f"{stage.name} would train for {epochs:,} epochs of {steps:,} steps: "
                f"expected at most {MOST_STEPS:,} steps. Lower the epochs, or raise "
                f"config.train.batch_size, which is {stage.recipe.batch_size:,}"
            )


def check_batch_norm(stages: Iterable[Stage], task: Task) -> None:
    """Refuses batch normalisation by the statistics of a single value.

    A single value is its own mean, so that nothing passes and training ends in
    guessing. Two values are allowed, although their statistics are poor. If a batch is
    divided among devices or hosts, the statistics are those of the whole batch.

    Raises:
        ValueError: a channel has one value in the whole batch.
    """
    for stage in stages:
        positions = norm_positions(stage.architecture, task.input_shape)
        size = stage.recipe.batch_size
        alone = [name for name, pixels in positions.items() if size * pixels == 1]
        if alone:
            raise ValueError(
                f"config.train.batch_size is {size}, but the batch normalisation "
                f"{alone[0]!r} of {stage.name} ({short_repr(str(stage.architecture))}) "
                "sees one pixel of an image of "
                f"{task.input_shape[0]}x{task.input_shape[1]} there: normalised by the "
                "statistics of one value, it would be the same whatever the image. "
                "Raise it to 2 or more, or use networks without batch normalisation"
            )


def check_filters(stages: Iterable[Stage], task: Task) -> None:
    """Refuses filters of which a part sees nothing but the padding, ever.

    A filter of side 2n - 1 at one corner of an image of side n reaches the other one.

    Raises:
        ValueError: a filter is larger than that, and than 15 pixels.
    """
    height, width, _ = task.input_shape
    most = max(2 * max(height, width) - 1, _SMALL_FILTER)
    for stage in stages:
        for operation in stage.architecture.operations():
            size = operation.filter_size if isinstance(operation, Weight) else None
            if size is not None and size > most:
                raise ValueError(
                    f"{operation.name} of {stage.name} "
                    f"({short_repr(str(stage.architecture))}) has filters of "
                    f"{size}x{size} pixels, and the images have {height}x{width}: "
                    f"expected at most {most}x{most}, as what is beyond sees only the "
                    "padding. Write a smaller filter"
                )


def check_memory(stages: Iterable[Stage], task: Task) -> None:
    """Refuses stages that cannot fit on the devices, however they are compiled.

    Whatever else a step needs depends on the compiler; if that is too much, `failures`
    explains the error.

    Raises:
        ValueError: the parameters and the momentum of a stage's members, with one
            member's gradient and what its layers make of one batch, do not fit beside
            the images.
    """
    on_cpu = jax.default_backend() == "cpu"  # devices of one machine share its memory
    available = memory_bytes() * (jax.process_count() if on_cpu else len(task.devices))
    images = task.dataset.bytes_in_memory if on_cpu else 0
    for stage in stages:
        params = num_params(stage.architecture, task.input_shape, task.num_classes)
        members = len(stage.members)
        trained = _BYTES * params * (2 * members + 1)
        size = stage.recipe.batch_size
        values = kept_values(stage.architecture, task.input_shape, task.num_classes)
        bytes_of_each = _BYTES if task.dtype is None else jnp.dtype(task.dtype).itemsize
        made = size * values * bytes_of_each
        if trained + made + images > available:
            of_one = f" each of {members} networks" if members > 1 else " a network"
            raise ValueError(
                f"{stage.name} trains{of_one} of {params:,} parameters "
                f"({short_repr(str(stage.architecture))}), which take "
                f"{gibibytes(trained)} with momentum and a gradient; their layers make "
                f"{gibibytes(made)} of a batch of {size:,}, and the images take "
                f"{gibibytes(images)}: expected at most {gibibytes(available)} "
                f"together, the memory of {len(task.devices)} "
                f"{task.devices[0].device_kind}. Lower the networks' widths or "
                "config.replicas, lower config.train.batch_size, or use more or "
                "larger devices"
            )


def gibibytes(size: float) -> str:
    """A number of bytes as text in GiB.

    >>> gibibytes(3 * 2**30)
    '3 GiB'
    """
    size /= 2**30
    digits = max(0, 2 - math.floor(math.log10(size))) if 0 < size < 10 else 0
    return f"{size:,.{min(digits, 3)}f}".removesuffix(".00") + " GiB"
