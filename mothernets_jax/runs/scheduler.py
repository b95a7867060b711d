"""Run a method's stages, each as soon as its needs are met and devices are free."""

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import jax

from mothernets_jax.runs.placement import stage_devices, tell_of_fewer
from mothernets_jax.runs.schedule import Job, by_priority, startable
from mothernets_jax.runs.stage_jobs import stage_jobs
from mothernets_jax.runs.stage_results import read_records, run_or_restore
from mothernets_jax.runtime.devices import Device
from mothernets_jax.stages.context import RunContext
from mothernets_jax.stages.prepare import prepare_stage
from mothernets_jax.stages.run_stage import StageResult
from mothernets_jax.stages.stage import Stage, planned_flops
from mothernets_jax.stages.task import Task
from mothernets_jax.training.member_step import MemberState


class Trained(NamedTuple):
    """States and records that a method's stages left.

    Attributes:
        states: final state of every trained network, by name.
        records: records of the stages that ran or were restored, in the stages' order.
        left_out: reasons why networks could not be trained, by network.
    """

    states: dict[str, MemberState]
    records: list[dict[str, Any]]
    left_out: dict[str, str]


def run_stages(stages: Sequence[Stage], task: Task, context: RunContext) -> Trained:
    """Restores the stages that are done, and trains and saves the others.

    On several devices a stage starts as soon as the networks that it needs are trained
    and as many devices are free as `placement.stage_devices` has given it, the one at
    the head of the longest path first. Several hosts run one stage at a time, on all
    devices, since all of them must do the same in the same order. A stage that needs a
    network which could not be trained is not run, and its members are left out, too.

    Args:
        stages: all stages of one method.
        task: the task with the images and the devices to train on.
        context: the folder, strategy, progress and the like that all stages of the
            run share.

    Raises:
        InterruptedRunError: the run was asked to stop; what was trained is saved.
    """
    assert context.workdir is not None
    done = read_records(context.workdir, stages)
    lost = {name for record in done.values() for name in record["left_out"]}
    for stage in stages:
        if stage.name not in done and lost.isdisjoint(stage.needs):
            prepare_stage(stage, task, context.strategy, context.store)
    graph = _Graph(stages, lambda stage: planned_flops(stage, task), context)
    several_hosts = jax.process_count() > 1
    if not several_hosts and len(task.devices) == 1:
        tell_of_fewer(graph.jobs(), task, context)
    if several_hosts or len(task.devices) == 1:
        while ready := graph.ready():
            for stage in ready:
                result = run_or_restore(stage, task, graph.trained, context)
                graph.finish(stage, result)
    else:
        _run_side_by_side(graph, task, context)
    return graph.result()


class _Graph:
    """Stages of a method, waiting or done, with their results.

    Attributes:
        stages: all stages, in their order.
        trained: states of the networks trained so far, by name.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        flops_of: Callable[[Stage], float],
        context: RunContext,
    ):
        """Begins with every stage waiting."""
        self.stages, self._flops_of, self._context = stages, flops_of, context
        self._waiting = {stage.name: stage for stage in stages}
        self._records: dict[str, dict[str, Any]] = {}
        self._failures: dict[str, str] = {}  # by network that failed, why
        self._causes: dict[str, str] = {}  # by network left out, the one that failed
        self.trained: dict[str, MemberState] = {}

    def jobs(self) -> list[Job]:
        """All stages as jobs, in their order."""
        return stage_jobs(self.stages, self._flops_of)

    def ready(self) -> list[Stage]:
        """Stages that wait for nothing but a device, in their order."""
        return [
            stage
            for stage in self._waiting.values()
            if self.trained.keys() >= set(stage.needs)
        ]

    def begin(self, stage: Stage) -> None:
        """Removes a stage from those that wait."""
        del self._waiting[stage.name]

    def finish(self, stage: Stage, result: StageResult) -> None:
        """Notes a stage's result; leaves out stages that need a network that failed."""
        self._waiting.pop(stage.name, None)
        self.trained |= result.states
        self._records[stage.name] = result.record
        failed = result.record["left_out"]
        self._failures |= failed
        self._causes |= {name: name for name in failed}
        for other in list(self._waiting.values()):  # in the order of their needs
            found = [self._causes[name] for name in other.needs if name in self._causes]
            if found:
                self._causes |= dict.fromkeys(other.members, found[0])
                del self._waiting[other.name]
                self._context.progress.skip(self._flops_of(other))

    def result(self) -> Trained:
        """Gathers the results of all stages, none of which may still wait."""
        assert not self._waiting, "stages wait for what none of them trains"
        records = [
            self._records[stage.name]
            for stage in self.stages
            if stage.name in self._records
        ]
        failures = self._failures
        left_out = {
            name: failures[cause]
            if name == cause
            else f"it needs {cause}, which was left out: {failures[cause]}"
            for name, cause in self._causes.items()
        }
        return Trained(self.trained, records, left_out)


def _run_side_by_side(graph: _Graph, task: Task, context: RunContext) -> None:
    """Runs a graph on several devices; one stage that fails ends the others."""
    jobs = graph.jobs()
    counts = stage_devices(graph.stages, jobs, task, context)
    rank = {job.name: place for place, job in enumerate(by_priority(jobs))}
    free = list(task.devices)
    running: dict[Future[StageResult], tuple[Stage, tuple[Device, ...]]] = {}
    failed: BaseException | None = None
    with ThreadPoolExecutor(len(free), "stage") as pool:
        while True:
            ready = [] if failed else graph.ready()
            by_name = {stage.name: stage for stage in ready}
            first = sorted(by_name, key=rank.__getitem__)
            for name in startable(first, counts, len(free)):
                stage, count = by_name[name], counts[name]
                devices, free = tuple(free[:count]), free[count:]
                graph.begin(stage)
                placed, trained = task._replace(devices=devices), dict(graph.trained)
                future = pool.submit(run_or_restore, stage, placed, trained, context)
                running[future] = stage, devices
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                stage, devices = running.pop(future)
                free = sorted({*free, *devices}, key=task.devices.index)
                error = future.exception()
                if error is None:
                    graph.finish(stage, future.result())
                elif failed is None:
                    failed = error
                    # The others save what they have, and none begins any more.
                    context.interruption.request(signal.SIGTERM)
    if failed is not None:
        raise failed
