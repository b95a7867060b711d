"""Seconds, bytes and dollars that a run will take, from a few steps of each program."""

import time
from collections.abc import Mapping
from typing import NamedTuple

import jax

from mothernets_jax.config.settings import Settings
from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.runs.results import price_of
from mothernets_jax.runs.schedule import makespan, simulate
from mothernets_jax.runs.stage_jobs import stage_jobs
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.stages.prepare import prepare_stage
from mothernets_jax.stages.stage import (
    MethodPlan,
    Stage,
    stage_flops,
    strategy_without_trial,
)
from mothernets_jax.stages.strategy import StrategyMemory
from mothernets_jax.stages.task import Task
from mothernets_jax.stages.timing import StageTiming, time_stage

# Estimates, from small networks on two cores.
_EPOCH_SECONDS, _STAGE_SECONDS = 0.002, 0.5


class Measurement(NamedTuple):
    """What was measured before a run.

    Attributes:
        compile_seconds: seconds that this process waited until all programs were
            compiled, those that the user's cache held included.
        stages: times of every stage's programs, by the stage's name.
        peak_bytes: the most bytes that a device holds; None where nobody counts.
    """

    compile_seconds: float
    stages: dict[str, StageTiming]
    peak_bytes: int | None


def measure(
    settings: Settings,
    task: Task,
    *,
    store: ProgramStore | None = None,
    memory: StrategyMemory | None = None,
    seconds: float = 0.0,
) -> Measurement:
    """Times a few real steps of each program that a run will use; saves nothing.

    Every program is compiled before any is timed, and devices are waited for. Programs
    that several stages share are timed once.

    Args:
        settings: the run's settings.
        task: the task that the run trains on.
        store: compiled programs, to which these are added, so that a run that shares
            them compiles nothing again; None compiles for this call alone.
        memory: the strategies chosen before, to which those that `auto` chooses here
            are added; None forgets them.
        seconds: seconds to spend on timing; 0 for a few. Processors are faster for a
            moment than they are for long.

    Raises:
        ValueError: a method that cannot be planned as the settings say.
    """
    plans = method_plans(task, settings)
    stages = [stage for plan in plans.values() for stage in plan.stages]
    memory = memory or StrategyMemory()
    own_store = store or ProgramStore()
    executables = Executables(own_store)
    if jax.process_count() == 1:  # stages may run side by side: each on one device
        task = task._replace(devices=task.devices[:1])
    try:
        started = time.perf_counter()
        for stage in stages:
            prepare_stage(stage, task, settings.strategy, own_store)
        own_store.finish()
        compiled, waited = time.perf_counter() - started, executables.waited
        by_program = {}  # the first stage of those that share programs
        for stage in stages:
            by_program.setdefault(programs_of(stage, settings.strategy), stage)
        timed = {
            key: time_stage(
                stage,
                task,
                settings.strategy,
                executables,
                memory,
                seconds=seconds / len(by_program),
            )
            for key, stage in by_program.items()
        }
    finally:
        if store is None:
            own_store.close()
    found = {s.name: timed[programs_of(s, settings.strategy)] for s in stages}
    peaks = [timing.peak_bytes for timing in found.values() if timing.peak_bytes]
    return Measurement(
        compiled + executables.waited - waited, found, max(peaks, default=None)
    )


def programs_of(stage: Stage, strategy: str) -> tuple:
    """A key of what a stage's programs, and the choice of its strategy, depend on.

    Args:
        stage: the stage.
        strategy: `auto` or one of `group_step.STRATEGIES`.
    """
    epochs = stage.recipe.epochs
    if strategy_without_trial(strategy, stage) is not None:
        epochs = min(epochs, 1)  # of more, only the choice of a strategy depends
    return stage.spec, len(stage.members), stage.recipe.batch_size, epochs


def untimed_seconds(stage: Stage) -> float:
    """Seconds that a stage is expected to spend beside what is timed.

    They are those of starting it, of saving its members, and of each epoch's line in
    the log and in the progress.
    """
    return _STAGE_SECONDS + _EPOCH_SECONDS * stage.recipe.epochs


def stage_seconds(stage: Stage, timing: StageTiming, task: Task) -> float:
    """Seconds of one device for a whole stage, unless a member stops early.

    Starting (the check of hatched members) and what a method does after an epoch
    or at the end are counted by their evaluations and FLOPs, at the speed of the steps.

    Args:
        stage: the stage.
        timing: times of the stage's programs; the number of epochs need not be that
            for which they were measured.
        task: the task, whose images are counted.
    """
    recipe, members = stage.recipe, len(stage.members)
    of_step = recipe.batch_size * stage.spec.flops_per_image * members
    of_stage = stage_flops(stage, task, recipe.epochs * members)
    seconds = of_stage / of_step * timing.step_seconds
    seconds += recipe.epochs * timing.epoch_seconds
    evaluated = recipe.epochs * members * len(task.dataset.validation_labels)
    if stage.needs:
        evaluated += (members + 1) * task.evaluation_batch
    return seconds + evaluated * timing.evaluation_seconds


def method_seconds(
    plan: MethodPlan, timings: Mapping[str, StageTiming], task: Task
) -> float:
    """Seconds of the clock for a method: all stages, and evaluating its members.

    Compiling is not counted. Stages are divided among several devices as a run does.

    Args:
        plan: the method's stages and members.
        timings: times of the stages' programs, by the stage's name.
        task: the task, whose images and devices are counted.
    """
    jobs = stage_jobs(
        plan.stages, lambda stage: stage_seconds(stage, timings[stage.name], task)
    )
    side_by_side = len(task.devices) if jax.process_count() == 1 else 1
    data = task.dataset
    splits = data.test_labels, data.validation_labels, data.calibration_labels
    images = sum(map(len, splits))
    maker = {name: stage.name for stage in plan.stages for name in stage.members}
    evaluating = sum(
        images * timings[maker[name]].evaluation_seconds for name in plan.members
    )
    return makespan(simulate(jobs, side_by_side)) + evaluating


def dollars(seconds: float, task: Task, prices: Mapping[str, float]) -> float | None:
    """Dollars of all devices for some seconds; None where no price fits the device.

    Args:
        seconds: seconds of the clock.
        task: the task, with the devices.
        prices: dollars an hour for one device, by a part of its name.
    """
    price = price_of(task.devices[0].device_kind, prices)
    return None if price is None else price * len(task.devices) * seconds / 3600
