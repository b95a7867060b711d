"""Load the data and task that every stage works on, the same on every host."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mothernets_jax import data
from mothernets_jax.config.field_names import DATA, OOD_DATA, TASK, named_as_fields
from mothernets_jax.config.settings import Settings
from mothernets_jax.data import Dataset, identity, run_record, statistics
from mothernets_jax.methods.saved_mother import with_saved_normalisation
from mothernets_jax.runs.provenance import random_numbers, versions
from mothernets_jax.runs.read_data import read_dataset
from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.devices import compute_dtype, memory_bytes
from mothernets_jax.stages.task import Task, make_task
from mothernets_jax.training.augmentations.own import Function

_log = logging.getLogger(__name__)


def load_task(
    settings: Settings,
    augmentation: Function | None = None,
    dataset: Dataset | None = None,
) -> Task:
    """Reads the data, on every host for itself, and makes the task of a run.

    Args:
        settings: the run's settings.
        augmentation: the function that `data.augment` names as `own:NAME:DIGEST`; None
            where it names none.

        dataset: the data, where they are handed over; None to load them.

    Raises:
        ValueError: data that cannot be read or used as the settings say.
    """
    return multihost.run_on_every_host(
        lambda: _read_task(settings, augmentation, dataset)
    )


def check_data(
    workdirs: Sequence[Path],
    settings: Settings,
    dataset: Dataset,
    ood_images: np.ndarray,
) -> dict[str, Any]:
    """Makes sure that every host has the same data, those that the run was begun on.

    Args:
        workdirs: the run's folder, which need not be there yet, and that of the run
            that it grows from, if there is one.
        settings: the run's settings.
        dataset: the data set as loaded on this host.
        ood_images: another data set's test images, uint8 [examples, height, width,
            channels]; may have no examples.

    Returns:
        The data's description by `identity.describe`, as plain values.

    Raises:
        ValueError: a host has other data than the first, or all have other data than
            the run was begun on, or draw random numbers otherwise.
    """
    described = identity.describe(
        dataset, name=settings.data.name, ood_images=ood_images
    )
    multihost.check_same("the data", json.dumps(described))
    own = computation(settings)
    multihost.check_same("the random number settings", json.dumps(own.random_numbers))
    compare = named_as_fields(DATA)(run_record.check)
    for workdir in workdirs:
        multihost.run_on_host0(lambda folder=workdir: compare(folder, described, own))
    return described


def check_finished(
    workdir: Path, settings: Settings, dataset: Dataset | None = None
) -> None:
    """Makes sure that the data are still those that a finished run was begun on.

    Data that can no longer be read are not taken for other data: they only cause a
    warning.

    Args:
        workdir: the run's folder.
        settings: the run's settings.
        dataset: the data, where they are handed over; None to load them.

    Raises:
        ValueError: the data are others, or their record is damaged.
    """
    if run_record.read(workdir) is None:
        run_record.warn_of_no_record(workdir)
        return
    try:
        dataset = read_dataset(settings, memory_bytes()) if dataset is None else dataset
        dataset = with_saved_normalisation(dataset, settings)
        ood_images = _read_ood_images(settings, dataset.input_shape)
    except (ValueError, OSError) as error:
        _log.warning("The data of the run in %s cannot be checked: %s", workdir, error)
        return
    described = identity.describe(
        dataset, name=settings.data.name, ood_images=ood_images
    )
    run_record.check(workdir, described, computation(settings), finished=True)


def computation(settings: Settings) -> run_record.Computation:
    """Precision, versions and settings of random numbers that a run computes with."""
    reduced = compute_dtype(settings.precision) is not None
    made_with = {"precision": "bfloat16" if reduced else "float32", **versions()}
    return run_record.Computation(made_with, random_numbers())


@named_as_fields(TASK)
def _read_task(
    settings: Settings, augmentation: Function | None, dataset: Dataset | None
) -> Task:
    count, batch_size = jax.process_count(), settings.train.batch_size
    if batch_size % count:
        raise ValueError(
            f"config.train.batch_size is {batch_size}: expected a multiple of {count}, "
            "the number of hosts that a batch is divided among"
        )
    dataset = read_dataset(settings, memory_bytes()) if dataset is None else dataset
    dataset = with_saved_normalisation(dataset, settings)
    statistics.check_copies(dataset)
    return make_task(
        dataset,
        crop_padding=settings.data.crop_padding if settings.data.crop == "shift" else 0,
        crop_border=settings.data.crop_border,
        flip=settings.data.flip,
        seed=settings.seed,
        batch_size=settings.train.batch_size,
        dtype=compute_dtype(settings.precision),
        stream_workers=settings.data.workers,
        augment=settings.data.augment,
        function=augmentation,
    )


def read_ood_images(task: Task, settings: Settings) -> np.ndarray:
    """Reads another data set's test images, for the detection of unknown images.

    Returns:
        uint8 [examples, height, width, channels], of the task's image size; without
        examples if the settings name no other data set.
    """
    return _read_ood_images(settings, task.input_shape)


@named_as_fields(OOD_DATA)
def _read_ood_images(
    settings: Settings, input_shape: tuple[int, int, int]
) -> np.ndarray:
    return data.load_ood_images(
        settings.data.ood_name,
        directory=settings.data.ood_dir,
        crop=settings.data.crop,
        resize=settings.data.resize,
        input_shape=input_shape,
    )


def describe_data(settings: Settings, task: Task) -> dict[str, Any]:
    """Description of the data set and its splits, for `results.json`."""
    dataset = task.dataset
    return {
        "name": settings.data.name,
        "train_examples": len(dataset.train_labels),
        "calibration_examples": len(dataset.calibration_labels),
        "validation_examples": len(dataset.validation_labels),
        "test_examples": len(dataset.test_labels),
        "streamed": dataset.streamed,
        "notes": list(dataset.notes),
        "input_shape": list(dataset.input_shape),
        "class_names": list(dataset.class_names),
        **statistics.describe(dataset),
    }
