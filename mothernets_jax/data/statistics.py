"""Statistics of a data set: the sizes of its classes, and images that it holds twice.

Axes: examples, height, width, channels.
"""

import hashlib
import logging
from typing import Any

import numpy as np

from mothernets_jax.data.dataset import Dataset
from mothernets_jax.data.decoding import EncodedImages
from mothernets_jax.metrics.class_errors import majority_error

_log = logging.getLogger(__name__)


def describe(dataset: Dataset) -> dict[str, Any]:
    """Counts a data set's images and logs, in two lines, how they are spread.

    Args:
        dataset: the data set, already split.

    Returns:
        By name, as in `results.json`: `class_counts`, for each split the number of
        images of each class, in the order of `class_names`; `majority_error`, the test
        error of always answering the most frequent training class;
        `test_images_in_train`, `validation_images_in_train` and
        `calibration_images_in_train`, how many have an exact copy among the training
        images (with whatever label); None where those are streamed, as that would take
        reading all of them.
    """
    counts = class_counts(dataset)
    _log.info(
        "Images of each class: %s; %d classes.",
        ", ".join(_spread(name, of_class) for name, of_class in counts.items()),
        dataset.num_classes,
    )
    copies = _count_copies(dataset)
    return {
        "class_counts": counts,
        "majority_error": majority_error(counts["train"], counts["test"]),
        **{f"{name}_images_in_train": count for name, count in copies.items()},
    }


def class_counts(dataset: Dataset) -> dict[str, list[int]]:
    """Number of images of each class, in the order of `class_names`, by split."""
    splits = {
        "train": dataset.train_labels,
        "calibration": dataset.calibration_labels,
        "validation": dataset.validation_labels,
        "test": dataset.test_labels,
    }
    return {
        name: np.bincount(labels, minlength=dataset.num_classes).tolist()
        for name, labels in splits.items()
    }


def check_copies(dataset: Dataset) -> None:
    """Warns of images that are in two splits; refuses if half of the test images are.

    Equal rows of features are no fault: they are told as information alone.

    Copies of streamed training images are not looked for.

    Args:
        dataset: the data set, already split.

    Raises:
        ValueError: at least half of the test images are training images.
    """
    # Rows of features may well be equal without being the same.
    are_images = dataset.input_shape[:2] != (1, 1)
    level = logging.WARNING if are_images else logging.INFO
    _tell_of_validation_images_that_test(dataset, level)
    if isinstance(dataset.train_images, EncodedImages):
        return
    splits = dataset.validation_images, dataset.test_images
    validated, copies = _copies(dataset.train_images, *splits)
    if validated:
        _log.log(
            level,
            "%s of %s validation images are training images, too, pixel for pixel: on "
            "these the validation error is too good. Remove them from either set.",
            f"{validated:,}",
            f"{len(dataset.validation_images):,}",
        )
    total = len(dataset.test_images)
    if total and copies >= total / 2 and are_images:
        raise ValueError(
            f"{copies:,} of {total:,} test images are training images, too, pixel for "
            "pixel: a test error would say how well they were learned by heart. "
            "Expected test images that train nothing, or at least more of them than "
            "copies: give the test set images of its own"
        )
    if copies:
        _log.log(
            level,
            "%s of %s test images are training images, too, pixel for pixel: on these "
            "the test error is too good. Remove them from either set, unless that is "
            "how the data set is published.",
            f"{copies:,}",
            f"{total:,}",
        )


def _tell_of_validation_images_that_test(dataset: Dataset, level: int) -> None:
    """Tells of validation images that also test what was chosen on them."""
    (copies,) = _copies(dataset.validation_images, dataset.test_images)
    if copies:
        _log.log(
            level,
            "%s of %s test images are validation images, too, pixel for pixel: what is "
            "chosen on those is chosen on test images. Remove them from either set.",
            f"{copies:,}",
            f"{len(dataset.test_images):,}",
        )


def _count_copies(dataset: Dataset) -> dict[str, int | None]:
    """Counts the images of each other split that are training images, too; logs it."""
    others = {
        "calibration": dataset.calibration_images,
        "validation": dataset.validation_images,
        "test": dataset.test_images,
    }
    if isinstance(dataset.train_images, EncodedImages):
        _log.info("Copies of training images are not looked for: they are streamed.")
        return dict.fromkeys(others)
    found = _copies(dataset.train_images, *others.values())
    copies = dict(zip(others, found, strict=True))
    _log.info(
        "Exact copies of training images: %s.",
        ", ".join(
            f"{count:,} of {len(others[name]):,} {name} images"
            for name, count in copies.items()
        ),
    )
    return dict(copies)


def _copies(images: np.ndarray, *others: np.ndarray) -> list[int]:
    """Number of images of each other set that are among these (training) images."""
    seen = set(_digests(images))
    return [sum(digest in seen for digest in _digests(images)) for images in others]


def _spread(split: str, counts: list[int]) -> str:
    """Range of the counts of a split, such as "train 4,499 to 4,501"."""
    least, most = min(counts), max(counts)
    return f"{split} {least:,}" + (f" to {most:,}" if least != most else "")


def _digests(images: np.ndarray) -> list[bytes]:
    """16 bytes for each image, the same for the same pixels."""
    images = np.ascontiguousarray(images)
    return [hashlib.blake2b(image, digest_size=16).digest() for image in images]
