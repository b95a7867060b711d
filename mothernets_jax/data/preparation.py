"""How the images of a data set were made of files, to make others so later on.

Axes: height, width, channels.
"""

from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.data.crops import CROPS, centre_box
from mothernets_jax.data.image_file import Encoded, decode_image
from mothernets_jax.data.resizing import RESIZES, BoxOf, box_for, check_size
from mothernets_jax.utils.argument_errors import Argument, ArgumentError, Assignment
from mothernets_jax.utils.messages import short_repr


class Preparation(NamedTuple):
    """What was done to image files, beside decoding them and turning them upright.

    Attributes:
        image_size: height and width, in pixels, that images were resized to; None where
            all had one size and kept it.
        crop: `shift` or `resized` (`crops.CROPS`); with `resized`, images that do not
            train are the middles of their files, whatever `resize` is.
        resize: `crop`, `pad` or `stretch` (`resizing.RESIZES`), for images that are not
            square.
    """

    image_size: int | None = None
    crop: str = "shift"
    resize: str = "crop"

    @property
    def box_of(self) -> BoxOf:
        """Function from an image's width and height to the part that is evaluated."""
        return centre_box if self.crop == "resized" else box_for(self.resize)


def check_options(image_size: int | None, crop: str, resize: str) -> None:
    """Refuses ways of making images of files that there are not, or not together.

    Args:
        image_size: height and width, in pixels, to resize to; None not to.
        crop: expected to be one of `crops.CROPS`.
        resize: expected to be one of `resizing.RESIZES`.

    Raises:
        ValueError: an unknown way, or `resized` crops without a size or beside another
            `resize`.
    """
    check_size(image_size)
    box_for(resize)
    if crop not in CROPS:
        raise ArgumentError(
            Argument("crop"),
            f"={short_repr(crop)}, expected one of {', '.join(CROPS)}.",
        )
    if crop != "resized":
        return
    if image_size is None:
        raise ArgumentError(
            Argument("crop"),
            "='resized' needs a size to resize each crop to, and none is given: "
            "set e.g. ",
            Assignment("image_size"),
            "=224.",
        )
    if resize != "crop":
        raise ArgumentError(
            Argument("resize"),
            f"={short_repr(resize)} is given, but with crop='resized' training takes "
            "random parts of each image and evaluation its middle: leave it out, or "
            "set ",
            Assignment("crop"),
            "=shift.",
        )


def check_preparation(value: Any, input_shape: tuple[int, int, int]) -> None:
    """Refuses what cannot have made images of a shape.

    Args:
        value: expected to be a `Preparation`.
        input_shape: (height, width, channels) of the images.

    Raises:
        ValueError: the value is none, or its images would have another shape.
    """
    height, width, channels = input_shape
    if not isinstance(value, Preparation) or channels not in (1, 3):
        raise ValueError(
            f"preparation is {short_repr(value)}: expected a Preparation, of images of "
            f"1 or 3 channels; these have {channels}"
        )
    size, crop, resize = value
    fits = size is None or (type(size) is int and (size, size) == (height, width))
    if not fits or (crop == "resized" and size is None):
        raise ValueError(
            f"preparation.image_size is {short_repr(size)}: expected the size of the "
            f"images, which are {height}x{width}; None for those that kept their own, "
            "where crop is 'shift'"
        )
    if crop not in CROPS or resize not in RESIZES:
        raise ValueError(
            f"preparation has crop={short_repr(crop)} and resize={short_repr(resize)}: "
            f"expected one of {', '.join(CROPS)} and one of {', '.join(RESIZES)}"
        )


def read_prepared(
    path: str, preparation: Preparation, input_shape: tuple[int, int, int]
) -> np.ndarray:
    """Reads an image file as the images of a data set were read.

    Grey images become colour ones where needed; images with colours never become grey.

    Args:
        path: path of the file.
        preparation: what was done to the data set's files.
        input_shape: (height, width, channels) of the data set's images.

    Returns:
        uint8 [height, width, channels].

    Raises:
        ValueError: the file cannot be read, or its image is of another size than the
            data set's and was not to be resized, or has colours where those have none;
            the message says why, without the path.
    """
    encoded = Encoded(path, path)
    image = decode_image(encoded, preparation.image_size, preparation.box_of).pixels
    height, width, channels = input_shape
    if image.shape[:2] != (height, width):
        raise ValueError(
            f"it is {image.shape[0]}x{image.shape[1]} pixels (height x width): not "
            f"{height}x{width}, as all images that trained; none of them was resized"
        )
    if channels < image.shape[2] and (image != image[..., :1]).any():
        raise ValueError("it has colours, expected grey, as all images that trained")
    return np.broadcast_to(image[..., :channels], input_shape)
