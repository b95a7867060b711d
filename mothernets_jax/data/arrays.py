"""A data set of inputs and labels that are there already, its splits given or drawn."""

import logging
from typing import Any

import numpy as np

from mothernets_jax.data.dataset import Arrays, Dataset, Images, split
from mothernets_jax.data.decoding import EncodedImages
from mothernets_jax.data.grouped_splits import draw_groups
from mothernets_jax.data.inputs import as_images, as_labels, lost_channels
from mothernets_jax.data.split_sizes import stratified_order
from mothernets_jax.utils.argument_errors import Argument, ArgumentError

_log = logging.getLogger(__name__)

TEST_FRACTION = 0.2
# Inputs and labels of a split.
Pair = tuple[Any, Any]


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
    lost = lost_channels(train, dataset.mean, dataset.std)
    if lost:
        _log.warning(
            "Channel %d varies so little about its mean (%g and %g) that float32 "
            "rounds much of it away, as do %d others: subtract the mean first.",
            lost[0],
            dataset.std[lost[0]],
            dataset.mean[lost[0]],
            len(lost) - 1,
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
    if test is None:
        tested = _draw_test(labels, groups, test_fraction, len(class_names))
        test = _take(images, tested), labels[tested]
        images, labels = _take(images, ~tested), labels[~tested]
        groups = None if groups is None else groups[~tested]
    own = (None, None) if validation is None else validation
    arrays = Arrays(images, labels, *test, class_names, *own, notes)
    return split(*arrays, groups=groups, **of_split)


def _draw_test(
    labels: np.ndarray, groups: np.ndarray | None, fraction: float, classes: int
) -> np.ndarray:
    """Draws the test set, bool [examples]."""
    if not 0.0 < fraction < 1.0:
        raise ArgumentError(
            Argument("test_fraction"),
            f"={fraction}: expected a fraction between 0 and 1; 0.2 tests on a fifth",
        )
    if groups is not None:
        return draw_groups(labels, groups, fraction, purpose="test")
    count = round(fraction * len(labels))
    if not 0 < count <= len(labels) - classes:
        raise ArgumentError(
            Argument("test_fraction"),
            f"={fraction} of {len(labels)} examples is {count} to test on: expected at "
            f"least 1, and one of each of {classes} classes left to train on. Give "
            "more examples, another fraction or a test set of your own",
        )
    tested = np.zeros(len(labels), np.bool_)
    tested[stratified_order(labels)[len(labels) - count :]] = True
    return tested


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
    return array.astype(str) if array.dtype.kind == "O" else array


def _check_lengths(what: str, images: np.ndarray, labels: np.ndarray) -> None:
    if len(images) != len(labels) or not len(labels):
        raise ValueError(
            f"{what} are {len(images):,} and {len(labels):,}: expected as many labels "
            "as images, and at least one"
        )


def _take(images: Images, chosen: np.ndarray) -> Images:
    if isinstance(images, EncodedImages):
        return images.take(np.flatnonzero(chosen))
    return images[chosen]
