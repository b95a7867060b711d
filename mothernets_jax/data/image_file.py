"""One image file to an array: opened, decoded, turned, resized.

Axes: height, width, channels.
"""

from typing import BinaryIO, NamedTuple

import numpy as np

from mothernets_jax.data import image_formats, misfits, pixels
from mothernets_jax.data.resizing import BoxOf, resize_box, whole_box


class Encoded(NamedTuple):
    """One image file: its name in messages, and its path or its bytes."""

    name: str
    file: str | BinaryIO


class DecodedImage(NamedTuple):
    """One image and what its file held.

    Attributes:
        pixels: uint8 [height, width, channels], with 1 channel if it is grey.
        not_square: whether it is wider than high or higher than wide in its file.
        deep: whether it has more than 8 bits a channel in its file.
    """

    pixels: np.ndarray
    not_square: bool
    deep: bool


def decode(
    encoded: Encoded, image_size: int | None, box_of: BoxOf = whole_box
) -> np.ndarray:
    """Decodes one image to uint8 [height, width, channels], 1 channel if it is grey.

    It is the right way up, as its Exif orientation says. Of more than 8 bits a channel
    the high 8 are kept, of an animation the first frame; transparency is dropped.

    Args:
        encoded: the image's file.
        image_size: height and width, in pixels, to resize to; None to keep the image's
            own.
        box_of: function from the image's width and height, in pixels, to the box that
            is resized; unused without an `image_size`.

    Raises:
        ValueError: the image cannot be read; the message names it.
    """
    try:
        return decode_image(encoded, image_size, box_of).pixels
    except ValueError as error:
        raise ValueError(misfits.unreadable([(encoded.name, str(error))])) from error


def decode_image(
    encoded: Encoded, image_size: int | None, box_of: BoxOf = whole_box
) -> DecodedImage:
    """Decodes one image, as `decode` does, and says what its file held.

    Args:
        encoded: the image's file.
        image_size: height and width, in pixels, to resize to; None to keep the image's
            own.
        box_of: function from the image's width and height, in pixels, to the box that
            is resized; unused without an `image_size`.

    Raises:
        ValueError: the image cannot be read; the message says why, without its name.
    """
    from PIL import Image

    try:
        with image_formats.open_image(encoded.file) as opened:
            image, deep = pixels.to_8_bits(opened)
            width, height = image.size
            if image_size is not None:
                image = resize_box(image, image_size, box_of(width, height))
            array = np.asarray(image)
    except MemoryError:  # the file is not to blame
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(image_formats.TOO_MANY_PIXELS) from error
    except Exception as error:  # By format: OSError, SyntaxError, struct.error, ...
        raise ValueError(misfits.reason_of(error)) from error
    array = array if array.ndim == 3 else array[..., np.newaxis]
    return DecodedImage(array, width != height, deep)
