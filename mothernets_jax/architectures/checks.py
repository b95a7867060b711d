"""What the functions for users refuse, before anything deeper stumbles over it."""

import numbers
import re
from typing import Any

from mothernets_jax.architectures import Architecture
from mothernets_jax.utils.messages import short_repr

MOST_MEMBERS = 250  # beyond, dividing them into clusters takes minutes
LONGEST_NAME = 64  # bytes, as file names have at most 255


def check_architecture(value: Any, what: str = "the architecture") -> None:
    """Raises ValueError where something is no architecture.

    Args:
        value: to be checked.
        what: it is, for the message.
    """
    if not isinstance(value, Architecture):
        raise ValueError(
            f"{what} is {short_repr(value)}: expected an architecture, as "
            "mn.parse('mlp 64') or mn.vgg('(3:64)x2') make one"
        )


def check_task(input_shape: Any, num_classes: Any) -> None:
    """Raises ValueError unless images have such a shape and so many classes.

    Args:
        input_shape: (height, width, channels) of one image.
        num_classes: outputs of the linear head.
    """
    is_shape = isinstance(input_shape, tuple | list) and len(input_shape) == 3
    if not is_shape or not all(is_whole(size) and size > 0 for size in input_shape):
        raise ValueError(
            f"input_shape is {short_repr(input_shape)}: expected (height, width, "
            "channels) of one image, whole numbers from 1 on, such as (32, 32, 3)"
        )
    if _channels_first(input_shape):
        channels, *sides = input_shape
        raise ValueError(
            f"input_shape is {short_repr(input_shape)}, which has the channels first: "
            f"expected (height, width, channels) of one image, {(*sides, channels)}"
        )
    if not is_whole(num_classes) or num_classes < 1:
        raise ValueError(
            f"num_classes is {short_repr(num_classes)}: expected a whole number from 1 "
            "on"
        )


def check_images(images: Any, what: str = "images") -> None:
    """Raises ValueError unless it is a batch of images that may be normalised.

    Args:
        images: to be checked, by shape and dtype only, as they may be traced.
        what: they are, for the message.
    """
    shape = getattr(images, "shape", None)
    if shape is None or len(shape) != 4 or 0 in shape:
        found = short_repr(images) if shape is None else f"of shape {tuple(shape)}"
        raise ValueError(
            f"{what} are {found}: expected (batch, height, width, channels), none of "
            "them 0"
        )
    dtype = getattr(images, "dtype", None)
    name = getattr(dtype, "name", str(dtype))
    if "float" not in name:
        raise ValueError(
            f"{what} are {name}, and so not normalised: expected floats, (pixels - "
            "mean) / std with the mean and std of the training images"
        )
    if _channels_first(shape[1:]):
        raise ValueError(
            f"{what} are of shape {tuple(shape)}, which has the channels first: "
            "expected (batch, height, width, channels), as of images.transpose(0, 2, "
            "3, 1)"
        )


def _channels_first(shape: Any) -> bool:
    """Whether (height, width, channels) of an image is plainly another order.

    An image of 1, 3 or 4 rows, and as many channels as columns, which are more, is one
    of as many channels, square. Features, (1, 1, features), are not, and what is not
    square may be anything.
    """
    first, second, third = shape
    return first in (1, 3, 4) and second == third > 4


def check_values(name: str, count: int) -> None:
    """Raises ValueError where a batch normalisation has the statistics of one value.

    Its mean is the value itself: whatever comes in, what comes out is the bias. Two are
    poor statistics, but some.

    Args:
        name: of the normalisation.
        count: values of a channel in the whole batch: its images times their pixels.
    """
    if count == 1:
        raise ValueError(
            f"the batch normalisation {name!r} sees one value a channel, one pixel of "
            "one image, of which it would make a constant: expected two or more. Give "
            "at least two images to train on, or to measure statistics on"
        )


def is_whole(value: Any) -> bool:
    """Whether something is a whole number, of Python or of NumPy."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_name(text: str) -> bool:
    """Whether a network may be called so, since files are named after it."""
    return bool(re.fullmatch(r"\w+", text)) and len(text.encode()) <= LONGEST_NAME
