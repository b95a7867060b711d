"""One data set, in memory but for training images that are too many for it.

It is split here and nowhere else.

Axes: examples, height, width, channels. Images are uint8 (0..255) or float32, of one
dtype in all splits; a network sees `(images - mean) / std`. Features are images of
height and width 1, each feature a channel.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.data import checks, streaming
from mothernets_jax.data.channel_statistics import channel_statistics
from mothernets_jax.data.decoding import EncodedImages
from mothernets_jax.data.digests import Source, digest_of
from mothernets_jax.data.grouped_splits import draw_groups
from mothernets_jax.data.preparation import Preparation
from mothernets_jax.data.split_sizes import (
    SplitSizes,
    count_examples,
    stratified_order,
)

_log = logging.getLogger(__name__)


class LazyLabels(NamedTuple):
    """Labels that are read only when a `Dataset` is made of them.

    Attributes:
        examples: number of labels.
        read: function from numbers of examples, int [n], to their labels, int [n].
    """

    examples: int
    read: Callable[[np.ndarray], np.ndarray]


# Images in memory, uint8 or float32 [examples, height, width, channels], or in files.
Images = np.ndarray | EncodedImages


Labels = np.ndarray | LazyLabels


class Arrays(NamedTuple):
    """Images and labels as a loader finds them, in the order that `split` takes.

    Attributes:
        train_images: uint8 [examples, height, width, channels], all that may train.
        train_labels: int [examples], indices into `class_names`.
        test_images: uint8 [test examples, height, width, channels].
        test_labels: int [test examples], indices into `class_names`.
        class_names: one name for each class.
        validation_images: a validation split of the data set's own, uint8 [validation
            examples, height, width, channels]; None where it has none.
        validation_labels: int [validation examples], indices into `class_names`; None
            where there are no such images.
        notes: sentences on how the data were read, for the log and the report.
    """

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    class_names: tuple[str, ...]
    validation_images: Images | None = None
    validation_labels: Labels | None = None
    notes: tuple[str, ...] = ()


# So many training images give the mean and deviation of a streamed set.
STATISTICS_IMAGES = 2048


class Dataset(NamedTuple):
    """Training, calibration, validation and test split of a classification data set.

    Attributes:
        train_images: uint8 or float32 [examples, height, width, channels]; still in
            their files where they are streamed.
        train_labels: int32 [examples], indices into `class_names`.
        calibration_images: the same dtype [calibration examples, height, width,
            channels], empty where none are kept. On these, and on no others,
            temperatures and the weights of learned combinations are fitted; nothing is
            trained, watched or chosen on them.
        calibration_labels: int32 [calibration examples], indices into `class_names`.
        validation_images: the same dtype [validation examples, height, width,
            channels], empty where none are kept.
        validation_labels: int32 [validation examples], indices into `class_names`.
        test_images: the same dtype [test examples, height, width, channels].
        test_labels: int32 [test examples], indices into `class_names`.
        class_names: one name for each class.
        mean: float32 [channels], in units of the images, over the training images only;
            where they are streamed, over the first `STATISTICS_IMAGES` of them, which
            are a fixed random sample, stratified by class.
        std: float32 [channels], in the same units, over the same images; of pixel
            levels at least 1.
        notes: sentences on how the data were read, for the report.
        source: origin of the training images, which tells them from others: their
            version and, where they are streamed, their files.
        preparation: how images were made of files; None where they were no files.
    """

    train_images: Images
    train_labels: np.ndarray
    calibration_images: np.ndarray
    calibration_labels: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    notes: tuple[str, ...] = ()
    source: Source = Source()
    preparation: Preparation | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image."""
        height, width, channels = self.train_images.shape[1:]
        return height, width, channels

    @property
    def input_dtype(self) -> np.dtype:
        """The dtype of images, uint8 or float32."""
        return self.test_images.dtype

    @property
    def streamed(self) -> bool:
        """True where training images are read again for every epoch."""
        return isinstance(self.train_images, EncodedImages)

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of all images that are not streamed."""
        splits = (
            self.train_images,
            self.calibration_images,
            self.validation_images,
            self.test_images,
        )
        return sum(own.nbytes for own in splits if isinstance(own, np.ndarray))

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


def split(
    train_images: Images,
    train_labels: Labels,
    test_images: Images,
    test_labels: Labels,
    class_names: tuple[str, ...],
    validation_images: Images | None = None,
    validation_labels: Labels | None = None,
    notes: tuple[str, ...] = (),
    *,
    validation_fraction: float = 0.1,
    calibration_fraction: float = 0.0,
    train_examples: int | None = None,
    memory_bytes: int | None = None,
    groups: np.ndarray | None = None,
) -> Dataset:
    """Keeps parts of the training set for validation and calibration, caps the rest.

    All follow one fixed ordering of the training set in which every beginning is
    stratified by class: validation is its end, calibration stands right before it, and
    training is a beginning of what is left. So validation is the same for every
    `calibration_fraction`, both are for every `train_examples`, and the training images
    of a smaller `train_examples` are the first of those of a larger one.

    Args:
        train_images: uint8 [examples, height, width, channels], all that may train.
        train_labels: int [examples], indices into `class_names`.
        test_images: uint8 [test examples, height, width, channels].
        test_labels: int [test examples], indices into `class_names`.
        class_names: one name for each class.
        validation_images: uint8 [validation examples, height, width, channels], where
            the data set has a validation split of its own: it is taken whole, and none
            is drawn from the training set; None where it has none.
        validation_labels: int [validation examples], indices into `class_names`; None
            where there are no such images.
        notes: sentences on how the data were read, handed on to the `Dataset`.
        validation_fraction: share of the training set to keep for validation, in
            [0, 1); 0 keeps none.
        calibration_fraction: share of the training set to keep for calibration, in
            [0, 1); 0 keeps none. Both shares together are less than 1.
        train_examples: number of the remaining images to train on; None for all.
        memory_bytes: number of bytes; training images in files that take more when
            decoded are streamed. None to stream none.
        groups: values [examples]; examples that may train and have equal values stay
            together, so that the shares are kept only about. None where each stands
            alone.

    Raises:
        ValueError: a fraction or number of examples that the images cannot give, a
            class without training images, a label that is none of the classes, images
            in files that would not fit into memory, or that are to be streamed without
            grain.
    """
    assert train_images.shape[1:] == test_images.shape[1:]
    if validation_images is not None:
        assert train_images.shape[1:] == validation_images.shape[1:]
        validation_fraction = 0.0
    fractions = {
        "num_classes": len(class_names),
        "validation_fraction": validation_fraction,
        "calibration_fraction": calibration_fraction,
        "train_examples": train_examples,
    }
    streamed = False
    if isinstance(train_images, EncodedImages):
        # Before even the labels are read, which can take minutes.
        sizes = count_examples(len(train_images), **fractions)
        if validation_images is not None:
            sizes = sizes._replace(validation=len(validation_images))
        shape = train_images.image_shape
        streamed = _is_streamed(sizes, len(test_images), shape, memory_bytes)
    train_labels, test_labels = _read_labels(train_labels), _read_labels(test_labels)
    for part, labels in (("training", train_labels), ("test", test_labels)):
        checks.check_labels(part, labels, class_names)
    if validation_labels is not None:
        validation_labels = _read_labels(validation_labels)
        checks.check_labels("validation", validation_labels, class_names)
    checks.check_every_class_trains(train_labels, class_names)

    train, calibration, validation = _parts(train_labels, groups, fractions)
    if isinstance(train_images, EncodedImages) and streamed:
        train_split = train_images.take(train)
        sample = train_split[:STATISTICS_IMAGES]
    else:
        train_split = sample = _take(train_images, train)
    mean, std = channel_statistics(sample)
    if validation_images is None or validation_labels is None:
        validation_images, validation_labels = train_images, train_labels
    else:
        validation = np.arange(len(validation_images))
    source = Source()
    if isinstance(train_images, EncodedImages):
        source = Source(train_images.source.version)
        if streamed:
            files = f"{train_images.source.files}, {digest_of(train)}"
            source = source._replace(files=files, decoded=digest_of(sample))
    return Dataset(
        train_images=train_split,
        train_labels=train_labels[train].astype(np.int32),
        calibration_images=_take(train_images, calibration),
        calibration_labels=train_labels[calibration].astype(np.int32),
        validation_images=_take(validation_images, validation),
        validation_labels=validation_labels[validation].astype(np.int32),
        # A copy too: a view might keep all of the loader's images in memory.
        test_images=_take(test_images, np.arange(len(test_images))),
        test_labels=test_labels.astype(np.int32),
        class_names=tuple(class_names),
        mean=mean,
        std=std,
        notes=tuple(notes),
        source=source,
    )


def _parts(
    labels: np.ndarray, groups: np.ndarray | None, fractions: dict[str, Any]
) -> list[np.ndarray]:
    """Numbers of the examples that train, calibrate and validate."""
    sizes = count_examples(len(labels), **fractions)
    order = stratified_order(labels)
    if groups is None:
        rest, validation = np.split(order, [len(order) - sizes.validation])
        rest, calibration = np.split(rest, [len(rest) - sizes.calibration])
        return [rest[: sizes.train], calibration, validation]
    parts, left = [], order
    for purpose in ("validation", "calibration"):
        drawn = np.zeros(len(left), np.bool_)
        if fraction := fractions[f"{purpose}_fraction"]:
            share = fraction * len(labels) / len(left)
            drawn = draw_groups(labels[left], groups[left], share, purpose=purpose)
        parts.append(left[drawn])
        left = left[~drawn]
    # Without these groups its beginnings are stratified no longer.
    left = left[stratified_order(labels[left])]
    count_examples(
        len(left),
        num_classes=fractions["num_classes"],
        validation_fraction=0.0,
        calibration_fraction=0.0,
        train_examples=fractions["train_examples"],
    )
    return [left[: fractions["train_examples"]], *reversed(parts)]


def _is_streamed(
    sizes: SplitSizes,
    test_examples: int,
    shape: tuple[int, int, int],
    memory_bytes: int | None,
) -> bool:
    """Tells whether training images in files are too many for memory.

    Raises:
        ValueError: the images that stay in memory would not fit, or grain is missing.
    """
    needed = sizes.train * math.prod(shape)
    streamed = memory_bytes is not None and needed > memory_bytes
    in_memory = {
        "training": 0 if streamed else sizes.train,
        "calibration": sizes.calibration,
        "validation": sizes.validation,
        "test": test_examples,
    }
    checks.check_memory(in_memory, shape)
    if streamed:
        streaming.check_grain()
        _log.info(
            "%s training images take %.2g GiB when decoded: they are streamed.",
            f"{sizes.train:,}",
            needed / 2**30,
        )
    return streamed


def _take(images: Images, examples: np.ndarray) -> np.ndarray:
    """The images of these numbers, as an array of their own."""
    if isinstance(images, EncodedImages):
        return images.take(examples).read()
    return images[examples]


def _read_labels(labels: Labels) -> np.ndarray:
    if isinstance(labels, LazyLabels):
        return labels.read(np.arange(labels.examples))
    return labels
