"""Run an experiment: methods, their stages in order, evaluation, report."""

import contextlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from mothernets_jax import files, hosts, run_folder
from mothernets_jax.capacity import check_batch_norm, check_memory, check_steps
from mothernets_jax.compilation import ProgramStore
from mothernets_jax.devices import device_name
from mothernets_jax.execution import Execution, read_records, run_stages
from mothernets_jax.interruption import Interruption
from mothernets_jax.methods import METHODS
from mothernets_jax.methods.budget import budget_flops
from mothernets_jax.outcomes import Outcomes, evaluate_method
from mothernets_jax.plan import describe_clusters, print_plan
from mothernets_jax.progress import RunProgress
from mothernets_jax.report import write_report
from mothernets_jax.report.tables import comparison_table
from mothernets_jax.run_log import MetricsLog, provenance
from mothernets_jax.settings import Settings
from mothernets_jax.stages import Composition, Task, planned_flops
from mothernets_jax.strategies import StrategyMemory
from mothernets_jax.task_loading import describe_data, load_task, read_ood_images

_log = logging.getLogger(__name__)


def show_plan(settings: Settings, console: Console) -> None:
    """Prints what a run with these settings would do."""
    task = load_task(settings)
    compositions = _compositions(task, settings)
    print_plan(
        console,
        _describe_plan(task, settings, compositions),
        {name: c.stages for name, c in compositions.items()},
        task,
        strategy=settings.strategy,
        noise=settings.hatch.noise,
        budget=budget_flops(task, settings, settings.members),
    )


def run(
    settings: Settings,
    *,
    name: str,
    workdir: Path,
    command: str,
    console: Console,
) -> dict[str, Any]:
    """Trains, evaluates and reports every method, or what of it is not done yet.

    Args:
        settings: what to run.
        name: of the experiment, for the report.
        workdir: the run's folder; made if need be.
        command: the command line, for the report.
        console: where results and progress are shown.

    Returns:
        The content of `results.json`.

    Raises:
        ValueError: bad settings or data, or a folder that holds another experiment.
    """
    started = time.perf_counter()
    results = train_and_evaluate(
        settings, name=name, workdir=workdir, command=command, console=console
    )
    report = hosts.on_first(lambda: str(write_report(results, workdir)))
    console.print(comparison_table(results))
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
) -> dict[str, Any]:
    """The same as `run` without its report.

    Args:
        settings: what to run.
        name: of the experiment.
        workdir: the run's folder; made if need be.
        command: the command line, for the record.
        console: where progress is shown; None: nowhere.
        store: compiled programs to share with other runs of this process.

    Returns:
        The content of `results.json`.

    Raises:
        ValueError: bad settings or data, or a folder that holds another experiment or
            that another process is working in.
        InterruptedRunError: told to stop by a signal; the same call goes on.
    """
    console = console or Console(quiet=True)
    hosts.check_same("the settings", settings.digest())
    done = hosts.on_first(lambda: run_folder.find_results(workdir, settings))
    if done is not None:
        console.print(
            f"Everything in {workdir} is done already.", soft_wrap=True, markup=False
        )
        return done
    owner, interruption = run_folder.Owner(workdir, command), Interruption()
    with contextlib.ExitStack() as stack:
        stack.enter_context(interruption.watch())
        stack.callback(owner.release)
        hosts.on_first(lambda: owner.claim(settings) if workdir.exists() else None)
        task = load_task(settings)
        ood_images = hosts.on_every(lambda: read_ood_images(task, settings))
        compositions = _compositions(task, settings)
        check_memory((s for c in compositions.values() for s in c.stages), task)
        # A new folder is made only now that all that could be refused was looked at.
        hosts.on_first(lambda: owner.claim(settings))
        if store is None:
            store = stack.enter_context(contextlib.closing(ProgramStore()))
        outcomes = _train_methods(
            task,
            ood_images,
            settings,
            compositions,
            workdir,
            console,
            store,
            interruption,
        )
        results = {
            "name": name,
            "provenance": provenance(command, device_name()),
            "data": describe_data(settings, task),
            "plan": _describe_plan(task, settings, compositions),
            **outcomes._asdict(),
        }
        results = files.without_nonfinite(results)
        hosts.on_first(lambda: run_folder.finish(workdir, results))
    return results


def _train_methods(
    task: Task,
    ood_images: np.ndarray,
    settings: Settings,
    compositions: Mapping[str, Composition],
    workdir: Path,
    console: Console,
    store: ProgramStore,
    interruption: Interruption,
) -> Outcomes:
    """Every method's entry in `results.json`, after training what is not done.

    Raises:
        ValueError: no method has a member; what was trained is saved.
    """
    every = [stage for c in compositions.values() for stage in c.stages]
    done = read_records(workdir, every)
    remaining = sum(planned_flops(s, task) for s in every if s.name not in done)
    outcomes = Outcomes({}, {})
    with RunProgress(remaining, console) as progress:
        execution = Execution(
            workdir,
            settings.strategy,
            StrategyMemory(workdir / "strategies.json"),
            store,
            progress,
            MetricsLog(workdir / "metrics.jsonl"),
            interruption,
            settings.checkpoint.interval_seconds,
        )
        for method, composition in compositions.items():
            trained = run_stages(composition.stages, task, execution)
            interruption.check()
            entry = evaluate_method(
                method, composition, trained, task, settings, execution, ood_images
            )
            interruption.check()
            progress.message(outcomes.add(method, entry, settings.combine))
    outcomes.check_any()
    return outcomes


def _compositions(task: Task, settings: Settings) -> dict[str, Composition]:
    members = settings.members
    found = {name: METHODS[name](task, settings, members) for name in settings.methods}
    stages = [stage for composition in found.values() for stage in composition.stages]
    check_steps(stages, task)
    check_batch_norm(stages, task)
    return found


def _describe_plan(
    task: Task, settings: Settings, compositions: Mapping[str, Composition]
) -> dict[str, Any]:
    """The clusters of the method that has them."""
    clusters = [found for c in compositions.values() for found in c.clusters]
    return describe_clusters(clusters, settings.members, task)
