"""Run an experiment: methods, their stages in order, evaluation, report."""

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mothernets_jax import checkpoints, data
from mothernets_jax.compilation import Executables, ProgramStore
from mothernets_jax.data import counts
from mothernets_jax.devices import compute_dtype, device_name
from mothernets_jax.ensemble import ENSEMBLES_FOLDER, Ensemble, Member
from mothernets_jax.execution import Execution, run_stages, stage_folder
from mothernets_jax.methods import METHODS
from mothernets_jax.methods.mothernets import clusters_of
from mothernets_jax.plan import describe_clusters, print_plan
from mothernets_jax.progress import RunProgress
from mothernets_jax.report import write_report
from mothernets_jax.report_tables import comparison_table
from mothernets_jax.results import summarise
from mothernets_jax.run_log import provenance
from mothernets_jax.settings import Settings
from mothernets_jax.stages import Stage, Task, make_task, planned_flops
from mothernets_jax.strategies import StrategyMemory

_log = logging.getLogger(__name__)

_CONFIG, _RESULTS = "config.json", "results.json"


def show_plan(settings: Settings, console: Console) -> None:
    """Prints what a run with these settings would do."""
    task = _load_task(settings)
    print_plan(
        console,
        _describe_clusters(task, settings),
        _stages(task, settings),
        task,
        strategy=settings.strategy,
        noise=settings.hatch.noise,
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
    report = write_report(results, workdir)
    console.print(comparison_table(results))
    console.print(f"report: {report}", soft_wrap=True, highlight=False)
    _log.info("finished after %.0f s", time.perf_counter() - started)
    return results


def train_and_evaluate(
    settings: Settings,
    *,
    name: str,
    workdir: Path,
    command: str,
    console: Console,
    store: ProgramStore | None = None,
) -> dict[str, Any]:
    """The same as `run` without its report.

    Args:
        settings: what to run.
        name: of the experiment.
        workdir: the run's folder; made if need be.
        command: the command line, for the record.
        console: where progress is shown.
        store: compiled programs to share with other runs of this process.

    Returns:
        The content of `results.json`.

    Raises:
        ValueError: bad settings or data, or a folder that holds another experiment.
    """
    _check_owner(workdir, settings)
    if (workdir / _RESULTS).exists():
        console.print(f"Everything in {workdir} is done already.", soft_wrap=True)
        return checkpoints.read_json(workdir / _RESULTS)
    task = _load_task(settings)
    stages = _stages(task, settings)
    _claim(workdir, settings)
    with contextlib.ExitStack() as stack:
        if store is None:
            store = stack.enter_context(contextlib.closing(ProgramStore()))
        trained = _train_methods(task, settings, stages, workdir, console, store)
    results = {
        "name": name,
        "provenance": provenance(command, device_name()),
        "data": _describe_data(settings, task),
        "plan": _describe_clusters(task, settings),
        "methods": trained,
    }
    checkpoints.write_json(workdir / _RESULTS, results)
    return results


def _train_methods(
    task: Task,
    settings: Settings,
    stages: Mapping[str, Sequence[Stage]],
    workdir: Path,
    console: Console,
    store: ProgramStore,
) -> dict[str, Any]:
    """Every method's entry in `results.json`, after training what is not done."""
    remaining = sum(
        planned_flops(stage, task)
        for listed in stages.values()
        for stage in listed
        if checkpoints.read_record(stage_folder(workdir, stage)) is None
    )
    methods = {}
    with RunProgress(remaining, console) as progress:
        execution = Execution(
            workdir,
            settings.strategy,
            StrategyMemory(workdir / "strategies.json"),
            store,
            progress,
        )
        for method, listed in stages.items():
            trained, records = run_stages(listed, task, execution)
            ensemble = _ensemble(task, settings, trained)
            ensemble.save(workdir / ENSEMBLES_FOLDER / method)
            methods[method] = summarise(ensemble, task, records, Executables(store))
            error = methods[method]["ensemble"][settings.combine]["error"]
            progress.message(f"{method}: ensemble error {error:.2%} on the test set")
    return methods


def _load_task(settings: Settings) -> Task:
    dataset = data.load(
        settings.data.name,
        directory=settings.data.dir,
        fold=settings.data.fold,
        train_examples=settings.data.train_examples,
        validation_fraction=settings.data.validation_fraction,
        image_size=settings.data.image_size,
    )
    return make_task(
        dataset,
        crop_padding=settings.data.crop_padding,
        crop_border=settings.data.crop_border,
        flip=settings.data.flip,
        seed=settings.seed,
        batch_size=settings.train.batch_size,
        dtype=compute_dtype(settings.precision),
    )


def _stages(task: Task, settings: Settings) -> dict[str, Sequence[Stage]]:
    members = settings.members
    return {name: METHODS[name](task, settings, members) for name in settings.methods}


def _describe_clusters(task: Task, settings: Settings) -> dict[str, Any]:
    clusters = clusters_of(task, settings, settings.members)
    return describe_clusters(clusters, settings.members, task)


def _check_owner(workdir: Path, settings: Settings) -> None:
    """Makes sure that an existing folder is this experiment's."""
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"--workdir={workdir} is a file: expected a folder")
    path = workdir / _CONFIG
    if not path.exists():
        return
    found, wanted = checkpoints.read_json(path), settings.to_json()
    if found != wanted:
        raise ValueError(
            f"{workdir} holds another experiment: {_differences(found, wanted)}. "
            "Choose another --workdir, or delete that folder"
        )


def _claim(workdir: Path, settings: Settings) -> None:
    """Makes the run's folder, after all that could be refused was looked at."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        checkpoints.write_json(workdir / _CONFIG, settings.to_json())
    except OSError as error:
        raise ValueError(
            f"--workdir={workdir} cannot be written ({error.strerror}): expected a "
            "folder that you may write to"
        ) from None


def _differences(found: Any, wanted: Any, path: str = "config") -> str:
    """The fields in which two settings differ, with both values."""
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return f"{path} is {found!r} there and {wanted!r} here"
    names = sorted(found.keys() | wanted.keys())
    return "; ".join(
        _differences(found.get(name), wanted.get(name), f"{path}.{name}")
        for name in names
        if found.get(name) != wanted.get(name)
    )


def _ensemble(task: Task, settings: Settings, trained: Mapping[str, Any]) -> Ensemble:
    """The ensemble's members, out of all networks that a method trained."""
    dataset = task.dataset
    return Ensemble(
        {name: Member(a, trained[name]) for name, a in settings.members.items()},
        mean=dataset.mean,
        std=dataset.std,
        class_names=dataset.class_names,
        input_shape=dataset.input_shape,
    )


def _describe_data(settings: Settings, task: Task) -> dict[str, Any]:
    dataset = task.dataset
    return {
        "name": settings.data.name,
        "train_examples": len(dataset.train_labels),
        "validation_examples": len(dataset.validation_labels),
        "test_examples": len(dataset.test_labels),
        "input_shape": list(dataset.input_shape),
        "class_names": list(dataset.class_names),
        **counts.describe(dataset),
    }
