"""Run an experiment: methods, their stages in order, evaluation, report."""

import contextlib
import functools
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from mothernets_jax import data_record, hosts, run_folder
from mothernets_jax.architectures import Architecture
from mothernets_jax.capacity import check_memory, check_steps
from mothernets_jax.compilation import Executables, ProgramStore
from mothernets_jax.devices import device_name
from mothernets_jax.ensemble import ENSEMBLES_FOLDER, Ensemble, Member
from mothernets_jax.execution import Execution, Trained, read_records, run_stages
from mothernets_jax.interruption import Interruption
from mothernets_jax.methods import METHODS
from mothernets_jax.methods.budget import budget_flops
from mothernets_jax.plan import describe_clusters, print_plan
from mothernets_jax.progress import RunProgress
from mothernets_jax.report import write_report
from mothernets_jax.report.tables import comparison_table
from mothernets_jax.results import predict_all, summarise
from mothernets_jax.run_log import MetricsLog, provenance
from mothernets_jax.settings import Settings
from mothernets_jax.stages import Composition, Task, planned_flops
from mothernets_jax.strategies import StrategyMemory
from mothernets_jax.task_loading import (
    check_data,
    check_finished,
    computation,
    describe_data,
    load_task,
    read_ood_images,
)

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
        ValueError: bad settings or data, or a folder that holds another experiment or
            a run on other data.
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
        ValueError: bad settings or data, or a folder that holds another experiment, a
            run on other data or no run, or that another process is working in.
        InterruptedRunError: told to stop by a signal; the same call goes on.
    """
    console = console or Console(quiet=True)
    hosts.check_same("the settings", settings.digest())
    done = hosts.on_first(lambda: run_folder.find_results(workdir, settings))
    if done is not None:
        hosts.on_first(lambda: check_finished(workdir, settings))
        console.print(
            f"Everything in {workdir} is done already.", soft_wrap=True, markup=False
        )
        return done
    owner, interruption = run_folder.Owner(workdir, command), Interruption()
    with contextlib.ExitStack() as stack:
        stack.enter_context(interruption.watch())
        stack.callback(owner.release)
        hosts.on_first(lambda: owner.reserve(settings) if workdir.exists() else None)
        task = load_task(settings)
        ood_images = hosts.on_every(lambda: read_ood_images(task, settings))
        described = check_data(workdir, settings, task.dataset, ood_images)
        compositions = _compositions(task, settings)
        check_memory((s for c in compositions.values() for s in c.stages), task)
        # Written to only now that all that could be refused was looked at.
        hosts.on_first(lambda: _begin(owner, workdir, settings, described))
        if store is None:
            store = stack.enter_context(contextlib.closing(ProgramStore()))
        trained = _train_methods(
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
            "methods": trained,
        }
        hosts.on_first(lambda: run_folder.finish(workdir, results))
    return results


def _begin(
    owner: run_folder.Owner,
    workdir: Path,
    settings: Settings,
    described: Mapping[str, Any],
) -> None:
    """Writes into the run's folder what tells it from others: settings, then data."""
    owner.claim(settings)
    data_record.begin(workdir, described, computation(settings))


def _train_methods(
    task: Task,
    ood_images: np.ndarray,
    settings: Settings,
    compositions: Mapping[str, Composition],
    workdir: Path,
    console: Console,
    store: ProgramStore,
    interruption: Interruption,
) -> dict[str, Any]:
    """Every method's entry in `results.json`, after training what is not done."""
    every = [stage for c in compositions.values() for stage in c.stages]
    done = read_records(workdir, every)
    remaining = sum(planned_flops(s, task) for s in every if s.name not in done)
    methods = {}
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
            evaluate = functools.partial(
                _calibrate_and_evaluate,
                _ensemble(method, task, composition.members, trained),
                task,
                composition,
                trained,
                Executables(store),
                interruption,
                folder=workdir / ENSEMBLES_FOLDER / method,
                ood_images=ood_images,
                ood_name=settings.data.ood_name,
                prices=settings.prices,
            )
            methods[method] = hosts.on_first(evaluate)
            interruption.check()
            error = methods[method]["ensemble"][settings.combine]["error"]
            progress.message(f"{method}: ensemble error {error:.2%} on the test set")
    return methods


def _calibrate_and_evaluate(
    ensemble: Ensemble,
    task: Task,
    composition: Composition,
    trained: Trained,
    executables: Executables,
    interruption: Interruption,
    *,
    folder: Path,
    ood_images: np.ndarray,
    ood_name: str,
    prices: Mapping[str, float],
) -> dict[str, Any]:
    """A method's entry in `results.json`; saves the ensemble."""
    predictions = predict_all(ensemble, task, ood_images, executables)
    labels = task.dataset.calibration_labels
    if len(labels):
        ensemble = ensemble.calibrate(predictions.calibration, labels)
    with interruption.shielded():
        ensemble.save(folder)
    results = summarise(
        ensemble,
        predictions,
        task,
        composition,
        trained.records,
        executables,
        ood_name=ood_name,
        prices=prices,
    )
    members = composition.members
    left_out = {n: why for n, why in trained.left_out.items() if n in members}
    return {**results, "left_out": left_out}


def _compositions(task: Task, settings: Settings) -> dict[str, Composition]:
    members = settings.members
    found = {name: METHODS[name](task, settings, members) for name in settings.methods}
    check_steps((s for c in found.values() for s in c.stages), task)
    return found


def _describe_plan(
    task: Task, settings: Settings, compositions: Mapping[str, Composition]
) -> dict[str, Any]:
    """The clusters of the method that has them."""
    clusters = [found for c in compositions.values() for found in c.clusters]
    return describe_clusters(clusters, settings.members, task)


def _ensemble(
    method: str, task: Task, members: Mapping[str, Architecture], trained: Trained
) -> Ensemble:
    """The ensemble's members, out of all networks that a method trained.

    Raises:
        ValueError: none of them could be trained.
    """
    dataset, states = task.dataset, trained.states
    found = {
        n: Member(a, states[n].variables) for n, a in members.items() if n in states
    }
    if not found:
        name, reason = next(iter(trained.left_out.items()))
        raise ValueError(
            f"{method} has no members: training diverged, at a tenth of the learning "
            f"rate too ({name}: {reason}). Lower config.train.learning_rate, or leave "
            f"{method!r} out of config.methods; what other methods trained is kept"
        )
    return Ensemble(
        found,
        mean=dataset.mean,
        std=dataset.std,
        class_names=dataset.class_names,
        input_shape=dataset.input_shape,
    )
