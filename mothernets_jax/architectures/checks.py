"""Argument checks for the public API, made before anything deeper can fail."""

import math
import numbers
import re
from typing import Any

from mothernets_jax.architectures import Architecture
from mothernets_jax.utils.messages import short_repr

MOST_MEMBERS = 250  # beyond, dividing them into clusters takes minutes
MOST_VALUES = 2**31  # of an image: its pixels times its channels
MOST_CLASSES = 10_000_000
LONGEST_NAME = 64  # bytes, as file names have at most 255


def check_architecture(value: Any, what: str = "the architecture") -> None:
    """Raises ValueError unless a value is an architecture.

    Args:
        value: the value to check.
        what: name of the value, for the message.
    """
    if not isinstance(value, Architecture):
        raise ValueError(
            f"{what} is {short_repr(value)}: expected an architecture, as "
            "mn.parse('mlp 64') or mn.vgg('(3:64)x2') make one"
        )


def check_task(input_shape: Any, num_classes: Any) -> None:
    """Raises ValueError unless an input shape and a number of classes are usable.

    Args:
        input_shape: (height, width, channels) of one image, in this order.
        num_classes: number of outputs of the linear head, at least 1.
    """
    is_shape = isinstance(input_shape, tuple | list) and len(input_shape) == 3
    if not is_shape or not all(is_whole(size) and size > 0 for size in input_shape):
        raise ValueError(
            f"input_shape is {short_repr(input_shape)}: expected (height, width, "
            "channels) of one image, whole numbers from 1 on, such as (32, 32, 3)"
        )
    if math.prod(input_shape) > MOST_VALUES:
        raise ValueError(
            f"input_shape is {short_repr(input_shape)}: expected an image of at most "
            f"{MOST_VALUES:,} values"
        )
    if _channels_first(input_shape):
        channels, *sides = input_shape
        raise ValueError(
            f"input_shape is {short_repr(input_shape)}, which has the channels first: "
            f"expected (height, width, channels) of one image, {(*sides, channels)}"
        )
    if not is_whole(num_classes) or not 1 <= num_classes <= MOST_CLASSES:
        raise ValueError(
            f"num_classes is {short_repr(num_classes)}: expected a whole number from 1 "
            f"to {MOST_CLASSES:,}"
        )


def check_images(images: Any, what: str = "images") -> None:
    """Raises ValueError unless a value may be a batch of normalised images.

    Args:
        images: the batch, float [batch, height, width, channels]. It may be traced, so
            only its shape and dtype are checked.
        what: name of the batch, for the message.
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
    """Tells whether the shape of an image plainly has the channels first.

    It does if the first size is 1, 3 or 4 and the others are equal and above 4: a
    square image of so many channels. Features, (1, 1, features), are in order, and
    about shapes that are not square nothing can be said.
    """
    first, second, third = shape
    return first in (1, 3, 4) and second == third > 4


def check_values(name: str, count: int) -> None:
    """Raises ValueError where a batch normalisation sees one value a channel.

    The mean is then the value itself, so that the output is the bias whatever comes in.
    The statistics of two values are poor, but allowed.

    Args:
        name: name of the normalisation.
        count: number of values of a channel in the whole batch: images times pixels.
    """
    if count == 1:
        raise ValueError(
            f"the batch normalisation {name!r} sees one value a channel, one pixel of "
            "one image, of which it would make a constant: expected two or more. Give "
            "at least two images to train on, or to measure statistics on"
        )


def is_whole(value: Any) -> bool:
    """Tells whether a value is a whole number, of Python or of NumPy."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_name(text: str) -> bool:
    """Tells whether a text may name a network, after which files are named."""
    return bool(re.fullmatch(r"\w+", text)) and len(text.encode()) <= LONGEST_NAME
