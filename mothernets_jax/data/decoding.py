"""Image files to one array: what every data set of files has in common.

Axes: examples, height, width, channels.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, NamedTuple

import numpy as np

_log = logging.getLogger(__name__)

_HINT_SIZE = "Give a size to resize them all to, e.g. --config.data.image_size=32."
# Images a thread decodes at a time: few enough for a smooth progress bar.
_CHUNK_IMAGES = 64


class Encoded(NamedTuple):
    """One image file: its name in messages, and its path or its bytes."""

    name: str
    file: str | BinaryIO


def decode_all(
    read: Callable[[range], Sequence[Encoded]],
    num_images: int,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    purpose: str = "",
) -> np.ndarray:
    """Decodes with a thread for each core: Pillow's decoders release the GIL.

    (Two threads decode photographs twice as fast as one; 32x32 images gain nothing.)

    Args:
      read: the images of a range of numbers from 0 to `num_images`, as files.
      num_images: at least 1.
      image_size: height and width, in pixels, to resize to (bilinear, antialiased,
        not keeping the proportions); None where all have one size already.
      channels: 1 or 3; None: 1 where every image is grey, else 3.
      purpose: what to say of these images beside their progress.

    Returns:
      uint8 [num_images, height, width, channels].

    Raises:
      ValueError: an `image_size` below 1, an image that cannot be read, or images of
        different sizes.
    """
    check_size(image_size)
    (first,) = read(range(1))
    height, width, _ = decode(first, image_size).shape
    images = np.empty((num_images, height, width, 3), np.uint8)
    grey = np.empty(num_images, np.bool_)

    def decode_chunk(start: int) -> int:
        chunk = range(start, min(start + _CHUNK_IMAGES, num_images))
        for i, encoded in zip(chunk, read(chunk), strict=True):
            image = decode(encoded, image_size)
            if image.shape[:2] != (height, width):
                raise ValueError(
                    f"{encoded.name} is {image.shape[0]}x{image.shape[1]} pixels "
                    f"(height x width), but {first.name} is {height}x{width}; "
                    f"expected one size. {_HINT_SIZE}"
                )
            images[i] = image  # A grey image fills all three channels.
            grey[i] = image.shape[2] == 1
        return len(chunk)

    starts = range(0, num_images, _CHUNK_IMAGES)
    with (
        _progress(num_images, purpose) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for num_decoded in pool.map(decode_chunk, starts):
            advance(num_decoded)
    if channels is None:
        channels = 1 if grey.all() else 3
    return np.ascontiguousarray(images[..., :channels])


def check_size(image_size: int | None) -> None:
    """Refuses a size below 1 with a ValueError, before anything is read."""
    if image_size is not None and image_size < 1:
        raise ValueError(
            f"image_size={image_size}, expected at least 1 pixel. "
            "Set e.g. --config.data.image_size=32, or leave it out to keep the size."
        )


def decode(encoded: Encoded, image_size: int | None) -> np.ndarray:
    """One image as uint8 [height, width, channels], with 1 channel if it is grey.

    Of an animation the first frame is taken; transparency is dropped.

    Args:
      encoded: the image's file.
      image_size: height and width, in pixels, to resize to; None for its own.

    Raises:
      ValueError: it cannot be read, or has more than 8 bits a pixel.
    """
    from PIL import Image

    try:
        with Image.open(encoded.file) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"it has more than 8 bits a pixel ({image.mode})")
            mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
            if image.mode == "P":
                # Straight to RGB, Pillow warns where colours are part transparent.
                image = image.convert("RGBA")
            image = image.convert(mode)
            if image_size is not None:
                size = (image_size, image_size)
                image = image.resize(size, Image.Resampling.BILINEAR)
            pixels = np.asarray(image)
    except Exception as error:  # By format: OSError, SyntaxError, struct.error, ...
        raise ValueError(
            f"cannot read the image {encoded.name}: {error}; expected a whole 8-bit "
            "image. Replace or remove it."
        ) from error
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


@contextlib.contextmanager
def _progress(num_images: int, purpose: str) -> Iterator[Callable[[int], None]]:
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
