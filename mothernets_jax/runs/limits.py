"""Refuse stages that no device could hold, finish or learn, before writing."""

import math
from collections.abc import Iterable

import jax

from mothernets_jax.architectures.costs import norm_positions, num_params
from mothernets_jax.runtime.devices import memory_bytes
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.task import Task, steps_per_epoch
from mothernets_jax.utils.messages import short_repr

MOST_STEPS = 100_000_000  # of a stage; each has a learning rate in memory

_BYTES = 4  # of a parameter, its momentum or its gradient: float32


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


def check_memory(stages: Iterable[Stage], task: Task) -> None:
    """Refuses stages whose parameters alone are too many for the devices.

    Whatever else a step needs depends on the compiler; if that is too much, `failures`
    explains the error.

    Raises:
        ValueError: the parameters and the momentum of a stage's members, with one
            member's gradient, do not fit.
    """
    on_cpu = jax.default_backend() == "cpu"  # devices of one machine share its memory
    available = memory_bytes() * (jax.process_count() if on_cpu else len(task.devices))
    for stage in stages:
        params = num_params(stage.architecture, task.input_shape, task.num_classes)
        members = len(stage.members)
        needed = _BYTES * params * (2 * members + 1)
        if needed > available:
            of_one = f" each of {members} networks" if members > 1 else " a network"
            raise ValueError(
                f"{stage.name} trains{of_one} of {params:,} parameters "
                f"({short_repr(str(stage.architecture))}), which take "
                f"{gibibytes(needed)} with momentum and a gradient; expected at most "
                f"{gibibytes(available)}, the memory of {len(task.devices)} "
                f"{task.devices[0].device_kind}. Lower the networks' widths or "
                "config.replicas, or use more or larger devices"
            )


def gibibytes(size: float) -> str:
    """A number of bytes as text in GiB.

    >>> gibibytes(3 * 2**30)
    '3 GiB'
    """
    size /= 2**30
    digits = max(0, 2 - math.floor(math.log10(size))) if 0 < size < 10 else 0
    return f"{size:,.{min(digits, 3)}f}".removesuffix(".00") + " GiB"
