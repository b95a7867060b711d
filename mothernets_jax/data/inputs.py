"""Arrays of users as inputs of networks: images, features and labels, checked.

Axes: examples, height, width, channels.
"""

from collections import Counter
from typing import Any

import numpy as np

from mothernets_jax.data.channel_statistics import float_statistics
from mothernets_jax.utils.argument_errors import Argument, ArgumentError
from mothernets_jax.utils.messages import short_repr

_LARGEST = 1e30  # beyond, float32 has no room for squares of differences
# Float32 keeps 24 bits: beyond this share of its size, a deviation is lost in rounding.
_FINEST = 2.0**-18
_FORMS = (
    "images as uint8 or floats [examples, height, width, channels], or features as "
    "numbers [examples, features]"
)


def as_images(values: Any, name: str = "images") -> np.ndarray:
    """Makes images of an array of images or of features.

    Args:
        values: uint8 or floats [examples, height, width, channels]; or numbers or
            booleans [examples, features], such as a table of numbers, which become
            images of height and width 1.
        name: the argument's name, for messages.

    Returns:
        [examples, height, width, channels]: uint8 where images are uint8, else float32.

    Raises:
        ValueError: values of another form, or that are not finite, or that float32
            cannot hold.
    """
    argument = Argument(name)
    if hasattr(values, "toarray"):
        raise ArgumentError(
            argument,
            f" are a sparse {type(values).__name__}: expected {_FORMS}; make them "
            "dense by .toarray()",
        )
    try:
        array = np.asarray(values)
    except ValueError:  # lists in lists of several lengths
        array = np.empty((), object)
    if array.ndim == 4 and (array.dtype == np.uint8 or array.dtype.kind == "f"):
        _check_channels_last(array.shape, argument)
        return array if array.dtype == np.uint8 else _as_float32(array, argument)
    if array.ndim == 2 and array.dtype.kind in "fiub" and array.size:
        features = _as_float32(array, argument)
        return features.reshape(len(features), 1, 1, -1)
    hint = ""
    if array.ndim == 3 and array.dtype.kind in "fu":
        hint = f". Grey images have one channel: {name}[..., None]"
    elif array.ndim == 4 and array.dtype.kind in "iub":
        hint = f". Pixels from 0 to 255 become {name}.astype('uint8'), others floats"
    elif array.ndim == 1 and array.dtype.kind in "fiub":
        hint = f". One feature is a column: {name}[:, None]"
    elif array.dtype.kind in "OUSM":
        hint = ". Texts and categories become numbers by one-hot columns, say"
    raise ArgumentError(
        argument, f" are {array.dtype} of shape {array.shape}: expected {_FORMS}{hint}"
    )


def _check_channels_last(shape: tuple[int, ...], argument: Argument) -> None:
    _, first, _, last = shape
    if min(shape[1:]) < 1:
        raise ArgumentError(argument, f" have the shape {shape}: expected {_FORMS}")
    if shape[1:3] != (1, 1) and first in (1, 3) and last > 4:
        raise ArgumentError(
            argument,
            f" have the shape {shape}, with {last} channels at its end: expected "
            "[examples, height, width, channels]; from [examples, channels, height, "
            f"width] it is {argument}.transpose(0, 2, 3, 1)",
        )


def _as_float32(array: np.ndarray, argument: Argument) -> np.ndarray:
    """The array as float32.

    Raises:
        ValueError: some values are not finite, or too large.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        rows = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        raise ArgumentError(
            argument,
            f" hold values that are not finite, in {len(rows):,} of {len(array):,} "
            f"examples (number {rows[0]}, say): fill in missing values, or leave "
            "these examples out",
        )
    if array.size and max(float(array.max()), -float(array.min())) > _LARGEST:
        raise ArgumentError(
            argument,
            f" hold values beyond {_LARGEST:g}: expected smaller ones; scale them",
        )
    return np.ascontiguousarray(array, np.float32)


def lost_channels(images: np.ndarray) -> list[int]:
    """Channels that vary so little about their mean that float32 rounds it away.

    Args:
        images: numbers [examples, height, width, channels], as they were before they
            became float32.
    """
    if images.dtype.kind == "b" or images.dtype == np.uint8:
        return []
    mean, std = float_statistics(images)
    varies = np.ptp(images, axis=(0, 1, 2)) > 0
    return np.flatnonzero(varies & (std < _FINEST * np.abs(mean))).tolist()


def as_labels(
    labels: Any, class_names: tuple[str, ...] | None = None, name: str = "labels"
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Makes indices of labels: whole numbers, texts or booleans.

    Args:
        labels: values [examples].
        class_names: names of the classes, in the order of their indices, where labels
            are indices or names; None where the different labels, in their order, are
            the classes.
        name: the argument's name, for messages.

    Returns:
        The indices, int [examples], and the names of the classes. Whether given
        indices are those of classes is not checked.

    Raises:
        ValueError: labels of another form, or that are no class.
    """
    argument = Argument(name)
    array = np.asarray(labels)
    if array.ndim != 1:
        raise ArgumentError(
            argument,
            f" have the shape {array.shape}: expected one label an example. A column "
            f"becomes {name}.ravel(), one-hot rows {name}.argmax(axis=1)",
        )
    if array.dtype.kind == "O":
        array = _of_one_kind(array, argument)
    if array.dtype.kind == "f":
        if not (np.isfinite(array) & (array == np.floor(array))).all():
            raise ArgumentError(
                argument,
                f" are {array.dtype}, not all of them whole numbers: expected classes, "
                "as whole numbers or texts. Numbers to be predicted as such need "
                "regression, which is not done here",
            )
        array = array.astype(np.int64)
    if array.dtype.kind not in "iubUS":
        raise ArgumentError(
            argument,
            f" are {array.dtype}: expected classes, as whole numbers or texts",
        )
    if class_names is None:
        classes, indices = np.unique(array, return_inverse=True)
        names = tuple(str(own) for own in classes.tolist())
        return indices.reshape(-1).astype(np.int32), names
    _check_class_names(class_names)
    if array.dtype.kind in "US":
        known = {own: index for index, own in enumerate(class_names)}
        unknown = sorted(set(array.tolist()) - known.keys())
        if unknown:
            raise ArgumentError(
                argument,
                f" hold {short_repr(unknown[0])}, which is no class: expected one of "
                f"{short_repr(list(class_names))}",
            )
        indices = [known[own] for own in array.tolist()]
        return np.asarray(indices, np.int32), tuple(class_names)
    # Not int32, in which a huge number might become the index of a class.
    return array.astype(np.int64), tuple(class_names)


def _check_class_names(class_names: Any) -> None:
    """Refuses names of classes that are no list of different texts."""
    argument = Argument("class_names")
    if isinstance(class_names, str) or not all(
        isinstance(own, str) and own for own in class_names
    ):
        raise ArgumentError(
            argument,
            f" are {short_repr(class_names)}: expected a tuple of texts, none of them "
            "empty",
        )
    twice = [own for own, count in Counter(class_names).items() if count > 1]
    if twice:
        raise ArgumentError(
            argument,
            f" hold {short_repr(twice[0])} twice: expected a name for each class",
        )


def _of_one_kind(array: np.ndarray, argument: Argument) -> np.ndarray:
    """An array of Python's objects as one of texts, whole numbers or booleans."""
    kinds = {type(own) for own in array.tolist()}
    for kind, of_numpy in ((bool, np.bool_), (str, np.str_), (int, np.integer)):
        if all(own is kind or issubclass(own, of_numpy) for own in kinds):
            return array.astype(kind)
    raise ArgumentError(
        argument,
        f" are of the types {', '.join(sorted(own.__name__ for own in kinds))}: "
        "expected texts alone, or whole numbers alone",
    )
