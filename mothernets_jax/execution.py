"""Run stages in the order of their needs, on all devices, and save what they give."""

import functools
import queue
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mothernets_jax import checkpoints, hosts
from mothernets_jax.compilation import Executables, ProgramStore
from mothernets_jax.devices import Device
from mothernets_jax.models import abstract_variables
from mothernets_jax.progress import RunProgress
from mothernets_jax.run_log import append_metrics
from mothernets_jax.stage_runner import StageResult, prepare_stage, run_stage
from mothernets_jax.stages import Stage, Task, planned_flops
from mothernets_jax.strategies import StrategyMemory
from mothernets_jax.training import MemberState, new_state


class Execution(NamedTuple):
    """How stages are run.

    Attributes:
        workdir: the run's folder.
        strategy: `auto` or one of `groups.STRATEGIES`.
        memory: the run's choices of strategies.
        store: compiled programs.
        progress: told of every epoch.
    """

    workdir: Path
    strategy: str
    memory: StrategyMemory
    store: ProgramStore
    progress: RunProgress


def stage_folder(workdir: Path, stage: Stage) -> Path:
    """Where a stage's result is saved in a run's folder."""
    return workdir / "stages" / stage.name


def read_records(workdir: Path, stages: Sequence[Stage]) -> dict[str, dict[str, Any]]:
    """The records of those stages that are done, by the stage's name."""

    def read() -> dict[str, dict[str, Any]]:
        found = {
            s.name: checkpoints.read_record(stage_folder(workdir, s)) for s in stages
        }
        return {name: record for name, record in found.items() if record is not None}

    return hosts.on_first(read)


def run_stages(
    stages: Sequence[Stage], task: Task, execution: Execution
) -> tuple[dict[str, MemberState], list[dict[str, Any]]]:
    """Every stage's result: restored where it is done, else trained and saved.

    Stages whose needs are met run side by side. As long as there are at least as many
    of them as devices, each has a device to itself, the longest first; otherwise the
    devices are divided evenly among them. Several hosts run one stage at a time, on all
    devices, since all of them must do the same in the same order.

    Args:
        stages: of one method.
        task: on what, and on which devices.
        execution: how.

    Returns:
        The state that every network was left in, by name, and the stages' records in
        their order.
    """
    done = read_records(execution.workdir, stages)
    for stage in stages:
        if stage.name not in done:
            prepare_stage(stage, task, execution.strategy, execution.store)
    trained: dict[str, MemberState] = {}
    records: dict[str, dict[str, Any]] = {}
    while len(records) < len(stages):
        ready = [
            stage
            for stage in stages
            if stage.name not in records and trained.keys() >= set(stage.needs)
        ]
        assert ready, "stages wait for networks that none of them trains"
        for stage, result in _side_by_side(ready, task, trained, execution):
            trained |= result.states
            records[stage.name] = result.record
    return trained, [records[stage.name] for stage in stages]


def _side_by_side(
    stages: Sequence[Stage],
    task: Task,
    trained: Mapping[str, MemberState],
    execution: Execution,
) -> list[tuple[Stage, StageResult]]:
    """Runs stages that do not need one another."""
    if len(task.devices) == 1 or jax.process_count() > 1:
        return [
            (stage, _run_or_restore(stage, task, trained, execution))
            for stage in stages
        ]
    places = _divide(task.devices, len(stages))
    free: queue.SimpleQueue[tuple[Device, ...]] = queue.SimpleQueue()
    for devices in places:
        free.put(devices)

    def run(stage: Stage) -> tuple[Stage, StageResult]:
        devices = free.get()
        try:
            placed = task._replace(devices=devices)
            return stage, _run_or_restore(stage, placed, trained, execution)
        finally:
            free.put(devices)

    longest_first = sorted(stages, key=lambda stage: -planned_flops(stage, task))
    with ThreadPoolExecutor(len(places), "stage") as pool:
        return list(pool.map(run, longest_first))


def _divide(devices: tuple[Device, ...], stages: int) -> list[tuple[Device, ...]]:
    """As many parts as there are stages, at most one for each device."""
    parts = min(stages, len(devices))
    size = len(devices) // parts
    return [devices[i * size : (i + 1) * size] for i in range(parts)]


def _run_or_restore(
    stage: Stage, task: Task, trained: Mapping[str, MemberState], execution: Execution
) -> StageResult:
    folder, progress = stage_folder(execution.workdir, stage), execution.progress
    record = read_records(execution.workdir, [stage]).get(stage.name)
    if record is not None:
        progress.message(f"{stage.name}: done already")
        shapes = abstract_variables(
            stage.architecture, task.input_shape, task.num_classes
        )
        state = jax.eval_shape(new_state, shapes)
        template = dict.fromkeys(stage.members, state._asdict())
        saved = hosts.arrays_on_first(
            lambda: checkpoints.restore(folder, template), template
        )
        states = {name: MemberState(**saved[name]) for name in stage.members}
        return StageResult(states, record)
    log = functools.partial(append_metrics, execution.workdir / "metrics.jsonl")
    result = run_stage(
        stage,
        task,
        trained,
        strategy=execution.strategy,
        memory=execution.memory,
        executables=Executables(execution.store),
        progress=progress,
        log=log if hosts.is_first() else lambda **metrics: None,
    )
    states = {name: state._asdict() for name, state in result.states.items()}
    hosts.on_first(lambda: checkpoints.save(folder, states, result.record))
    for name, check in result.record["checks"].items():
        progress.message(
            f"{name} hatched: its logits differed from its MotherNet's by at most "
            f"{check['relative_logit_difference']:.1e} of the largest"
        )
    return result
