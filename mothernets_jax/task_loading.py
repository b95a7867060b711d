"""From settings to what every stage works on, the same on every host."""

from typing import Any

import jax
import numpy as np

from mothernets_jax import data, hosts
from mothernets_jax.data import counts
from mothernets_jax.devices import compute_dtype, memory_bytes
from mothernets_jax.settings import Settings
from mothernets_jax.stages import Task, make_task


def load_task(settings: Settings) -> Task:
    """Every host reads the data for itself; all must find the same.

    Raises:
        ValueError: data that cannot be read or used as the settings say.
    """
    task = hosts.on_every(lambda: _read_task(settings))
    dataset = task.dataset
    hosts.check_same("the images", dataset.train_images, dataset.train_labels)
    return task


def _read_task(settings: Settings) -> Task:
    count, batch_size = jax.process_count(), settings.train.batch_size
    if batch_size % count:
        raise ValueError(
            f"config.train.batch_size is {batch_size}: expected a multiple of {count}, "
            "the number of hosts that a batch is divided among"
        )
    dataset = data.load(
        settings.data.name,
        directory=settings.data.dir,
        fold=settings.data.fold,
        train_examples=settings.data.train_examples,
        validation_fraction=settings.data.validation_fraction,
        calibration_fraction=settings.data.calibration_fraction,
        test_fraction=settings.data.test_fraction,
        image_size=settings.data.image_size,
        crop=settings.data.crop,
        resize=settings.data.resize,
        memory_bytes=int(settings.data.memory_share * memory_bytes()),
    )
    counts.check_copies(dataset)
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


def read_ood_images(task: Task, settings: Settings) -> np.ndarray:
    """Test images of another data set; none where none is named."""
    return data.load_ood_images(
        settings.data.ood_name,
        directory=settings.data.ood_dir,
        crop=settings.data.crop,
        resize=settings.data.resize,
        input_shape=task.input_shape,
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
        "notes": list(dataset.notes),
        "input_shape": list(dataset.input_shape),
        "class_names": list(dataset.class_names),
        **counts.describe(dataset),
    }
