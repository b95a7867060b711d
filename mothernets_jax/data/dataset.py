"""One data set, in memory but for training images that are too many for it.

It is split here and nowhere else.

Axes: examples, height, width, channels. Pixels are uint8 (0..255) throughout; a
network sees `(images - mean) / std`.
"""

import logging
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mothernets_jax.data import checks, streaming
from mothernets_jax.data.decoding import EncodedImages
from mothernets_jax.data.digests import Source, digest_of

_log = logging.getLogger(__name__)


class LazyLabels(NamedTuple):
    """Labels that are read only when a `Dataset` is made of them.

    Attributes:
      examples: how many.
      read: from numbers of examples, int [n], to their labels, int [n].
    """

    examples: int
    read: Callable[[np.ndarray], np.ndarray]


# Training images in memory, uint8 [examples, height, width, channels], or streamed.
Images = np.ndarray | EncodedImages
Labels = np.ndarray | LazyLabels
# What a loader returns: train_images [examples, height, width, channels],
# train_labels int [examples], test_images, test_labels (likewise), class_names.
Arrays = tuple[Images, Labels, Images, Labels, tuple[str, ...]]

# Which images validate and calibrate is fixed for good: a run that could draw its own
# (from its seed, say) might train a member on images that another one is validated on.
_SPLIT_SEED = 20181112
# In pixel levels. A channel that never changes would otherwise divide by zero.
_MIN_STD = 1.0
# So many training images give the mean and deviation of a streamed set.
STATISTICS_IMAGES = 2048
# Images squared at once: bounds the temporary copy to a few MB at 32x32.
_CHUNK_IMAGES = 1024


class Dataset(NamedTuple):
    """Training, calibration, validation and test split of a classification data set.

    Attributes:
      train_images: uint8 [examples, height, width, channels]; where they are streamed,
        still in their files.
      train_labels: int32 [examples], indices into `class_names`.
      calibration_images, calibration_labels: likewise; on these, and on no others,
        temperatures and the weights of learned combinations are fitted; nothing is
        trained, watched or chosen on them. Empty where none are kept.
      validation_images, validation_labels: likewise; empty where none are kept.
      test_images, test_labels: likewise.
      class_names: one name a class.
      mean: float32 [channels], over the training images only, in 0..255; where they
        are streamed, over the first `STATISTICS_IMAGES` of them, which are a fixed
        random sample, stratified by class.
      std: float32 [channels], likewise; at least one pixel level.
      source: what else tells these images from others: their version, and where they
        are streamed, their files.
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
    source: Source = Source()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image."""
        height, width, channels = self.train_images.shape[1:]
        return height, width, channels

    @property
    def streamed(self) -> bool:
        """Whether training images are read again for every epoch."""
        return isinstance(self.train_images, EncodedImages)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


def split(
    train_images: Images,
    train_labels: Labels,
    test_images: Images,
    test_labels: Labels,
    class_names: tuple[str, ...],
    *,
    validation_fraction: float = 0.1,
    calibration_fraction: float = 0.0,
    train_examples: int | None = None,
    memory_bytes: int | None = None,
) -> Dataset:
    """Keeps parts of the training set for validation and calibration, caps the rest.

    All follow one fixed ordering of the training set in which every beginning is
    stratified by class: validation is its end, calibration stands right before it, and
    training is a beginning of what is left. So validation is the same for every
    `calibration_fraction`, both are for every `train_examples`, and the training images
    of a smaller `train_examples` are the first of those of a larger one.

    Args:
      train_images: uint8 [examples, height, width, channels], all that may train.
      train_labels: int [examples].
      test_images: uint8 [test examples, height, width, channels].
      test_labels: int [test examples].
      class_names: one name a class.
      validation_fraction: of the training set, in [0, 1); 0 keeps none.
      calibration_fraction: likewise; less than 1 together.
      train_examples: how many of the remaining images train; None for all.
      memory_bytes: training images in files that take more than this are streamed;
        None: they never are.

    Raises:
      ValueError: a fraction or number of examples that the images cannot give, a
        class without training images, a label that is none of the classes, images in
        files that would not fit into memory, or that are to be streamed without grain.
    """
    assert train_images.shape[1:] == test_images.shape[1:]
    fractions = {
        "num_classes": len(class_names),
        "validation_fraction": validation_fraction,
        "calibration_fraction": calibration_fraction,
        "train_examples": train_examples,
    }
    streamed = False
    if isinstance(train_images, EncodedImages):
        # Before even the labels are read, which can take minutes.
        sizes = _count_examples(len(train_images), **fractions)
        shape = train_images.image_shape
        needed = sizes.train * math.prod(shape)
        streamed = memory_bytes is not None and needed > memory_bytes
        in_memory = {
            "training": 0 if streamed else sizes.train,
            "calibration": sizes.calibration,
            "validation": sizes.validation,
            "test": len(test_images),
        }
        checks.check_memory(in_memory, shape)
        if streamed:
            streaming.check_grain()
            _log.info(
                "%s training images take %.2g GiB when decoded: they are streamed.",
                f"{sizes.train:,}",
                needed / 2**30,
            )
    train_labels, test_labels = _read_labels(train_labels), _read_labels(test_labels)
    for part, labels in (("training", train_labels), ("test", test_labels)):
        checks.check_labels(part, labels, class_names)
    checks.check_every_class_trains(train_labels, class_names)

    sizes = _count_examples(len(train_labels), **fractions)
    order = _stratified_order(train_labels)
    rest, validation = np.split(order, [len(order) - sizes.validation])
    rest, calibration = np.split(rest, [len(rest) - sizes.calibration])
    train = rest[: sizes.train]
    if isinstance(train_images, EncodedImages) and streamed:
        train_split = train_images.take(train)
        sample = train_split[:STATISTICS_IMAGES]
    else:
        train_split = sample = _take(train_images, train)
    mean, std = _channel_statistics(sample)
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
        validation_images=_take(train_images, validation),
        validation_labels=train_labels[validation].astype(np.int32),
        # A copy too: a view might keep all of the loader's images in memory.
        test_images=_take(test_images, np.arange(len(test_images))),
        test_labels=test_labels.astype(np.int32),
        class_names=tuple(class_names),
        mean=mean,
        std=std,
        source=source,
    )


def _take(images: Images, examples: np.ndarray) -> np.ndarray:
    """The images of these numbers, as an array of their own."""
    if isinstance(images, EncodedImages):
        return images.take(examples).read()
    return images[examples]


def _read_labels(labels: Labels) -> np.ndarray:
    if isinstance(labels, LazyLabels):
        return labels.read(np.arange(labels.examples))
    return labels


class _Sizes(NamedTuple):
    """How many of the training images train, calibrate and validate."""

    train: int
    calibration: int
    validation: int


def _count_examples(
    total: int,
    *,
    num_classes: int,
    validation_fraction: float,
    calibration_fraction: float,
    train_examples: int | None,
) -> _Sizes:
    """What becomes of `total` training images."""
    validation = _count_kept(total, "validation", validation_fraction)
    calibration = _count_kept(total, "calibration", calibration_fraction)
    available = total - validation - calibration
    if available < num_classes:
        given = f"validation_fraction={validation_fraction}"
        if calibration:
            given += f" and calibration_fraction={calibration_fraction}"
        raise ValueError(
            f"{given} leaves {max(available, 0)} of {total} images to train on, "
            f"expected at least one for each of {num_classes} classes. Give a smaller "
            "fraction or add images."
        )
    if train_examples is None:
        train_examples = available
    if not num_classes <= train_examples <= available:
        kept = f"{validation} of {total} are kept for validation"
        if calibration:
            kept += f", {calibration} for calibration"
        raise ValueError(
            f"train_examples={train_examples}, but there are {available} training "
            f"images in {num_classes} classes ({kept}). Give {num_classes} to "
            f"{available}, or leave it out to train on all of them."
        )
    return _Sizes(train_examples, calibration, validation)


def _count_kept(total: int, purpose: str, fraction: float) -> int:
    """How many of `total` training images are kept for this purpose."""
    if not 0.0 <= fraction < 1.0:
        raise ValueError(
            f"{purpose}_fraction={fraction}, expected a fraction from 0 (keep none) "
            "up to, not including, 1; 0.1 keeps a tenth of the training images."
        )
    count = round(fraction * total)
    if fraction > 0.0 and count == 0:
        raise ValueError(
            f"{purpose}_fraction={fraction} of {total} training images leaves "
            f"{purpose} empty. Give at least {1 / total:.2g}, or 0 to do without."
        )
    return count


def _stratified_order(labels: np.ndarray) -> np.ndarray:
    """A fixed ordering of all examples; each beginning is stratified by class.

    The k-th of a class's m examples, in random order, is placed at k/m. Cutting at
    t then takes ceil(t * m) of each class: its share to within one image, and never
    none, as the first of every class stands at 0.

    Args:
      labels: int [examples].

    Returns:
      int [examples], a permutation of the examples.
    """
    # RandomState's stream is frozen by NumPy (NEP 19); a Generator's may change with
    # a release, and a run resumed after it would train on its validation images.
    shuffled = np.random.RandomState(_SPLIT_SEED).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels[shuffled] == label)
        place[of_class] = np.arange(len(of_class)) / len(of_class)
    return shuffled[np.argsort(place, kind="stable")]


def _channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, summed exactly in integers.

    (`images.std` would hold a float64 copy of every pixel: 1.2 GB for CIFAR-10.)

    Args:
      images: uint8 [examples, height, width, channels].

    Returns:
      mean and std, float32 [channels].
    """
    total = np.zeros(images.shape[1:], np.int64)
    total_squares = np.zeros(images.shape[1:], np.int64)
    for start in range(0, len(images), _CHUNK_IMAGES):
        chunk = images[start : start + _CHUNK_IMAGES]
        total += chunk.sum(axis=0, dtype=np.int64)
        # 255**2 just fits in 16 bits.
        squares = np.square(chunk, dtype=np.uint16)
        total_squares += squares.sum(axis=0, dtype=np.int64)
    pixels = images[..., 0].size
    mean = total.sum(axis=(0, 1)) / pixels
    variance = total_squares.sum(axis=(0, 1)) / pixels - mean**2
    std = np.maximum(np.sqrt(np.maximum(variance, 0.0)), _MIN_STD)
    return mean.astype(np.float32), std.astype(np.float32)
