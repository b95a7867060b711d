"""Images in files of any source: decoded at once, or left there if they are too many.

Axes: examples, height, width, channels.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mothernets_jax.data import checks, decoding
from mothernets_jax.data.dataset import Images
from mothernets_jax.data.digests import Source
from mothernets_jax.data.image_files import Decoded
from mothernets_jax.data.preparation import Preparation

# From numbers of images, int [n], to their n files.
Files = Callable[[np.ndarray], Sequence[decoding.Encoded]]

_MOST_TRIED = 20  # of files, for one that can be read


def load_files(
    files: Files,
    examples: Mapping[str, int],
    preparation: Preparation,
    *,
    memory_bytes: int | None,
    decode: Callable[[], Decoded],
    source: Callable[[], Source],
) -> tuple[Images, tuple[str, ...]]:
    """Decodes images, or leaves them in their files where those that train are many.

    Images that are left have three channels, since no one has seen yet whether any has
    colours.

    Args:
        files: function from numbers of images, from 0, to their files.
        examples: number of images in each split, keyed by its name in messages;
            "training" is of those that may train.
        preparation: what is done to the files.
        memory_bytes: number of bytes; images stay in their files where those that may
            train would take more when decoded. None to decode all.
        decode: function that decodes all images.
        source: function that finds the origin of the images, called where they stay in
            their files; it refuses such as could not be read.

    Returns:
        All images, and notes on their decoding.

    Raises:
        ValueError: images that cannot be read, or do not fit into memory.
    """
    if memory_bytes is not None:
        images = in_files(files, sum(examples.values()), preparation)
        if examples["training"] * math.prod(images.image_shape) > memory_bytes:
            return dataclasses.replace(images, source=source()), ()
        checks.check_memory(examples, images.image_shape)
    return decode()


def decode_files(
    files: Files, num_images: int, preparation: Preparation, *, purpose: str = ""
) -> Decoded:
    """Decodes all images; one channel where all are grey.

    Args:
        files: function from numbers of images, from 0, to their files.
        num_images: number of images, at least 1.
        preparation: what is done to the files; crops are the middle that `resize` says.
        purpose: words after "Decoding ... images" in the log.

    Raises:
        ValueError: images that cannot be read, or are of different sizes.
    """
    return decoding.decode_with_notes(
        lambda chunk: files(np.arange(chunk.start, chunk.stop)),
        num_images,
        image_size=preparation.image_size,
        resize=preparation.resize,
        purpose=purpose,
    )


def in_files(
    files: Files, num_images: int, preparation: Preparation
) -> decoding.EncodedImages:
    """Images that stay in their files, all of one form.

    Args:
        files: function from numbers of images, from 0, to their files.
        num_images: number of images, at least 1.
        preparation: what is done to the files.

    Raises:
        ValueError: none of the first images can be read.
    """
    height, width = _size(files, num_images, preparation.image_size)
    return decoding.EncodedImages(
        files,
        np.arange(num_images),
        (height, width, 3),
        preparation.image_size,
        preparation.crop,
        resize=preparation.resize,
    )


def _size(files: Files, num_images: int, image_size: int | None) -> tuple[int, int]:
    """(height, width) of the images: of the first that can be read."""
    if image_size is not None:
        return image_size, image_size
    *others, last = files(np.arange(min(num_images, _MOST_TRIED)))
    for encoded in others:
        with contextlib.suppress(ValueError):  # It is named with all that are bad.
            height, width, _ = decoding.decode(encoded, None).shape
            return height, width
    height, width, _ = decoding.decode(last, None).shape
    return height, width
