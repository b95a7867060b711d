"""Image files to one array: what every data set of files has in common.

Axes: examples, height, width, channels.
"""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, NamedTuple

import numpy as np

from mothernets_jax.data.crops import Box, centre_box
from mothernets_jax.data.digests import Source

_log = logging.getLogger(__name__)

_HINT_SIZE = "Give a size to resize them all to, e.g. --config.data.image_size=32."
# From an image's width and height to the part of it that is taken.
BoxOf = Callable[[int, int], Box]
# Images a thread decodes at a time: few enough for a smooth progress bar.
_CHUNK_IMAGES = 64


class Encoded(NamedTuple):
    """One image file: its name in messages, and its path or its bytes."""

    name: str
    file: str | BinaryIO


@dataclasses.dataclass(frozen=True)
class EncodedImages:
    """Images in files, decoded each time that they are read.

    A slice of them is read at once, so they pass for an array where only parts of it
    are needed. They can be pickled, to be read by other processes.

    Attributes:
      files: from numbers, int [n], to these images' files.
      numbers: int [examples], those of the images that belong here.
      image_shape: (height, width, channels) of each.
      image_size: height and width to resize to; None where they have `image_shape`.
      crop: one of `crops.CROPS`; with `resized`, training takes random parts, and
        what is read here are the middles.
      purpose: what to say of these images beside their progress.
      source: tells all that can be numbered from those of another data set.
    """

    files: Callable[[np.ndarray], Sequence[Encoded]]
    numbers: np.ndarray
    image_shape: tuple[int, int, int]
    image_size: int | None = None
    crop: str = "shift"
    purpose: str = ""
    source: Source = dataclasses.field(default_factory=Source)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(examples, height, width, channels)."""
        return len(self.numbers), *self.image_shape

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, part: slice) -> np.ndarray:
        """uint8 [part, height, width, channels]."""
        return self.take(np.arange(len(self))[part]).read()

    def take(self, examples: np.ndarray) -> "EncodedImages":
        """Those at these places, int [n], still in their files."""
        return dataclasses.replace(self, numbers=self.numbers[examples])

    def read(self) -> np.ndarray:
        """All of them, decoded by threads: uint8 [examples, height, width, channels].

        Raises:
          ValueError: what `decode_all` refuses.
        """
        if not len(self):
            return np.empty(self.shape, np.uint8)
        return decode_all(
            lambda chunk: self.files(self.numbers[chunk.start : chunk.stop]),
            len(self),
            image_size=self.image_size,
            box_of=centre_box if self.crop == "resized" else None,
            channels=self.image_shape[2],
            purpose=self.purpose,
        )


def decode_all(
    read: Callable[[range], Sequence[Encoded]],
    num_images: int,
    *,
    image_size: int | None = None,
    box_of: BoxOf | None = None,
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
      box_of: the part of each image to take; None for the whole.
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
    height, width, _ = decode(first, image_size, box_of).shape
    images = np.empty((num_images, height, width, 3), np.uint8)
    grey = np.empty(num_images, np.bool_)

    def decode_chunk(start: int) -> int:
        chunk = range(start, min(start + _CHUNK_IMAGES, num_images))
        for i, encoded in zip(chunk, read(chunk), strict=True):
            image = decode(encoded, image_size, box_of)
            check_one_size(image, encoded.name, (height, width), first.name)
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


def check_one_size(
    image: np.ndarray, name: str, expected: tuple[int, int], of: str
) -> None:
    """Refuses an image whose size is not the (height, width) of the one named `of`."""
    if image.shape[:2] != expected:
        raise ValueError(
            f"{name} is {image.shape[0]}x{image.shape[1]} pixels (height x width), "
            f"but {of} is {expected[0]}x{expected[1]}; expected one size. {_HINT_SIZE}"
        )


def decode(
    encoded: Encoded, image_size: int | None, box_of: BoxOf | None = None
) -> np.ndarray:
    """One image as uint8 [height, width, channels], with 1 channel if it is grey.

    Of an animation the first frame is taken; transparency is dropped.

    Args:
      encoded: the image's file.
      image_size: height and width, in pixels, to resize to; None for its own.
      box_of: the part of it to resize, where it is resized; None for the whole.

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
                box = None if box_of is None else box_of(*image.size)
                image = image.resize(size, Image.Resampling.BILINEAR, box)
            pixels = np.asarray(image)
    except MemoryError:  # the file is not to blame
        raise
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
