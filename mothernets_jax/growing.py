"""`mn.grow`: members or epochs for a finished run, trained from what it has."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from mothernets_jax.api import TrainedEnsemble
from mothernets_jax.architectures import Architecture
from mothernets_jax.data import GIVEN, Dataset
from mothernets_jax.report import write_report
from mothernets_jax.runs.experiment import train_and_evaluate
from mothernets_jax.runs.failures import explained
from mothernets_jax.runs.growing import GrowingRun, growing_run
from mothernets_jax.runs.handed_data import handed_dataset
from mothernets_jax.runtime import compilation, devices
from mothernets_jax.utils.messages import short_repr


def grow(
    run: TrainedEnsemble | str | Path,
    data: Any = None,
    labels: Any = None,
    *,
    add: Mapping[str, Architecture | str] | None = None,
    replicas: int | None = None,
    drop: Sequence[str] = (),
    distill: str | None = None,
    epochs: int | None = None,
    methods: Sequence[str] = (),
    workdir: str | Path | None = None,
    test: tuple[Any, Any] | None = None,
    validation: tuple[Any, Any] | None = None,
    groups: Any = None,
    augment: Callable | None = None,
    callback: Callable[[dict[str, Any]], None] | None = None,
    progress: bool = True,
    report: bool = True,
    store: compilation.ProgramStore | None = None,
) -> TrainedEnsemble:
    """Adds members or epochs to a finished run, in a new folder, and evaluates it.

    It also leaves members out, or distills the ensemble into one of them. Nothing that
    is trained is trained again, and the finished run stays as it is. The changes are
    made in the order of these arguments. The same call again goes on where it was
    interrupted.

    Args:
        run: an ensemble of `mn.train` or `mn.grow`, or the folder of a finished run.
        data: the data that the run was trained on, where they were handed to it, as
            they were handed to `train`: arrays, a `Dataset`, a table or a data set of
            the Hugging Face library; None for a run whose settings name its data.
        labels: [examples], where `data` are arrays.
        add: new members, by name. Each is hatched from the run's largest MotherNet that
            grows into it; where none does, from the largest trained network that does;
            and where none does either, from a new MotherNet.
        replicas: number of networks, in all, of each of the run's architectures.
        drop: names of members to leave out; what they cost stays counted.
        distill: name of the member that the ensemble is distilled into: it goes on for
            `epochs`, taught by the mean of all members' probabilities, and is then the
            whole ensemble, called NAME_distilled.
        epochs: number of epochs for which every member, or the one that the ensemble is
            distilled into, goes on from its final state, in one cycle of the learning
            rate. Without `distill` members are then called NAME_plusN.
        methods: further methods to train on the same members.
        workdir: the new folder; None for one beside the run's, the same for the same
            changes.
        test: as it was handed to `train` beside arrays, if it was.
        validation: likewise.
        groups: likewise.
        augment: the function that the run was trained with, if it was with one.
        callback: see `train`.
        progress: whether to show bars.
        report: whether to write the page of the grown run.
        store: compiled programs to share with other calls.

    Returns:
        The ensemble of the method that `run` is of, or of the run's first.

    Raises:
        ValueError: a run that is not finished, other data, or a change that cannot be
            made; the message says what to do.
        InterruptedRunError: Ctrl-C; the same call goes on.

    >>> import mothernets_jax as mn
    >>> larger = mn.grow("runs/flowers", replicas=2)  # doctest: +SKIP
    >>> longer = mn.grow(larger, epochs=3)  # doctest: +SKIP
    >>> student = mn.grow(larger, distill="V16_1", epochs=5)  # doctest: +SKIP
    """
    compilation.use_persistent_cache()
    found = growing_run(
        run.workdir if isinstance(run, TrainedEnsemble) else run,
        add=add,
        replicas=replicas,
        drop=drop,
        distill=distill,
        epochs=epochs,
        methods=methods,
        workdir=workdir,
    )
    of_arrays = {"test": test, "validation": validation, "groups": groups}
    dataset = _handed(found, data, labels, of_arrays)
    devices.check_devices()
    with explained(found.settings, found.workdir):
        results = train_and_evaluate(
            found.settings,
            name=found.name,
            workdir=found.workdir,
            command="mothernets_jax.grow",
            console=Console(quiet=not progress, stderr=True),
            store=store,
            callback=callback,
            augmentation=augment,
            dataset=dataset,
            source=found.source,
        )
        if report and jax.process_index() == 0:
            write_report(results, found.workdir)
    first = found.settings.methods[0]
    method = run.method if isinstance(run, TrainedEnsemble) else first
    return TrainedEnsemble.of_run(found.workdir, method, results)


def _handed(
    found: GrowingRun, data: Any, labels: Any, of_arrays: Mapping[str, Any]
) -> Dataset | None:
    """The data where they were handed to the run; None where its settings name them."""
    section = dataclasses.asdict(found.settings.data)
    beside = [labels, *of_arrays.values()]
    if data is None and any(own is not None for own in beside):
        raise ValueError(
            "labels or parts of the data are given without data: give the images, too, "
            "such as grow(run, images, labels)"
        )
    if data is not None:
        dataset = handed_dataset(data, labels, section, of_arrays)
        if dataset is not None:
            return dataset
    if section["name"] == GIVEN:
        raise ValueError(
            f"data is {short_repr(data)}, and the run in {found.source} was trained on "
            "data that were handed to it: give them again, such as grow(run, images, "
            "labels)"
        )
    if data is not None:
        raise ValueError(
            f"data is {short_repr(data)}, and the settings of the run in "
            f"{found.source} name its data: leave it out"
        )
    return None
