"""A data set of inputs and labels that are there already, its splits given or drawn."""

import logging
from typing import Any

import numpy as np

from mothernets_jax.data import checks
from mothernets_jax.data.dataset import Arrays, Dataset, Images, split
from mothernets_jax.data.decoding import EncodedImages
from mothernets_jax.data.drawn_test import (
    TEST_FRACTION,
    check_test_fraction,
    draw_test,
)
from mothernets_jax.data.grouped_splits import draw_groups
from mothernets_jax.data.inputs import as_images, as_labels, lost_channels
from mothernets_jax.utils.argument_errors import Argument, ArgumentError

_log = logging.getLogger(__name__)

# Inputs and labels of a split.
Pair = tuple[Any, Any]
_MOST_NAMED = 5  # of channels


def from_arrays(
    images: Any,
    labels: Any,
    *,
    test: Pair | None = None,
    validation: Pair | None = None,
    groups: Any = None,
    class_names: tuple[str, ...] | None = None,
    test_fraction: float = TEST_FRACTION,
    **of_split: Any,
) -> Dataset:
    """Makes a data set of arrays; see `Dataset.from_arrays`."""
    train = as_images(images)
    indices, names = as_labels(labels, class_names)
    _check_lengths("images and labels", train, indices)
    others = {}
    for name, pair in (("test", test), ("validation", validation)):
        if pair is not None:
            as_names = class_names is None
            others[name] = _as_pair(name, pair, train, names, as_names=as_names)
    dataset = draw_splits(
        train,
        indices,
        names,
        test=others.get("test"),
        validation=others.get("validation"),
        groups=_as_groups(groups, len(indices)),
        test_fraction=test_fraction,
        **of_split,
    )
    if lost := lost_channels(np.asarray(images).reshape(train.shape)):
        named = ", ".join(map(str, lost[:_MOST_NAMED]))
        more = f" and {len(lost) - _MOST_NAMED:,} more" * (len(lost) > _MOST_NAMED)
        _log.warning(
            "Channels vary so little about their means that float32 rounds much of it "
            "away: number %s%s. Subtract their means before.",
            named,
            more,
        )
    return dataset


def draw_splits(
    images: Images,
    labels: np.ndarray,
    class_names: tuple[str, ...],
    *,
    test: tuple[Images, np.ndarray] | None,
    validation: tuple[Images, np.ndarray] | None,
    groups: np.ndarray | None,
    test_fraction: float,
    notes: tuple[str, ...] = (),
    **of_split: Any,
) -> Dataset:
    """Draws the splits that are not given, stratified by class, groups together.

    Args:
        images: all images that may train, or test where no test set is given.
        labels: int [examples], indices into `class_names`.
        class_names: names of the classes.
        test: the test images and labels; None to draw them.
        validation: the validation images and labels; None to draw them.
        groups: values [examples], equal for those that stay together; None where each
            stands alone.
        test_fraction: share of the examples that test where no test set is given.
        notes: sentences on how the data were read.
        **of_split: further arguments of `dataset.split`.

    Raises:
        ValueError: shares that the examples cannot give, or whatever `split` refuses.
    """
    checks.check_labels("given", labels, class_names)
    if test is None:
        trains, tests = _draw_test(labels, groups, test_fraction, class_names)
        notes += (_note_on_test(len(tests), len(labels), test_fraction, groups),)
        _log.info("%s", notes[-1])
        test = take(images, tests), labels[tests]
        images, labels = take(images, trains), labels[trains]
        groups = None if groups is None else groups[trains]
    own = (None, None) if validation is None else validation
    arrays = Arrays(images, labels, *test, class_names, *own, notes)
    return split(*arrays, groups=groups, **of_split)


def _draw_test(
    labels: np.ndarray,
    groups: np.ndarray | None,
    fraction: float,
    class_names: tuple[str, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Places of the examples that train and of those that test, ascending."""
    if groups is None:
        return draw_test(labels, class_names, fraction)
    check_test_fraction(fraction)
    tested = draw_groups(labels, groups, fraction, purpose="test")
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def _as_pair(
    name: str,
    pair: Pair,
    train: np.ndarray,
    class_names: tuple[str, ...],
    *,
    as_names: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """A split that was given, in the form of the training images.

    Numbers are indices of classes, or, `as_names`, their names.

    Raises:
        ValueError: it is no pair, or differs in form, or its labels are no class.
    """
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ArgumentError(
            Argument(name),
            f" is of type {type(pair).__name__}: expected a pair (images, labels)",
        )
    images = as_images(pair[0], f"{name}[0]")
    own = _numbers_as_names(pair[1]) if as_names else pair[1]
    labels, _ = as_labels(own, class_names, f"{name}[1]")
    _check_lengths(f"the images and labels of {name}", images, labels)
    if images.dtype != train.dtype or images.shape[1:] != train.shape[1:]:
        raise ArgumentError(
            Argument(name),
            f" has images of {images.dtype} and shape {images.shape[1:]}: expected "
            f"{train.dtype} and {train.shape[1:]}, as of those that train",
        )
    return images, labels


def _numbers_as_names(labels: Any) -> Any:
    """Whole numbers as texts: labels 5 and 7 of training are classes "5" and "7"."""
    array = np.asarray(labels)
    if array.ndim == 1 and array.dtype.kind in "iubf" and array.size:
        whole = array.astype(np.int64) if array.dtype.kind == "f" else array
        if np.array_equal(whole, array):
            return np.asarray([str(own) for own in whole.tolist()])
    return labels


def _as_groups(groups: Any, examples: int) -> np.ndarray | None:
    if groups is None:
        return None
    array = np.asarray(groups)
    if array.shape != (examples,):
        raise ArgumentError(
            Argument("groups"),
            f" have the shape {array.shape}: expected one value for each of "
            f"{examples:,} examples",
        )
    missing = np.asarray([_is_missing(own) for own in array.tolist()])
    if missing.any():
        raise ArgumentError(
            Argument("groups"),
            f" lack {int(missing.sum()):,} of {examples:,} values (number "
            f"{np.flatnonzero(missing)[0]}, say): expected one for each example; one "
            "that belongs to no group is a group of its own",
        )
    return array.astype(str) if array.dtype.kind == "O" else array


def _is_missing(value: Any) -> bool:
    try:
        return value is None or value != value  # noqa: PLR0124
    except TypeError:  # pandas.NA
        return True


def _check_lengths(what: str, images: np.ndarray, labels: np.ndarray) -> None:
    if len(images) != len(labels) or not len(labels):
        raise ValueError(
            f"{what} are {len(images):,} and {len(labels):,}: expected as many labels "
            "as images, and at least one"
        )


def take(images: Images, places: np.ndarray) -> Images:
    """The images at these places, int [n], still in their files where they are."""
    return images.take(places) if isinstance(images, EncodedImages) else images[places]


def _note_on_test(
    drawn: int, total: int, fraction: float, groups: np.ndarray | None
) -> str:
    shares = f"{fraction:g} of each class"
    if groups is not None:
        shares = f"about {shares}, in whole groups"
    return (
        f"There is no test set: it is {drawn:,} of the {total:,} examples, {shares} "
        "(test_fraction), drawn in a fixed order."
    )
