"""Run an experiment: train its methods' stages, evaluate and report."""

import contextlib
import functools
import logging
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from mothernets_jax.config.augmentation import with_function
from mothernets_jax.config.identity import digest
from mothernets_jax.config.settings import Settings
from mothernets_jax.data import Dataset, run_record
from mothernets_jax.methods.budget import budget_flops, in_epochs
from mothernets_jax.report import write_report
from mothernets_jax.report.certainty import paired_lines
from mothernets_jax.report.tables import comparison_table
from mothernets_jax.runs import finished_run, run_folder
from mothernets_jax.runs.budgets import plan_budget
from mothernets_jax.runs.copied_run import copy_run
from mothernets_jax.runs.data_table import print_data
from mothernets_jax.runs.limits import check_event_files, check_memory
from mothernets_jax.runs.load_task import (
    check_data,
    check_finished,
    computation,
    describe_data,
    load_task,
    read_ood_images,
)
from mothernets_jax.runs.measure import measure
from mothernets_jax.runs.measured_plan import print_measurement
from mothernets_jax.runs.method_plans import describe_plans, method_plans, planned
from mothernets_jax.runs.mirrored_run import MirroredRun, mirrored
from mothernets_jax.runs.outcomes import Outcomes, evaluate_method
from mothernets_jax.runs.plan import print_plan, remarks_on_classes
from mothernets_jax.runs.planned_stages import remarks_on_costs
from mothernets_jax.runs.provenance import clocks, provenance
from mothernets_jax.runs.scheduler import run_stages
from mothernets_jax.runs.stage_results import read_records
from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.runtime.devices import device_name
from mothernets_jax.runtime.interruption import Interruption
from mothernets_jax.runtime.progress import RunProgress
from mothernets_jax.stages.context import STRATEGIES, RunContext
from mothernets_jax.stages.epoch_log import Callback, EpochLog
from mothernets_jax.stages.stage import MethodPlan, planned_flops
from mothernets_jax.stages.strategy import StrategyMemory
from mothernets_jax.stages.task import Task
from mothernets_jax.storage import files
from mothernets_jax.training.augmentations.own import Function

_log = logging.getLogger(__name__)


def show_plan(
    settings: Settings,
    console: Console,
    *,
    with_data: bool = False,
    measured: bool = False,
) -> None:
    """Prints the clusters, stages and FLOPs of a run with these settings.

    Args:
        settings: the run's settings.
        console: the console to print on.
        with_data: whether to begin with a table of the images.
        measured: whether to compile every program and time a few of its steps, for the
            minutes, dollars and bytes that the run will take.
    """
    task = load_task(settings)
    with contextlib.closing(ProgramStore()) as store:
        memory, measurement = StrategyMemory(), None
        if measured:
            started = time.perf_counter()
            budget = plan_budget(settings, task, None, store, started=started)
            budget.hand_on(memory)
            settings = budget.settings
            measurement = measure(settings, task, store=store, memory=memory)
        else:
            settings = in_epochs(settings, task)
        plans = method_plans(task, settings)
    if with_data:
        print_data(console, settings.data, task.dataset)
    print_plan(
        console,
        describe_plans(task, settings, plans),
        planned(task, settings, plans),
        task,
        noise=settings.hatch.noise,
        budget=budget_flops(task, settings, settings.members),
        limit=settings.budget.limit,
    )
    if measurement is not None:
        print_measurement(console, measurement, plans, task, settings)


def run(
    settings: Settings,
    *,
    name: str,
    workdir: Path,
    command: str,
    console: Console,
    source: Path | None = None,
    mirror: str | None = None,
) -> dict[str, Any]:
    """Trains, evaluates and reports every method, going on from what is done.

    Args:
        settings: the experiment's settings.
        name: the experiment's name, for the report.
        workdir: the run's folder, made if it does not exist.
        command: the command line, told in the report.
        console: the console that shows results and progress.
        source: see `train_and_evaluate`.
        mirror: URL of a store that what is saved is copied to, and fetched from by a
            machine that begins with an empty disk; None for none.

    Returns:
        The content of `results.json`.

    Raises:
        ValueError: bad settings or data, a folder or mirror that holds another
            experiment or a run on other data, or a mirror that cannot be used.
    """
    started = time.perf_counter()
    with mirrored(mirror, workdir) as copy:
        results = train_and_evaluate(
            settings,
            name=name,
            workdir=workdir,
            command=command,
            console=console,
            source=source,
            mirror=copy,
        )
        report = multihost.run_on_host0(lambda: str(write_report(results, workdir)))
    console.print(comparison_table(results))
    if lines := paired_lines(results):
        console.print("difference of average errors, 95% interval over test images:")
    for line in lines:
        console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"report: {report}", soft_wrap=True, highlight=False, markup=False)
    _log.info("finished after %.0f s", time.perf_counter() - started)
    return results


def train_and_evaluate(
    settings: Settings,
    *,
    name: str,
    workdir: Path,
    command: str = "",
    console: Console | None = None,
    store: ProgramStore | None = None,
    callback: Callback | None = None,
    augmentation: Function | None = None,
    dataset: Dataset | None = None,
    source: Path | None = None,
    mirror: MirroredRun | None = None,
) -> dict[str, Any]:
    """Trains and evaluates every method, the same as `run` without its report.

    Args:
        settings: the experiment's settings.
        name: the experiment's name, for `results.json`.
        workdir: the run's folder, made if it does not exist.
        command: the command line, written into `results.json`.
        console: the console that shows progress; None shows nothing.
        store: compiled programs to share with other runs of this process; None
            compiles for this run alone.
        callback: a function that is given each new line of `metrics.jsonl`, as a
            dictionary, in order and one at a time; of several hosts, on the first
            alone. Where it raises, what was trained is saved before the run ends.
        augmentation: a pure function (key, images) -> images of one's own, which varies
            each member's batches after crops and flips: raw pixels, [batch, height,
            width, channels], of unchanged shape and dtype. Its source is a part of the
            settings, see `config.augmentation`; a run goes on with the same alone.
        dataset: the data, for settings whose `data.name` is `data.GIVEN`; None to load
            what the settings name.
        source: the folder of a finished run that this one grows from, whose stages are
            copied; None for none.
        mirror: the run's mirror, from `mirrored_run.mirrored`; None for none.

    Returns:
        The content of `results.json`.

    Raises:
        ValueError: bad settings or data, or a folder that holds another experiment, a
            run on other data or no run, or that another process is working in.
        InterruptedRunError: a signal asked the run to stop; the same call goes on from
            there.
        Exception: what the callback raised; the same call goes on from there.
    """
    console, started = console or Console(quiet=True), time.perf_counter()
    settings = with_function(settings, augmentation)
    multihost.check_same("the settings", digest(settings))
    multihost.run_on_host0(lambda: check_event_files(settings))
    owner, interruption = run_folder.RunLock(workdir, command), Interruption()
    copy = mirror or MirroredRun(workdir)
    with contextlib.ExitStack() as stack:
        stack.callback(owner.release)
        multihost.run_on_host0(lambda: copy.fetch(settings, owner))
        before, kept = multihost.run_on_host0(lambda: _find(workdir, settings))
        if before and kept.keys() >= set(settings.methods):
            _check_and_mend(workdir, settings, before, owner, dataset, console)
            return before
        stack.enter_context(interruption.watch())
        multihost.run_on_host0(lambda: owner.reserve_existing(settings))
        task = load_task(settings, augmentation, dataset)
        ood_images = multihost.run_on_every_host(
            lambda: read_ood_images(task, settings)
        )
        folders = [workdir] if source is None else [source, workdir]
        described = check_data(folders, settings, task.dataset, ood_images)
        if store is None:
            store = stack.enter_context(contextlib.closing(ProgramStore()))
        budget = plan_budget(settings, task, source or workdir, store, started=started)
        compositions = method_plans(task, budget.settings)
        check_memory((s for c in compositions.values() for s in c.stages), task)
        multihost.run_on_host0(lambda: _log_remarks(task, settings, compositions))
        # Written to only now that all that could be refused was looked at.
        begin = functools.partial(_begin, owner, workdir, settings, described, source)
        multihost.run_on_host0(begin)
        budget.keep(workdir)
        multihost.run_on_host0(lambda: copy.begin(settings, owner))
        progress = RunProgress(_remaining(workdir, compositions, kept, task), console)
        log = owner.epoch_log(settings, callback, interruption)
        context = _context(workdir, settings, store, progress, log, interruption, copy)
        with log.raising_failure():
            outcomes = _train_methods(
                task, ood_images, budget.settings, compositions, kept, context
            )
        results = _results(
            name, command, workdir, settings, task, compositions, outcomes
        )
        results["clocks"] = clocks(started)
        multihost.run_on_host0(lambda: owner.finish(results))
    return results


def _results(
    name: str,
    command: str,
    workdir: Path,
    settings: Settings,
    task: Task,
    plans: Mapping[str, MethodPlan],
    outcomes: Outcomes,
) -> dict[str, Any]:
    """The content of `results.json`."""
    found = {
        "name": name,
        "provenance": provenance(command, device_name()) | _changes(workdir),
        "data": describe_data(settings, task),
        "plan": describe_plans(task, settings, plans),
        **outcomes._asdict(),
    }
    return files.without_nonfinite(found)


def _context(
    workdir: Path,
    settings: Settings,
    store: ProgramStore,
    progress: RunProgress,
    log: EpochLog,
    interruption: Interruption,
    mirror: MirroredRun,
) -> RunContext:
    """The context of a run whose folder is there and is its own."""
    return RunContext(
        workdir,
        settings.strategy,
        StrategyMemory(workdir / STRATEGIES),
        store,
        progress,
        log,
        interruption,
        settings.checkpoint.interval_seconds,
        mirror.guard,
        settings.placement,
        mirror.saved,
    )


def _begin(
    owner: run_folder.RunLock,
    workdir: Path,
    settings: Settings,
    described: Mapping[str, Any],
    source: Path | None,
) -> None:
    """Records in the run's folder its settings, then the identity of its data."""
    owner.acquire(settings)
    if source is not None:
        copy_run(source, workdir, owner.check)
    run_record.begin(workdir, described, computation(settings))


def _changes(workdir: Path) -> dict[str, str]:
    """Changes, on the way, of what the run is made with, for the provenance."""
    found = multihost.run_on_host0(lambda: run_record.changes_of(workdir))
    return {"changed on the way": found} if found else {}


def _find(
    workdir: Path, settings: Settings
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Results of a finished run, and the entries of methods whose ensembles are whole.

    Returns:
        The content of `results.json`, None if the run is not finished; and of its
        methods the entries that are kept, by method.
    """
    found = run_folder.find_results(workdir, settings)
    if found is None:
        return None, {}
    return found, finished_run.whole_entries(workdir, found)


def _check_and_mend(
    workdir: Path,
    settings: Settings,
    results: Mapping[str, Any],
    owner: run_folder.RunLock,
    dataset: Dataset | None,
    console: Console,
) -> None:
    """Checks the data of a finished run, mends what is small of its files, says so."""

    def check_and_mend() -> None:
        check_finished(workdir, settings, dataset)
        finished_run.mend_files(workdir, settings, results, owner)

    multihost.run_on_host0(check_and_mend)
    done = f"Everything in {workdir} is done already."
    console.print(done, soft_wrap=True, markup=False)


def _remaining(
    workdir: Path,
    compositions: Mapping[str, MethodPlan],
    kept: Collection[str],
    task: Task,
) -> float:
    """Training FLOPs of the stages that are not done, of methods that are not kept."""
    every = [
        s for name, c in compositions.items() if name not in kept for s in c.stages
    ]
    done = read_records(workdir, every)
    return sum(planned_flops(s, task) for s in every if s.name not in done)


def _train_methods(
    task: Task,
    ood_images: np.ndarray,
    settings: Settings,
    compositions: Mapping[str, MethodPlan],
    kept: Mapping[str, dict[str, Any]],
    context: RunContext,
) -> Outcomes:
    """Trains what is not done yet and evaluates every method that is not kept.

    Raises:
        ValueError: no method has a member; what was trained is saved.
    """
    outcomes, interruption = Outcomes({}, {}), context.interruption
    with context.progress as progress:
        for method, composition in compositions.items():
            entry = kept.get(method)
            if entry is None:
                trained = run_stages(composition.stages, task, context)
                interruption.check()
                entry = evaluate_method(
                    method, composition, trained, task, settings, context, ood_images
                )
                interruption.check()
            progress.message(outcomes.add(method, entry, settings.combine, task))
    outcomes.check_any()
    assert context.workdir is not None
    compared = functools.partial(outcomes.compared, context.workdir)
    return Outcomes(*multihost.run_on_host0(compared))


def _log_remarks(
    task: Task, settings: Settings, plans: Mapping[str, MethodPlan]
) -> None:
    """Logs what a reader of the plan should know before hours are spent on it."""
    for sentence in remarks_on_classes(task):
        _log.info("%s", sentence)
    for sentence in remarks_on_costs(planned(task, settings, plans)):
        _log.warning("%s", sentence)
