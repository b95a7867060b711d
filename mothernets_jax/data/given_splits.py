"""Splits that a data set names itself, example by example; those it lacks are drawn."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mothernets_jax.data import checks
from mothernets_jax.data.arrays import draw_splits, take
from mothernets_jax.data.dataset import Dataset, Images
from mothernets_jax.data.digests import Source
from mothernets_jax.data.drawn_test import TEST_FRACTION
from mothernets_jax.data.image_files import Decoded
from mothernets_jax.data.load_files import Files, load_files
from mothernets_jax.data.preparation import Preparation
from mothernets_jax.utils.messages import short_repr

_log = logging.getLogger(__name__)


def divide(
    images: Images,
    labels: np.ndarray,
    class_names: tuple[str, ...],
    splits: np.ndarray | None,
    *,
    groups: np.ndarray | None = None,
    test_fraction: float = TEST_FRACTION,
    notes: tuple[str, ...] = (),
    **of_split: Any,
) -> Dataset:
    """Divides examples as they say, as folders are divided, and draws what is missing.

    Without a test set, the validation split is the test set.

    Args:
        images: all images.
        labels: int [examples], indices into `class_names`.
        class_names: names of the classes.
        splits: [examples], `train`, `validation` or `test`; None to draw them all.
        groups: values [examples], equal for those that stay together; None where each
            stands alone.
        test_fraction: share of the examples that test where no test set is there.
        notes: sentences on how the data were read.
        **of_split: further arguments of `dataset.split`.

    Raises:
        ValueError: no example trains, a group is in two splits, or whatever
            `draw_splits` refuses.
    """
    checks.check_labels("given", labels, class_names)
    if splits is None:
        given, trains = {}, np.arange(len(labels))
    else:
        given = _places(splits)
        trains = given.pop("train")
        _check_groups(groups, splits)
        notes += tuple(_notes(given, labels, class_names, test_fraction))
        if "test" not in given and "validation" in given:
            given["test"] = given.pop("validation")
    for note in notes:
        _log.info("%s", note)
    pairs = {
        name: (take(images, places), labels[places]) for name, places in given.items()
    }
    return draw_splits(
        take(images, trains) if given else images,
        labels[trains],
        class_names,
        test=pairs.get("test"),
        validation=pairs.get("validation"),
        groups=None if groups is None else groups[trains],
        test_fraction=test_fraction,
        notes=notes,
        **of_split,
    )


def load_and_divide(
    files: Files,
    labels: np.ndarray,
    class_names: tuple[str, ...],
    splits: np.ndarray | None,
    preparation: Preparation,
    *,
    memory_bytes: int | None,
    decode: Callable[[], Decoded],
    source: Callable[[], Source],
    notes: tuple[str, ...] = (),
    **of_divide: Any,
) -> Dataset:
    """Reads images in files, or leaves them there, and divides them.

    Args:
        files: function from numbers of images, from 0, to their files.
        labels: int [examples], indices into `class_names`.
        class_names: names of the classes.
        splits: [examples], `train`, `validation` or `test`; None to draw them all.
        preparation: what is done to the files; images of `resized` crops always stay
            in them.
        memory_bytes: number of bytes; images stay in their files where those that may
            train would take more when decoded. None to decode all.
        decode: see `load_files`.
        source: see `load_files`.
        notes: sentences on how the data were read, before those on the decoding.
        **of_divide: further arguments of `divide`.

    Raises:
        ValueError: whatever `load_files` or `divide` refuses.
    """
    if preparation.crop == "resized":
        memory_bytes = 0
    images, of_files = load_files(
        files,
        examples_by_split(splits, len(labels)),
        preparation,
        memory_bytes=memory_bytes,
        decode=decode,
        source=source,
    )
    dataset = divide(
        images,
        labels,
        class_names,
        splits,
        notes=(*notes, *of_files),
        memory_bytes=memory_bytes,
        **of_divide,
    )
    return dataset._replace(preparation=preparation)


def examples_by_split(splits: np.ndarray | None, examples: int) -> dict[str, int]:
    """Number of examples in each split, by its name in messages; drawn ones may train.

    Args:
        splits: [examples], `train`, `validation` or `test`; None to draw them all.
        examples: number of all examples.

    >>> examples_by_split(np.array(["test", "train", "train"]), 3)
    {'training': 2, 'test': 1}
    """
    if splits is None:
        return {"training": examples}
    counts = {name: len(places) for name, places in _places(splits).items()}
    return {"training": counts.pop("train"), **counts}


def _places(splits: np.ndarray) -> dict[str, np.ndarray]:
    """Places of the examples of each split that there is.

    Raises:
        ValueError: none trains.
    """
    names = ("train", "validation", "test")
    places = {name: np.flatnonzero(splits == name) for name in names}
    if not len(places["train"]):
        raise ValueError(
            "no examples are in the split train: expected some there, and others in "
            "test (or validation), or no splits at all, to have them drawn"
        )
    return {name: own for name, own in places.items() if len(own)}


def _check_groups(groups: np.ndarray | None, splits: np.ndarray) -> None:
    """Refuses a group in two splits, which would test what was learned by heart."""
    if groups is None:
        return
    _, first, of_example = np.unique(groups, return_index=True, return_inverse=True)
    of_example = of_example.reshape(-1)
    differs = np.flatnonzero(splits[first][of_example] != splits)
    if len(differs):
        group = of_example[differs[0]]
        raise ValueError(
            f"the group {short_repr(str(groups[differs[0]]))} is in the splits "
            f"{splits[first[group]]} and {splits[differs[0]]}, as are perhaps others: "
            "expected each group in one. Correct the splits, or leave them out to have "
            "them drawn"
        )


def _notes(
    given: Mapping[str, np.ndarray],
    labels: np.ndarray,
    class_names: tuple[str, ...],
    test_fraction: float,
) -> list[str]:
    """Sentences on which split is which, where that is not plain."""
    notes = []
    if "test" in given and "validation" in given:
        notes.append("The validation split is given: validation_fraction is not used.")
    elif "validation" in given:
        notes.append(
            "There is no test set: the validation split is the test set, and the "
            "validation split is drawn from train."
        )
    if given and test_fraction != TEST_FRACTION:
        notes.append("A test set is given: test_fraction is not applied.")
    for name, places in given.items():
        counts = np.bincount(labels[places], minlength=len(class_names))
        lacking = [class_names[label] for label in np.flatnonzero(counts == 0)]
        if lacking:
            named = short_repr(", ".join(lacking))
            notes.append(f"No {name} images are of class {named}.")
    return notes
