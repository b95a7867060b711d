"""When a method's stages would end on so many devices, by the run's own schedule."""

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from mothernets_jax.runs.allotment import allot
from mothernets_jax.runs.measure import stage_seconds
from mothernets_jax.runs.schedule import Slot, longest_paths, makespan, replay, simulate
from mothernets_jax.runs.stage_jobs import stage_jobs
from mothernets_jax.runs.step_times import DeviceTimes, Estimate
from mothernets_jax.stages.stage import MethodPlan, Stage, planned_flops
from mothernets_jax.stages.task import Task
from mothernets_jax.stages.timing import StageTiming
from mothernets_jax.training.sharding import grid


class StageTimes(Protocol):
    """A function from a stage and its number of devices to how long it takes."""

    def __call__(self, stage: Stage, devices: int, *, hatched: bool) -> Estimate:
        """Estimates a stage.

        Args:
            stage: the stage.
            devices: number of devices that the run gives it.
            hatched: whether its members are hatched from a MotherNet.
        """
        ...


class Prediction(NamedTuple):
    """When a method's stages end.

    Attributes:
        seconds: seconds from the start of the first stage to the end of the last.
        slots: start and end in seconds, and number of devices, by the stage's name.
        chain_seconds: seconds of the longest chain of stages, each of which needs the
            one before: however many devices there are, with as many for each stage as
            here nothing is faster.
        busy_seconds: seconds of every device that it has work for, added up.
        measured: the share of these whose steps were timed; the others are estimates.
    """

    seconds: float
    slots: Mapping[str, Slot]
    chain_seconds: float
    busy_seconds: float
    measured: float


def predict(
    plan: MethodPlan,
    task: Task,
    devices: int,
    times: StageTimes,
    *,
    placement: str = "flops",
) -> Prediction:
    """Foretells a method's stages on some devices of one machine.

    Devices are divided among stages as `placement.stage_devices` does.

    Args:
        plan: the method's stages and members.
        task: the task, whose images are counted; its devices do not matter.
        devices: number of devices, at least 1.
        times: how long each stage takes.
        placement: the setting `placement`, `flops` or `timed`; or `one`, for a device
            for each stage.
    """
    jobs = stage_jobs(plan.stages, lambda stage: planned_flops(stage, task))
    by_name, hatched = {stage.name: stage for stage in plan.stages}, _hatched(plan)

    def estimate(name: str, count: int) -> Estimate:
        return times(by_name[name], count, hatched=name in hatched)

    if placement == "timed":
        counts = allot(jobs, devices, lambda name, n: estimate(name, n).seconds)
    elif placement == "flops":
        counts = {name: slot.devices for name, slot in simulate(jobs, devices).items()}
    else:
        counts = dict.fromkeys(by_name, 1)
    found = {name: estimate(name, count) for name, count in counts.items()}
    seconds = {name: own.seconds for name, own in found.items()}
    slots = replay(jobs, devices, counts, seconds)
    paths = longest_paths([job._replace(work=seconds[job.name]) for job in jobs])
    busy = {name: counts[name] * own for name, own in seconds.items()}
    total = math.fsum(busy.values())
    timed = math.fsum(busy[name] for name, own in found.items() if own.measured)
    return Prediction(
        makespan(slots),
        slots,
        max(paths.values(), default=0.0),
        total,
        timed / total if total else 0.0,
    )


def _hatched(plan: MethodPlan) -> set[str]:
    """Names of the stages whose members are hatched from a MotherNet of the plan."""
    mothers = {
        stage.label
        for stage in plan.stages
        if plan.clusters and stage.members == (stage.label,)
    }
    return {stage.name for stage in plan.stages if mothers.intersection(stage.needs)}


class TableTimes:
    """Times of stages on a kind of device that need not be here, from a table."""

    def __init__(self, times: DeviceTimes, task: Task, strategy: str):
        """Estimates stages of a task.

        Args:
            times: what was measured on the device.
            task: the task, whose images are counted.
            strategy: `auto`, which takes what is fastest, or one of
                `group_step.STRATEGIES`.
        """
        self._times, self._task, self._strategy = times, task, strategy

    def __call__(self, stage: Stage, devices: int, *, hatched: bool) -> Estimate:
        """See `StageTimes`; without validation, which takes a GPU no time to speak of.

        Batches that are divided among devices are an estimate in any case.
        """
        step = min(self._steps(stage, devices))
        timing = StageTiming(
            self._strategy,
            step.seconds,
            epoch_seconds=0.0,
            evaluation_seconds=0.0,
            peak_bytes=None,
        )
        seconds = stage_seconds(stage, timing, self._task)
        if hatched:
            seconds += self._times.hatch_seconds * len(stage.members)
        return Estimate(seconds, step.measured)

    def _steps(self, stage: Stage, devices: int) -> list[Estimate]:
        """Times of a step of all members, by every strategy that may be chosen."""
        members, tied = len(stage.members), stage.spec.coupling.tied
        found = []
        if not tied and (members == 1 or self._strategy in ("auto", "loop")):
            found.append(self._step(stage, devices, 1, 1, calls=members))
        if tied or (members > 1 and self._strategy != "loop"):
            rows = 1 if tied else members
            found.append(self._step(stage, devices, rows, members, calls=1))
        return found

    def _step(
        self, stage: Stage, devices: int, rows: int, members: int, *, calls: int
    ) -> Estimate:
        """Seconds of a step of all members.

        Args:
            stage: the stage.
            devices: number of devices.
            rows: number of members that may be divided among devices.
            members: number of members of a program.
            calls: number of programs that a step consists of.
        """
        batch_size = stage.recipe.batch_size
        rows, columns = grid(devices, rows, batch_size)
        own = self._times.step(
            stage.spec,
            self._task.input_shape,
            batch_size // columns,
            -(-members // rows),
        )
        return Estimate(calls * own.seconds, own.measured and columns == 1)
