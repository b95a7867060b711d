"""Run stages in the order of their needs, on all devices, and save what they give."""

import contextlib
import logging
import queue
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mothernets_jax import checkpoints, hosts
from mothernets_jax.compilation import Executables, ProgramStore
from mothernets_jax.devices import Device
from mothernets_jax.interruption import Interruption
from mothernets_jax.progress import RunProgress
from mothernets_jax.run_log import MetricsLog
from mothernets_jax.stage_position import epochs_of
from mothernets_jax.stage_run import StageResult, state_shapes
from mothernets_jax.stage_runner import prepare_stage, run_stage
from mothernets_jax.stages import Stage, Task, planned_flops
from mothernets_jax.strategies import StrategyMemory
from mothernets_jax.training import MemberState
from mothernets_jax.unfinished import UnfinishedWork

_log = logging.getLogger(__name__)


class Execution(NamedTuple):
    """How stages are run.

    Attributes:
        workdir: the run's folder.
        strategy: `auto` or one of `groups.STRATEGIES`.
        memory: the run's choices of strategies.
        store: compiled programs.
        progress: told of every epoch.
        metrics: where every epoch's figures are kept.
        interruption: tells when to stop.
        interval_seconds: between two saves of unfinished work, at least.
    """

    workdir: Path
    strategy: str
    memory: StrategyMemory
    store: ProgramStore
    progress: RunProgress
    metrics: MetricsLog
    interruption: Interruption
    interval_seconds: float


class Trained(NamedTuple):
    """What came of a method's stages.

    Attributes:
        states: that every network was left in, by name.
        records: of the stages, in their order.
        left_out: by network that could not be trained, why.
    """

    states: dict[str, MemberState]
    records: list[dict[str, Any]]
    left_out: dict[str, str]


def stage_folder(workdir: Path, stage: Stage) -> Path:
    """Where a stage's result is saved in a run's folder."""
    return workdir / "stages" / stage.name


def read_records(workdir: Path, stages: Sequence[Stage]) -> dict[str, dict[str, Any]]:
    """The records of those stages that are done, by the stage's name.

    A damaged one counts as not done.
    """

    def read() -> dict[str, dict[str, Any]]:
        found = {}
        for stage in stages:
            with contextlib.suppress(checkpoints.DamagedError):
                record = checkpoints.read_record(stage_folder(workdir, stage))
                if record is not None:
                    found[stage.name] = record
        return found

    return hosts.on_first(read)


def _shapes_of_result(
    stage: Stage, task: Task, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Shapes of what a finished stage has saved."""
    names = [name for name in stage.members if name not in record["left_out"]]
    return dict.fromkeys(names, state_shapes(stage, task))


def run_stages(stages: Sequence[Stage], task: Task, execution: Execution) -> Trained:
    """Every stage's result: restored where it is done, else trained and saved.

    Stages whose needs are met run side by side. As long as there are at least as many
    of them as devices, each has a device to itself, the longest first; otherwise the
    devices are divided evenly among them. Several hosts run one stage at a time, on all
    devices, since all of them must do the same in the same order. A stage that needs a
    network which could not be trained is not run, and its members are left out, too.

    Args:
        stages: of one method.
        task: on what, and on which devices.
        execution: how.

    Raises:
        InterruptedRunError: told to stop; what was trained is saved.
    """
    done = read_records(execution.workdir, stages)
    lost = {name for record in done.values() for name in record["left_out"]}
    for stage in stages:
        if stage.name not in done and lost.isdisjoint(stage.needs):
            prepare_stage(stage, task, execution.strategy, execution.store)
    trained: dict[str, MemberState] = {}
    records: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}  # by network that could not be trained, why
    causes: dict[str, str] = {}  # by network that is left out, the one that failed
    waiting = list(stages)
    while waiting:
        ready = [stage for stage in waiting if trained.keys() >= set(stage.needs)]
        assert ready, "stages wait for what none of them trains"
        for stage, result in _side_by_side(ready, task, trained, execution):
            trained |= result.states
            records[stage.name] = result.record
            failures |= result.record["left_out"]
            causes |= {name: name for name in result.record["left_out"]}
            waiting.remove(stage)
        for stage in list(waiting):  # in the order of their needs
            if found := [causes[name] for name in stage.needs if name in causes]:
                causes |= dict.fromkeys(stage.members, found[0])
                waiting.remove(stage)
                execution.progress.skip(planned_flops(stage, task))
    in_order = [records[stage.name] for stage in stages if stage.name in records]
    left_out = {
        name: failures[cause]
        if name == cause
        else f"it needs {cause}, which was left out: {failures[cause]}"
        for name, cause in causes.items()
    }
    return Trained(trained, in_order, left_out)


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
        running = [pool.submit(run, stage) for stage in longest_first]
        wait(running, return_when=FIRST_EXCEPTION)
        failed = [done for done in running if done.done() and done.exception()]
        if failed:  # the others save what they have, and none begins any more
            execution.interruption.request(signal.SIGTERM)
    if failed:
        failed[0].result()
    return [done.result() for done in running]


def _divide(devices: tuple[Device, ...], stages: int) -> list[tuple[Device, ...]]:
    """As many parts as there are stages, at most one for each device."""
    parts = min(stages, len(devices))
    size = len(devices) // parts
    return [devices[i * size : (i + 1) * size] for i in range(parts)]


def _run_or_restore(
    stage: Stage, task: Task, trained: Mapping[str, MemberState], execution: Execution
) -> StageResult:
    execution.interruption.check()
    with execution.interruption.shielded():
        result = _restored(stage, task, execution)
        return result or _run_and_save(stage, task, trained, execution)


def _run_and_save(
    stage: Stage, task: Task, trained: Mapping[str, MemberState], execution: Execution
) -> StageResult:
    folder, progress = stage_folder(execution.workdir, stage), execution.progress
    log = execution.metrics if hosts.is_first() else None
    if log:
        log.forget(stage.name)
    work = UnfinishedWork(folder / "unfinished", execution.interval_seconds)
    try:
        result = run_stage(
            stage,
            task,
            trained,
            strategy=execution.strategy,
            memory=execution.memory,
            executables=Executables(execution.store),
            progress=progress,
            log=log.append if log else lambda **metrics: None,
            work=work,
            interruption=execution.interruption,
        )
    finally:
        work.close()
    states = {name: state._asdict() for name, state in result.states.items()}
    hosts.on_first(lambda: checkpoints.save(folder, states, result.record))
    work.discard()
    if not states:
        progress.message(f"{stage.name}: none of its networks could be trained")
    for name, check in result.record["checks"].items():
        progress.message(
            f"{name} hatched: its logits differed from its MotherNet's by at most "
            f"{check['relative_logit_difference']:.1e} of the largest"
        )
    return result


def _restored(stage: Stage, task: Task, execution: Execution) -> StageResult | None:
    """A finished stage's result; None where there is none, or a damaged one."""
    folder = stage_folder(execution.workdir, stage)

    def find() -> dict[str, Any] | None:
        try:
            record = checkpoints.read_record(folder)
            if record is not None:
                checkpoints.verify(folder, _shapes_of_result(stage, task, record))
        except checkpoints.DamagedError as error:
            _log.warning("%s. The stage %s is trained again", error, stage.name)
            return None
        return record

    record = hosts.on_first(find)
    if record is None:
        return None
    shapes = _shapes_of_result(stage, task, record)
    saved = {}  # where all of its members are left out, there is nothing to read
    if shapes:
        saved = hosts.arrays_on_first(lambda: checkpoints.read(folder, shapes), shapes)
    if hosts.is_first():
        execution.metrics.mend(stage.name, epochs_of(record["history"]))
    execution.progress.message(f"{stage.name}: done already")
    return StageResult({n: MemberState(**s) for n, s in saved.items()}, record)
