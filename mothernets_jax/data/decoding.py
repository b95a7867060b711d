"""Images in files, read when they are needed: common to all data sets of files.

Axes: examples, height, width, channels.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from mothernets_jax.data.crops import centre_box
from mothernets_jax.data.digests import Source
from mothernets_jax.data.image_file import Encoded, decode
from mothernets_jax.data.image_files import Read, decode_with_notes
from mothernets_jax.data.image_formats import FORMATS, image_format
from mothernets_jax.data.misfits import HINT_SIZE
from mothernets_jax.data.resizing import BoxOf, check_size
from mothernets_jax.utils.argument_errors import ArgumentError

__all__ = [
    "FORMATS",
    "Encoded",
    "EncodedImages",
    "check_one_size",
    "check_size",
    "decode",
    "decode_all",
    "decode_with_notes",
    "image_format",
]


@dataclasses.dataclass(frozen=True)
class EncodedImages:
    """Images in files, decoded each time that they are read.

    A slice of them is read at once, so they pass for an array where only parts of it
    are needed. They can be pickled, to be read by other processes.

    Attributes:
        files: function from numbers of images, int [n], to their n files.
        numbers: int [examples], the numbers, in `files`, of the images that belong
            here.
        image_shape: (height, width, channels) of each image when decoded.
        image_size: height and width, in pixels, to resize to; None where the images
            have `image_shape` already.
        crop: `shift` or `resized` (`crops.CROPS`); with `resized`, training takes
            random parts, and reading here gives the middles, whatever `resize` is.
        purpose: words after "Decoding ... images" in the log, such as " of cifar10
            test".
        resize: `crop`, `pad` or `stretch` (`resizing.RESIZES`), for images that are not
            square.
        source: origin of all images in `files`, which tells them from another data
            set's.
    """

    files: Callable[[np.ndarray], Sequence[Encoded]]
    numbers: np.ndarray
    image_shape: tuple[int, int, int]
    image_size: int | None = None
    crop: str = "shift"
    purpose: str = ""
    resize: str = "crop"
    source: Source = dataclasses.field(default_factory=Source)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the decoded images: (examples, height, width, channels)."""
        return len(self.numbers), *self.image_shape

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, part: slice) -> np.ndarray:
        """Decodes a part of the images: uint8 [part, height, width, channels]."""
        return self.take(np.arange(len(self))[part]).read()

    def take(self, examples: np.ndarray) -> "EncodedImages":
        """Selects the images at these places, int [n], still in their files."""
        return dataclasses.replace(self, numbers=self.numbers[examples])

    def read(self) -> np.ndarray:
        """Decodes all images, by threads: uint8 [examples, height, width, channels].

        Raises:
            ValueError: images that cannot be read, or images of different sizes; the
                message lists them.
        """
        if not len(self):
            return np.empty(self.shape, np.uint8)
        return decode_all(
            lambda chunk: self.files(self.numbers[chunk.start : chunk.stop]),
            len(self),
            image_size=self.image_size,
            resize=self.resize,
            box_of=centre_box if self.crop == "resized" else None,
            channels=self.image_shape[2],
            purpose=self.purpose,
        )


def decode_all(
    read: Read,
    num_images: int,
    *,
    image_size: int | None = None,
    resize: str = "crop",
    box_of: BoxOf | None = None,
    channels: int | None = None,
    purpose: str = "",
) -> np.ndarray:
    """Decodes many images with a thread for each core, as `decode_with_notes` does.

    Args:
        read: function from a range of image numbers, from 0, to the files of these
            images.
        num_images: number of images, at least 1.
        image_size: height and width, in pixels, to resize to (bilinear, antialiased);
            None where all images have one size already.
        resize: `crop`, `pad` or `stretch` (`resizing.RESIZES`), for images that are not
            square.
        box_of: function from an image's width and height, in pixels, to the box to
            take; None for the box that `resize` takes.
        channels: 1 or 3; None for 1 where every image is grey, else 3.
        purpose: words after "Decoding ... images" in the log, such as " of cifar10
            test".

    Returns:
        uint8 [num_images, height, width, channels].
    """
    return decode_with_notes(
        read,
        num_images,
        image_size=image_size,
        resize=resize,
        box_of=box_of,
        channels=channels,
        purpose=purpose,
    ).images


def check_one_size(
    image: np.ndarray, name: str, expected: tuple[int, int], of: str
) -> None:
    """Refuses an image of another size than expected.

    Args:
        image: uint8 [height, width, channels].
        name: the image's name, for the message.
        expected: (height, width) in pixels.
        of: name of the image that has the expected size, for the message.

    Raises:
        ValueError: the image has another height or width.
    """
    if image.shape[:2] != expected:
        raise ArgumentError(
            f"{name} is {image.shape[0]}x{image.shape[1]} pixels (height x width), "
            f"but {of} is {expected[0]}x{expected[1]}; expected one size.",
            *HINT_SIZE,
        )
