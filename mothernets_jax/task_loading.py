"""From settings to what every stage works on, the same on every host."""

import json
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mothernets_jax import data, data_record, hosts
from mothernets_jax.data import Dataset, counts, identity
from mothernets_jax.devices import compute_dtype, memory_bytes
from mothernets_jax.run_log import versions
from mothernets_jax.settings import Settings
from mothernets_jax.stages import Task, make_task

_log = logging.getLogger(__name__)


def load_task(settings: Settings) -> Task:
    """Every host reads the data for itself.

    Raises:
        ValueError: data that cannot be read or used as the settings say.
    """
    return hosts.on_every(lambda: _read_task(settings))


def check_data(
    workdir: Path, settings: Settings, dataset: Dataset, ood_images: np.ndarray
) -> dict[str, Any]:
    """Makes sure that every host has the same data, those that the run was begun on.

    Args:
        workdir: the run's folder, which need not be there yet.
        settings: of the run.
        dataset: as it was loaded on this host.
        ood_images: uint8 [examples, height, width, channels]; may be empty.

    Returns:
        The data, as `identity.describe` has them.

    Raises:
        ValueError: a host has other data than the first, or all have other data than
            the run was begun on.
    """
    described = identity.describe(
        dataset, name=settings.data.name, ood_images=ood_images
    )
    hosts.check_same("the data", json.dumps(described))
    made_with = computation(settings)
    hosts.on_first(lambda: data_record.check(workdir, described, made_with))
    return described


def check_finished(workdir: Path, settings: Settings) -> None:
    """Makes sure that the data are still those that a finished run was begun on.

    Data that cannot be read any more are no other data: that is a warning.

    Raises:
        ValueError: they are others, or their record is damaged.
    """
    if data_record.read(workdir) is None:
        data_record.warn_of_no_record(workdir)
        return
    try:
        dataset = _read_dataset(settings)
        ood_images = _read_ood_images(settings, dataset.input_shape)
    except (ValueError, OSError) as error:
        _log.warning("The data of the run in %s cannot be checked: %s", workdir, error)
        return
    described = identity.describe(
        dataset, name=settings.data.name, ood_images=ood_images
    )
    data_record.check(workdir, described, computation(settings), finished=True)


def computation(settings: Settings) -> dict[str, str]:
    """In which precision networks are trained, by which versions."""
    reduced = compute_dtype(settings.precision) is not None
    return {"precision": "bfloat16" if reduced else "float32", **versions()}


def _read_task(settings: Settings) -> Task:
    count, batch_size = jax.process_count(), settings.train.batch_size
    if batch_size % count:
        raise ValueError(
            f"config.train.batch_size is {batch_size}: expected a multiple of {count}, "
            "the number of hosts that a batch is divided among"
        )
    dataset = _read_dataset(settings)
    counts.check_test_images(dataset)
    return make_task(
        dataset,
        crop_padding=settings.data.crop_padding if settings.data.crop == "shift" else 0,
        crop_border=settings.data.crop_border,
        flip=settings.data.flip,
        seed=settings.seed,
        batch_size=settings.train.batch_size,
        dtype=compute_dtype(settings.precision),
        stream_workers=settings.data.workers,
    )


def _read_dataset(settings: Settings) -> Dataset:
    return data.load(
        settings.data.name,
        directory=settings.data.dir,
        fold=settings.data.fold,
        train_examples=settings.data.train_examples,
        validation_fraction=settings.data.validation_fraction,
        calibration_fraction=settings.data.calibration_fraction,
        image_size=settings.data.image_size,
        crop=settings.data.crop,
        memory_bytes=int(settings.data.memory_share * memory_bytes()),
    )


def read_ood_images(task: Task, settings: Settings) -> np.ndarray:
    """Test images of another data set; none where none is named."""
    return _read_ood_images(settings, task.input_shape)


def _read_ood_images(
    settings: Settings, input_shape: tuple[int, int, int]
) -> np.ndarray:
    return data.load_ood_images(
        settings.data.ood_name,
        directory=settings.data.ood_dir,
        crop=settings.data.crop,
        input_shape=input_shape,
    )


def describe_data(settings: Settings, task: Task) -> dict[str, Any]:
    """What was trained and evaluated on, for `results.json`."""
    dataset = task.dataset
    return {
        "name": settings.data.name,
        "train_examples": len(dataset.train_labels),
        "calibration_examples": len(dataset.calibration_labels),
        "validation_examples": len(dataset.validation_labels),
        "test_examples": len(dataset.test_labels),
        "streamed": dataset.streamed,
        "input_shape": list(dataset.input_shape),
        "class_names": list(dataset.class_names),
        **counts.describe(dataset),
    }
