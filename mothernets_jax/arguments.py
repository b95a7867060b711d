"""What the functions for users refuse, before anything deeper stumbles over it."""

import numbers
import re
from typing import Any

import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.wording import shown

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
            f"{what} is {shown(value)}: expected an architecture, as "
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
            f"input_shape is {shown(input_shape)}: expected (height, width, channels) "
            "of one image, whole numbers from 1 on, such as (32, 32, 3)"
        )
    if not is_whole(num_classes) or num_classes < 1:
        raise ValueError(
            f"num_classes is {shown(num_classes)}: expected a whole number from 1 on"
        )


def check_images(images: Any, what: str = "images") -> None:
    """Raises ValueError unless it is a batch of images, of finite numbers if known.

    Args:
        images: to be checked; traced arrays by their shape only.
        what: they are, for the message.
    """
    shape = getattr(images, "shape", None)
    if shape is None or len(shape) != 4 or 0 in shape:
        found = shown(images) if shape is None else f"of shape {tuple(shape)}"
        raise ValueError(
            f"{what} are {found}: expected (batch, height, width, channels), none of "
            "them 0"
        )
    # Traced arrays are not known yet.
    if isinstance(images, np.ndarray) and images.dtype.kind not in "fiub":
        raise ValueError(f"{what} are {images.dtype}: expected normalised numbers")


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
