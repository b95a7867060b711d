"""Checks that every data set must pass, whatever it was read from."""

import math
import os
from collections.abc import Mapping

import numpy as np

from mothernets_jax.utils.argument_errors import Argument, ArgumentError
from mothernets_jax.utils.messages import short_repr

# Of the machine's memory, for the images of a data set; the rest is for training.
_MEMORY_SHARE = 0.5


def check_labels(part: str, labels: np.ndarray, class_names: tuple[str, ...]) -> None:
    """Refuses labels that are none of the classes.

    Args:
        part: name of the split that has these labels, for the message.
        labels: int [examples], indices into `class_names`.
        class_names: one name for each class.

    Raises:
        ValueError: a label below 0, or without a class name.
    """
    wrong = labels[(labels < 0) | (labels >= len(class_names))]
    if len(wrong):
        raise ValueError(
            f"{len(wrong):,} of {len(labels):,} {part} images have a label that is no "
            f"class ({wrong[0]}, say); expected 0 to {len(class_names) - 1}, as there "
            f"are {len(class_names)} class names. Correct the labels or add the class; "
            "-1 mostly stands for an image without a label, which is of no use here."
        )


def check_every_class_trains(labels: np.ndarray, class_names: tuple[str, ...]) -> None:
    """Refuses a class without training images, and fewer than two classes.

    Args:
        labels: int [examples], indices into `class_names`.
        class_names: one name for each class.

    Raises:
        ValueError: a class has no training images, or there are fewer than two classes;
            the message names them.
    """
    if len(class_names) < 2:
        found = (
            f"only one class, {short_repr(class_names[0])}"
            if class_names
            else "no class"
        )
        raise ValueError(
            f"the data set has {found}: expected at least two to tell apart. Add "
            "images of another class, in train/ and in test/."
        )
    counts = np.bincount(labels, minlength=len(class_names))
    empty = [class_names[label] for label in np.flatnonzero(counts == 0)]
    if empty:
        raise ValueError(
            f"no training images of class {', '.join(map(repr, empty))}; every one of "
            f"the {len(class_names)} classes needs at least one. Add images or remove "
            "the class."
        )


def check_memory(examples: Mapping[str, int], shape: tuple[int, int, int]) -> None:
    """Refuses images that do not fit into memory, before the first is decoded.

    Args:
        examples: number of images in each split, keyed by its name in the message; 0
            where they are streamed.
        shape: (height, width, channels) of one image.

    Raises:
        ValueError: the images would take more than half of the machine's memory.
    """
    needed = sum(examples.values()) * math.prod(shape)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > _MEMORY_SHARE * memory:
        *others, last = [f"{n:,} {name}" for name, n in examples.items() if n]
        named = f"{', '.join(others)} and {last}" if others else last
        raise ArgumentError(
            f"{named} images of {shape[0]}x{shape[1]} pixels "
            f"take {needed / 2**30:,.1f} GiB; expected "
            f"at most {_MEMORY_SHARE:.0%} of this machine's memory of "
            f"{memory / 2**30:,.1f} GiB. Set a smaller ",
            Argument("image_size"),
            " (half the size takes a quarter), ",
            Argument("train_examples"),
            ", ",
            Argument("validation_fraction"),
            " or ",
            Argument("calibration_fraction"),
            ".",
        )
