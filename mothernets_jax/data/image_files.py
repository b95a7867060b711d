"""Decoding of many image files to one array, with all that is wrong told at once.

Axes: images, height, width, channels.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from mothernets_jax.data import misfits
from mothernets_jax.data.image_file import Encoded, decode_image
from mothernets_jax.data.resizing import BoxOf, box_for, check_size, describe_resized
from mothernets_jax.utils.argument_errors import ArgumentError

_log = logging.getLogger(__name__)

# The images of a range of numbers, as files.
Read = Callable[[range], Sequence[Encoded]]
# Images a thread decodes at a time: few enough for a smooth progress bar.
_CHUNK_IMAGES = 64
# Of the 256: images of more bits that use fewer were not scaled to their range.
_FEW_LEVELS = 64


class Decoded(NamedTuple):
    """Many images of one size, and what was done to make them so.

    Attributes:
        images: uint8 [images, height, width, channels].
        notes: lines for people, which the log has, too, on how many images were
            cropped, padded or stretched, and how many lost bits.
    """

    images: np.ndarray
    notes: tuple[str, ...]


def decode_with_notes(
    read: Read,
    num_images: int,
    *,
    image_size: int | None = None,
    resize: str = "crop",
    box_of: BoxOf | None = None,
    channels: int | None = None,
    purpose: str = "",
) -> Decoded:
    """Decodes many images with a thread for each core, and notes what was done to them.

    Pillow's decoders release the GIL: two threads decode photographs twice as fast as
    one, though 32x32 images gain nothing.

    Args:
        read: function from a range of image numbers, from 0, to the files of these
            images.
        num_images: number of images, at least 1.
        image_size: height and width, in pixels, to resize to (bilinear, antialiased);
            None where all have one size already.
        resize: `crop`, `pad` or `stretch` (`resizing.RESIZES`), for images that are not
            square.
        box_of: function from an image's width and height, in pixels, to the box to
            take; None for the box that `resize` takes.
        channels: 1 or 3; None for 1 where every image is grey, else 3.
        purpose: words after "Decoding ... images" in the log, such as " of cifar10
            test".

    Raises:
        ValueError: an `image_size` below 1, images that cannot be read, or images of
            different sizes; the message lists them.
    """
    check_size(image_size)
    images = np.empty(
        (num_images, *_first_size(read, num_images, image_size), 3), np.uint8
    )
    found = _decode_into(images, read, image_size, box_of or box_for(resize), purpose)
    messages = []
    if found.unreadable:
        by_number = [found.unreadable[i] for i in sorted(found.unreadable)]
        messages.append(misfits.unreadable(by_number, num_images))
    sizes = misfits.different_sizes(
        found.sizes, lambda i: read(range(i, i + 1))[0].name
    )
    messages += [sizes] if sizes else []
    if messages:
        hint = misfits.HINT_SIZE if sizes else ()
        raise ArgumentError(" Besides, ".join(messages), *hint)

    notes = []
    if image_size is not None and box_of is None:
        notes.append(describe_resized(int(found.not_square.sum()), num_images, resize))
    notes.append(_describe_deep(images, found.deep))
    notes = [note for note in notes if note]
    for note in notes:
        _log.info("%s.", note)
    if channels is None:
        channels = 1 if found.grey.all() else 3
    return Decoded(np.ascontiguousarray(images[..., :channels]), tuple(notes))


class _Found(NamedTuple):
    """Contents of the files of many images.

    Attributes:
        sizes: int [images, 2], (height, width) of each in pixels; zeros where
            unreadable.
        grey: bool [images], True for images without colours.
        not_square: bool [images], True where height and width differ in the file.
        deep: bool [images], True for more than 8 bits a channel in the file.
        unreadable: (name, reason) of each image that cannot be read, by its number.
    """

    sizes: np.ndarray
    grey: np.ndarray
    not_square: np.ndarray
    deep: np.ndarray
    unreadable: dict[int, tuple[str, str]]


def _decode_into(
    images: np.ndarray,
    read: Read,
    image_size: int | None,
    box_of: BoxOf,
    purpose: str,
) -> _Found:
    """Fills `images`, uint8 [images, height, width, 3], but for those that misfit."""
    num_images, *shape, _ = images.shape
    sizes = np.zeros((num_images, 2), np.int32)
    grey, not_square, deep = np.zeros((3, num_images), np.bool_)
    found = _Found(sizes, grey, not_square, deep, {})

    def decode_chunk(start: int) -> int:
        chunk = range(start, min(start + _CHUNK_IMAGES, num_images))
        for i, encoded in zip(chunk, read(chunk), strict=True):
            try:
                image = decode_image(encoded, image_size, box_of)
            except ValueError as error:
                found.unreadable[i] = encoded.name, str(error)
                continue
            height, width, channels = image.pixels.shape
            if [height, width] == shape:
                images[i] = image.pixels  # A grey image fills all three channels.
            found.sizes[i] = height, width
            found.grey[i] = channels == 1
            found.not_square[i], found.deep[i] = image.not_square, image.deep
        return len(chunk)

    starts = range(0, num_images, _CHUNK_IMAGES)
    with (
        decoding_progress(num_images, purpose) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for num_decoded in pool.map(decode_chunk, starts):
            advance(num_decoded)
    return found


def _first_size(read: Read, num_images: int, image_size: int | None) -> tuple[int, int]:
    """(height, width) of the first image that can be read, after resizing."""
    if image_size is not None:
        return image_size, image_size
    for i in range(num_images):
        (encoded,) = read(range(i, i + 1))
        with contextlib.suppress(ValueError):
            height, width, _ = decode_image(encoded, None).pixels.shape
            return height, width
    return 1, 1  # each will be named


def _describe_deep(images: np.ndarray, deep: np.ndarray) -> str:
    """One line on images of more than 8 bits a channel; empty for none.

    Args:
        images: uint8 [images, height, width, channels].
        deep: bool [images], True for images whose files have more.
    """
    if not deep.any():
        return ""
    line = (
        f"{int(deep.sum()):,} of {len(deep):,} images have more than 8 bits a channel: "
        "the high 8 bits are kept"
    )
    largest = max(int(images[i].max()) for i in np.flatnonzero(deep))
    if largest < _FEW_LEVELS:
        line += (
            f", of which only {largest + 1} of 256 levels are used; save the images "
            "scaled to their full range to lose less"
        )
    return line


@contextlib.contextmanager
def decoding_progress(num_images: int, purpose: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, else one line in the log."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        _log.info("Decoding %d images%s.", num_images, purpose)
        yield lambda num_decoded: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(f"Decoding images{purpose}", total=num_images)
        yield lambda num_decoded: bar.advance(task, num_decoded)
