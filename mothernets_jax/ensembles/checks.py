"""Checks of what an ensemble is made of, and of what is asked of it."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import is_whole
from mothernets_jax.architectures.operations import HEAD
from mothernets_jax.data.inputs import as_images
from mothernets_jax.ensembles.combine import COMBINATIONS, NAMES
from mothernets_jax.models.variables import Variables, check_variables
from mothernets_jax.utils.messages import short_repr

LARGEST_BATCH = 1_000_000
_HOW_TO_FIT = (
    "train with calibration_fraction=0.1, say, or fit on images of your own, as in "
    "ensemble.calibrate(ensemble.member_logits(images), labels)"
)


class Member(NamedTuple):
    """One network of an ensemble.

    Attributes:
        architecture: architecture of the network.
        variables: the network's `{"params": ..., "batch_stats": ...}`.
    """

    architecture: Architecture
    variables: Variables


def checked_members(
    members: Mapping[str, Member | tuple[Architecture, Variables]],
) -> dict[str, Member]:
    """The members of an ensemble, whose variables are those of their architectures.

    Args:
        members: `Member`s, or pairs of an architecture and its variables, by name.

    Raises:
        ValueError: there is none, one is no such pair, or its variables do not fit.
    """
    if not isinstance(members, Mapping):
        raise ValueError(
            f"members are {short_repr(members)}: expected them by name, as in "
            '{"A": (architecture, variables)}'
        )
    if not members:
        raise ValueError("an ensemble has at least one member: found none")
    checked = {}
    for name, own in members.items():
        if (
            not isinstance(own, tuple)
            or len(own) != 2
            or not isinstance(own[0], Architecture)
        ):
            raise ValueError(
                f"the member {name} is {short_repr(own)}: expected (architecture, "
                "variables), as mn.parse and mn.init make them"
            )
        try:
            check_variables(*own)
        except ValueError as error:
            raise ValueError(f"the member {name} cannot be used: {error}") from None
        checked[name] = Member(*own)
    return checked


def checked_class_names(
    class_names: Iterable[str] | None, members: Mapping[str, Member]
) -> tuple[str, ...]:
    """One name for each class; numbers where none are given.

    Args:
        class_names: the names; None for "0", "1", ...
        members: the members, by name, one of whose outputs belongs to each class.

    Raises:
        ValueError: the members have other numbers of outputs than there are names.
    """
    outputs = {
        name: member.variables["params"][HEAD]["bias"].shape[-1]
        for name, member in members.items()
    }
    if class_names is None:
        class_names = map(str, range(next(iter(outputs.values()))))
    names = tuple(class_names)
    for name, count in outputs.items():
        if count != len(names):
            raise ValueError(
                f"the member {name} has {count:,} outputs: expected {len(names):,}, "
                f"one for each of the classes {short_repr(names)}"
            )
    return names


def checked_statistics(mean: Any, std: Any, channels: int) -> list[np.ndarray]:
    """Mean and standard deviation, float32 [channels] each.

    Args:
        mean: one number for each channel, or a single one for all.
        std: the same, each above 0.
        channels: number of channels of an image.

    Raises:
        ValueError: other numbers, of which a network cannot be given normalised images.
    """
    both = [np.asarray(own) for own in (mean, std)]
    numeric = all(own.dtype.kind in "fiu" for own in both)
    both = [np.full(channels, own) if own.ndim == 0 else own for own in both]
    fits = numeric and all(
        own.shape == (channels,) and np.isfinite(own).all() for own in both
    )
    if not fits or (both[1] <= 0).any():
        raise ValueError(
            f"mean is {short_repr(np.asarray(mean).tolist())} and std is "
            f"{short_repr(np.asarray(std).tolist())}: expected {channels} finite "
            "numbers each, one a channel, or one for all, and each std above 0"
        )
    return [own.astype(np.float32) for own in both]


def checked_images(
    images: Any, input_shape: tuple[int, int, int], dtype: np.dtype
) -> np.ndarray:
    """Images in the form of those that trained an ensemble.

    Args:
        images: arrays as of the data set; where inputs are floats, whatever
            `data.inputs.as_images` takes.
        input_shape: (height, width, channels) of one image.
        dtype: dtype of the inputs, uint8 or float32.

    Returns:
        [batch, height, width, channels] of that dtype.

    Raises:
        ValueError: images of another shape or dtype, or that are not finite.
    """
    if dtype != np.uint8:
        found = as_images(images) if np.size(images) else np.zeros((0, *input_shape))
        if found.dtype != np.uint8 and found.shape[1:] == input_shape:
            return found.astype(dtype, copy=False)
        height, width, channels = input_shape
        form = f"(batch, {height}, {width}, {channels})"
        if height == width == 1:
            form = f"(batch, {channels}), the features"
        raise ValueError(
            f"images are {found.dtype} of shape {np.shape(images)}: expected floats of "
            f"shape {form}, in the units of the data set"
        )
    try:
        images = np.asarray(images)
    except ValueError:  # lists in lists of several lengths
        images = np.empty((), object)
    if images.dtype != np.uint8 or images.shape[1:] != input_shape:
        holes = images.dtype.kind == "f" and not np.isfinite(images).all()
        values = ", some of them no finite numbers" if holes else ""
        raise ValueError(
            f"images are {images.dtype} of shape {images.shape}{values}: "
            "expected uint8 of shape (batch, "
            f"{', '.join(map(str, input_shape))}), raw pixels as in the data set"
        )
    return images


def checked_dtype(dtype: Any) -> np.dtype:
    """The dtype of an ensemble's inputs; raises ValueError unless it can be one."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype("O")
    if found not in (np.uint8, np.float32):
        raise ValueError(
            f"input_dtype is {short_repr(dtype)}: expected uint8 or float32"
        )
    return found


def check_combination(
    combine: str,
    *,
    calibrated: bool,
    weights: Collection[str],
    temperatures: Collection[str],
) -> None:
    """Refuses a combination that is unknown, or not fitted.

    Args:
        combine: name of the combination of members.
        calibrated: whether its temperature is needed.
        weights: names of the learned combinations that have weights.
        temperatures: names of the combinations that have temperatures.
    """
    if combine not in NAMES:
        raise ValueError(
            f"combine is {short_repr(combine)}: expected one of {', '.join(NAMES)}"
        )
    if combine not in COMBINATIONS and combine not in weights:
        raise ValueError(
            f"combine is {short_repr(combine)}, whose weights were not fitted: "
            f"{_HOW_TO_FIT}"
        )
    if calibrated and combine not in temperatures:
        raise ValueError(
            f"calibrated is True, but {short_repr(combine)} has no fitted "
            f"temperature: {_HOW_TO_FIT}"
        )


def check_batch_size(batch_size: Any) -> None:
    """Raises ValueError unless a number of images at a time is one."""
    if not is_whole(batch_size) or not 1 <= batch_size <= LARGEST_BATCH:
        raise ValueError(
            f"batch_size is {short_repr(batch_size)}: expected a whole number from "
            f"1 to {LARGEST_BATCH:,}"
        )


def check_finite(members: Iterable[str], logits: np.ndarray) -> None:
    """Refuses members that answer with numbers that are not finite.

    Args:
        members: the members' names.
        logits: [members, examples, classes].
    """
    for name, own in zip(members, logits, strict=True):
        if not np.isfinite(own).all():
            raise ValueError(
                f"the member {name} answers some of these images with numbers that "
                "are not finite: leave that member out"
            )


def check_examples(
    logits: np.ndarray, labels: np.ndarray, members: int, classes: int
) -> None:
    """Refuses logits and labels on which no weights and temperatures can be fitted.

    Args:
        logits: expected to be finite floats [members, examples, classes].
        labels: int [examples].
        members: number of members.
        classes: number of classes.
    """
    shape = members, len(labels), classes
    if logits.shape != shape or not len(labels) or logits.dtype.kind != "f":
        raise ValueError(
            f"logits are {logits.dtype} of shape {logits.shape} and labels of shape "
            f"{labels.shape}: expected floats of shape ({members} members, examples, "
            f"{classes} classes), as of member_logits, and one label an example"
        )
    if not np.isfinite(logits).all():
        raise ValueError(
            "logits hold values that are no finite numbers: a member's training must "
            "have failed. Leave it out of the ensemble"
        )
