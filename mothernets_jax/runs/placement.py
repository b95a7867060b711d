"""Numbers of devices of a run's stages: decided once, and kept in the run's folder.

Results on other numbers of devices agree to rounding only, so that a run that goes on
must not decide again.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from mothernets_jax.runs.allotment import allot
from mothernets_jax.runs.schedule import Job, simulate
from mothernets_jax.runs.timed_here import TimesHere
from mothernets_jax.stages.context import PLACEMENT, RunContext
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.task import Task
from mothernets_jax.storage import files

_log = logging.getLogger(__name__)


def stage_devices(
    stages: Sequence[Stage], jobs: Sequence[Job], task: Task, context: RunContext
) -> dict[str, int]:
    """Numbers of devices of a method's stages, those that the run had before if any.

    By `flops` devices are divided evenly among the stages that are ready. `timed`, the
    stages are timed on one device and, where more may help, on more of them, and the
    whole method is to end as early as can be.

    Args:
        stages: all stages of a method.
        jobs: the same as jobs, whose work is their training FLOPs.
        task: the task, with the devices of this machine, of which there are several.
        context: the run's folder, its setting `placement`, and programs.

    Returns:
        Number of devices of each stage, by name, at most as many as there are.

    Raises:
        ValueError: the record in the run's folder is damaged.
        InterruptedRunError: the run was asked to stop.
    """
    assert context.workdir is not None
    path, here = context.workdir / PLACEMENT, len(task.devices)
    kept = _read(path)
    if any(job.name not in kept for job in jobs):
        if context.placement == "timed":
            counts = _timed(stages, jobs, task, context)
        else:
            slots = simulate(jobs, here)
            counts = {name: slot.devices for name, slot in slots.items()}
        kept = counts | kept
        context.guard(path)
        files.write_json(path, kept)
    tell_of_fewer(jobs, task, context)
    return {job.name: min(kept[job.name], here) for job in jobs}


def tell_of_fewer(jobs: Sequence[Job], task: Task, context: RunContext) -> None:
    """Warns where the run was begun on a machine with more devices than this one.

    Raises:
        ValueError: the record in the run's folder is damaged.
    """
    assert context.workdir is not None
    path, here = context.workdir / PLACEMENT, len(task.devices)
    kept = _read(path)
    most = max((kept.get(job.name, 0) for job in jobs), default=0)
    if most > here:
        _log.warning(
            "%s has stages on up to %d devices, and this machine has %d: what they "
            "compute here agrees with that on more devices to rounding only",
            path,
            most,
            here,
        )


def _timed(
    stages: Sequence[Stage], jobs: Sequence[Job], task: Task, context: RunContext
) -> dict[str, int]:
    """Numbers of devices by which the last stage is foretold to end earliest."""
    by_name = {stage.name: stage for stage in stages}
    times = TimesHere(task, context.strategy, context.store)

    def seconds(name: str, devices: int) -> float:
        context.interruption.check()
        return times(by_name[name], devices, hatched=False).seconds

    counts = allot(jobs, len(task.devices), seconds)
    shown = ", ".join(f"{name} {count}" for name, count in counts.items())
    _log.info("devices by timing: %s", shown)
    return counts


def _read(path: Path) -> dict[str, int]:
    """The numbers that were decided before, by stage; none where there is no record.

    Raises:
        ValueError: the record is damaged.
    """
    if not path.exists():
        return {}
    try:
        found = files.read_json(path)
    except files.DamagedError:
        found = None
    numbers = found.values() if isinstance(found, dict) else []
    whole = all(type(number) is int and number > 0 for number in numbers)
    if not isinstance(found, dict) or not whole:
        raise ValueError(
            f"{path} is damaged, which says on how many devices each stage runs: "
            "restore it, or delete it to have that decided anew, with which results "
            "agree to rounding only"
        )
    return found
