"""Image classification data sets of TFDS, read without TensorFlow.

All labels are read, images only where they are used: `train_examples` keeps what
is decoded small. Pillow decodes, as for folders, so both give the same pixels.

Axes: examples, height, width, channels.
"""

import io
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from mothernets_jax.data import decoding
from mothernets_jax.data.dataset import Arrays, LazyLabels
from mothernets_jax.data.digests import Source
from mothernets_jax.data.tfds_builder import prepared_builder

_log = logging.getLogger(__name__)

# Of TFDS's names. ImageNet's test images have no labels; the field tests on these.
_TEST_SPLITS = {"imagenet2012": "validation"}
# Records in memory at once while labels are read: about 100 MB of ImageNet.
_CHUNK_RECORDS = 1024


def load_tfds(
    name: str, directory: str, *, image_size: int | None = None, crop: str = "shift"
) -> Arrays:
    """Opens a data set of TFDS, downloading and preparing it where that is possible.

    The test set is the split "test", or "validation" where there is no other or TFDS
    has no labels for "test" (ImageNet).

    Args:
      name: one of `tfds_builder.TFDS_NAMES`, or "tfds:NAME[/CONFIG][:VERSION]".
      directory: where TFDS keeps its data sets; empty for TFDS's default.
      image_size: height and width, in pixels, to resize to (bilinear, antialiased,
        not keeping the proportions); None where all images have one size.
      crop: one of `crops.CROPS`.

    Returns:
      train_images, of [examples, height, width, channels], train_labels int64
      [examples], test_images, test_labels (likewise; none is read yet), class_names.

    Raises:
      FileNotFoundError: it is not there and cannot be fetched; says what to do.
      ValueError: no such data set, one prepared in another format, one without
        training and test images of 8 bits with a class label each, images of
        different sizes without an `image_size`, or an `image_size` below 1. Reading
        later raises it for a file that is missing or damaged.
    """
    decoding.check_size(image_size)
    builder = prepared_builder(name, directory)
    image_key, label_key = _keys(builder, name)
    shape = _image_shape(builder.info.features[image_key], name, image_size)

    def images_and_labels(split: str) -> tuple[decoding.EncodedImages, LazyLabels]:
        numbers = np.arange(builder.info.splits[split].num_examples)
        records = _Records(builder, split, name, directory)
        images = decoding.EncodedImages(
            partial(_image_files, records, image_key),
            numbers,
            shape,
            image_size,
            crop,
            f" of {records.name}",
            _source(builder, split),
        )
        labels = LazyLabels(len(numbers), partial(_read_labels, records, label_key))
        return images, labels

    names = tuple(builder.info.features[label_key].names)
    test = images_and_labels(_test_split(builder, name))
    return *images_and_labels("train"), *test, names


# What the data set holds.


def _keys(builder: Any, name: str) -> tuple[str, str]:
    """The names of the image and of its label among a record's features."""
    import tensorflow_datasets as tfds

    features, keys = builder.info.features, builder.info.supervised_keys
    if (
        keys is None
        or len(keys) != 2
        or not all(isinstance(key, str) for key in keys)
        or not isinstance(features[keys[0]], tfds.features.Image)
        or not isinstance(features[keys[1]], tfds.features.ClassLabel)
        or features[keys[0]].np_dtype != np.uint8
    ):
        raise ValueError(
            f"the data set {name!r} is not one of 8-bit images with one class each; it "
            f"maps {keys} and holds {', '.join(sorted(features))}. Choose another, or "
            "write its images into folders: --config.data.name=folder."
        )
    return keys


def _test_split(builder: Any, name: str) -> str:
    found = [split for split, info in builder.info.splits.items() if info.num_examples]
    wanted = _TEST_SPLITS.get(builder.name)
    for test in (wanted,) if wanted else ("test", "validation"):
        if {"train", test} <= set(found):
            return test
    raise ValueError(
        f"the data set {name!r} has the splits {', '.join(found) or 'none'}; expected "
        f"train and {wanted or 'test (or validation)'}. Choose another, or write its "
        "images into folders: --config.data.name=folder."
    )


def _source(builder: Any, split: str) -> Source:
    """The data set's version, and how its records are kept."""
    info = builder.info.splits[split]
    files = f"{int(info.num_bytes)} bytes, shards of {info.shard_lengths} records"
    return Source(builder.info.full_name, files)


def _image_shape(
    feature: Any, name: str, image_size: int | None
) -> tuple[int, int, int]:
    """(height, width, channels) of every image, once resized."""
    height, width, channels = feature.shape
    if image_size is not None:
        height = width = image_size
    if height is None or width is None:
        raise ValueError(
            f"the images of the data set {name!r} have different sizes; expected a "
            "size to resize them all to, e.g. --config.data.image_size=64."
        )
    return height, width, 1 if channels == 1 else 3


# Reading.


class _Records:
    """The records of one split, as single features of them."""

    def __init__(self, builder: Any, split: str, name: str, directory: str):
        import tensorflow_datasets as tfds

        self._opened = split, name, directory
        self.name = f"{builder.name} {split}"
        self._folder = builder.data_path
        self._features = builder.info.features
        self._source = builder.as_data_source(
            split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )

    def __reduce__(self):
        # What TFDS has opened cannot be sent to another process, which opens its own.
        return _open_records, self._opened

    def read(self, numbers: np.ndarray, key: str, *, decoders: Any = None) -> list:
        """The feature `key` of the records of these numbers."""
        import tensorflow_datasets as tfds

        # The other features are not decoded, which takes three quarters of the time.
        only: Any = tfds.features.FeaturesDict({key: self._features[key]})
        try:
            records = self._source.__getitems__(numbers.tolist())
            return [
                only.deserialize_example_np(record, decoders=decoders)[key]
                for record in records
            ]
        except Exception as error:  # RuntimeError, DecodeError, KeyError, ...
            raise ValueError(
                f"cannot read {self.name} from {self._folder}: {error}. Delete that "
                "folder and prepare the data set again."
            ) from error


def _open_records(split: str, name: str, directory: str) -> _Records:
    return _Records(prepared_builder(name, directory), split, name, directory)


def _chunks(numbers: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (numbers[i : i + size] for i in range(0, len(numbers), size))


def _read_labels(records: _Records, key: str, numbers: np.ndarray) -> np.ndarray:
    """int64 [numbers]"""
    _log.info("Reading the labels of %s.", records.name)
    labels = [
        label
        for chunk in _chunks(numbers, _CHUNK_RECORDS)
        for label in records.read(chunk, key)
    ]
    return np.array(labels, np.int64)


def _image_files(
    records: _Records, key: str, numbers: np.ndarray
) -> list[decoding.Encoded]:
    import tensorflow_datasets as tfds

    files = records.read(numbers, key, decoders={key: tfds.decode.SkipDecoding()})
    return [
        decoding.Encoded(f"number {number} of {records.name}", io.BytesIO(file))
        for number, file in zip(numbers, files, strict=True)
    ]
