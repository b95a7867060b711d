"""The classes of a folder of images, the same in every split, and their images.

A test set that is not there is drawn from the training images: stratified, in an order
that is fixed for good, so that no run trains on what another one is tested on.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mothernets_jax.data import decoding
from mothernets_jax.data.drawn_test import TEST_FRACTION, draw_test
from mothernets_jax.data.folder_listing import (
    OUTSIDE,
    Skipped,
    describe_skipped,
    list_images,
)
from mothernets_jax.data.folder_splits import (
    LAYOUT,
    Splits,
    find_folder,
    find_splits,
    other_entries,
    subfolders,
)
from mothernets_jax.utils.messages import is_utf8, short_repr


class FoundImages(NamedTuple):
    """The image files of a data set, by split.

    Attributes:
        root: the data set's folder.
        paths: paths of all images, one split after the other.
        bad: paths of the images that are known not to be readable.
        labels: int32 [images], indices into `class_names`.
        train: int [training images], places in `paths`.
        test: int [test images], places in `paths`.
        validation: int [validation images], places in `paths`; None where the data set
            has no such split.
        class_names: the sorted names of the class folders.
        notes: sentences on what was skipped, and on which split is which where that is
            not plain.
    """

    root: Path
    paths: list[str]
    bad: list[str]
    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray
    validation: np.ndarray | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


class _Split(NamedTuple):
    """Contents of the folder of a split; `images` are paths, by class."""

    folder: Path
    images: dict[str, list[str]]
    bad: list[str]
    skipped: list[Skipped]


def find_images(directory: str, test_fraction: float = TEST_FRACTION) -> FoundImages:
    """Finds the images of every split, and draws a test set where there is none.

    Args:
        directory: the folder of the data set, with train/ and perhaps val/ and test/,
            or with the class folders.
        test_fraction: share of each class to draw as a test set, in (0, 1), to within
            one image, and at least one image.

    Raises:
        ValueError: folders that cannot be told apart as splits, no classes, other
            classes in one split than in another, or a class without images.
        FileNotFoundError: there is no such folder, or no train/ in it.
    """
    root = find_folder(directory)
    splits = find_splits(root)
    train = _list_split(splits.train)
    test = _list_split(splits.test) if splits.test else None
    validation = _list_split(splits.validation) if splits.validation else None
    names = tuple(train.images)
    _check_classes(train, test, validation)

    parts = [part for part in (train, test, validation) if part]
    labels = [_labels(part, names) for part in parts]
    ends = np.cumsum([len(of_part) for of_part in labels])
    places = np.split(np.arange(ends[-1]), ends[:-1])
    if not test:
        where = f" in {root}"
        places[:1] = draw_test(labels[0], names, test_fraction, where)
    skipped = splits.skipped + [skip for part in parts for skip in part.skipped]
    notes = [
        *_notes(splits, places, test_fraction),
        *(_note_on_lacking(train, validation) if validation else ()),
        describe_skipped(root, skipped),
    ]
    return FoundImages(
        root,
        [
            path
            for part in parts
            for of_class in part.images.values()
            for path in of_class
        ],
        [path for part in parts for path in part.bad],
        np.concatenate(labels),
        places[0],
        places[1],
        places[2] if validation else None,
        names,
        tuple(note for note in notes if note),
    )


def _list_split(folder: Path) -> _Split:
    split = _Split(folder, {}, [], other_entries(folder))
    for name in subfolders(folder):
        if not is_utf8(name):
            raise ValueError(
                f"the class folder {short_repr(name)} in {folder} has a name that is "
                "not UTF-8, as those of classes must be: rename it"
            )
        listing = list_images(folder / name)
        split.images[name] = listing.images
        split.bad.extend(listing.bad)
        split.skipped.extend(listing.skipped)
    return split


def _labels(split: _Split, names: tuple[str, ...]) -> np.ndarray:
    """Labels of a split's images, int32 [images]."""
    numbers = [names.index(name) for name in split.images]
    counts = [len(images) for images in split.images.values()]
    return np.repeat(np.array(numbers, np.int32), counts)


# What every split must have.


def _check_classes(
    train: _Split, test: _Split | None, validation: _Split | None
) -> None:
    """Raises ValueError where a split lacks classes or images that it needs."""
    if not train.images:
        files = sum(skip.reason == OUTSIDE for skip in train.skipped)
        but = f", but {files:,} files directly in it" if files else ""
        raise ValueError(f"no class folders in {train.folder}{but}; {LAYOUT}.")
    if test:
        # A class that no test image shows would count in no error.
        for here, there in ((train, test), (test, train)):
            _check_known(here, there, "both need the same class folders")
    for split in (train, test):
        if split:
            _check_no_class_is_empty(split)
    if validation:
        _check_known(validation, train, "every class needs training images")
        _check_not_empty(validation, train)


def _check_not_empty(validation: _Split, train: _Split) -> None:
    if not any(validation.images.values()):
        raise ValueError(
            f"no images in {validation.folder}; expected some in the class folders of "
            f"{train.folder}. Add them, or remove the folder to draw a validation "
            "split from the training images."
        )


def _check_known(here: _Split, there: _Split, rule: str) -> None:
    missing = [name for name in here.images if name not in there.images]
    if missing:
        raise ValueError(
            f"class {', '.join(map(repr, missing))} is in {here.folder} but not in "
            f"{there.folder}; {rule}. Add or remove it."
        )


def _check_no_class_is_empty(split: _Split) -> None:
    for name, images in split.images.items():
        if images:
            continue
        folder = split.folder / name
        of_class = [s for s in split.skipped if s.path.startswith(f"{folder}/")]
        why = describe_skipped(split.folder, of_class)
        raise ValueError(
            f"no images in {folder}; expected files of the formats "
            f"{', '.join(decoding.FORMATS)}. {why + ' ' if why else ''}Add some or "
            "remove the class from every split."
        )


# What there is to say.


def _notes(splits: Splits, places: list[np.ndarray], fraction: float) -> list[str]:
    """Sentences on which split is which, where the folders' names do not say it."""
    notes = []
    train, test, validation = splits.train, splits.test, splits.validation
    if validation:
        notes.append(
            f"{validation.name}/ is the validation split: validation_fraction is not "
            "applied."
        )
    elif test and test.name.lower().startswith("val"):
        notes.append(
            f"There is no test/: {test.name}/ is the test set, and the validation "
            f"split is drawn from {train.name}/."
        )
    if not test:
        drawn, total = len(places[1]), len(places[0]) + len(places[1])
        there_is = (
            "The class folders lie in no train/ and test/"
            if train == splits.root
            else "There is no test/"
        )
        notes.append(
            f"{there_is}: the test set is {drawn:,} of the {total:,} images, "
            f"{fraction:g} of each class (test_fraction), drawn in a fixed order."
        )
    elif fraction != TEST_FRACTION:
        notes.append(f"{test.name}/ is the test set: test_fraction is not applied.")
    return notes


def _note_on_lacking(train: _Split, validation: _Split) -> list[str]:
    lacking = [name for name in train.images if not validation.images.get(name)]
    if not lacking:
        return []
    names = ", ".join(map(repr, lacking))
    return [f"{validation.folder.name}/ has no images of class {names}."]
