"""Which folder becomes which split, and what is drawn where one is missing."""

import logging
from pathlib import Path

import numpy as np
import pytest
from image_folders import random_pixels
from PIL import Image

from mothernets_jax.data import Dataset, load, load_ood_images
from mothernets_jax.data.image_folder import load_image_folder
from mothernets_jax.data.statistics import check_copies

READINGS = [
    pytest.param(None, id="in memory"),
    pytest.param(0, id="streamed", marks=pytest.mark.extras),
]
pytestmark = pytest.mark.usefixtures("cache_home")

CLASSES = ("ant", "bee")


def write(root: Path, parts: dict[str, int]) -> None:
    """So many images a class in each folder; all pixels of one are its own number."""
    number = 0
    for part, count in parts.items():
        for name in CLASSES:
            (root / part / name).mkdir(parents=True, exist_ok=True)
            for place in range(count):
                image = Image.new("L", (4, 4), number)
                image.save(root / part / name / f"{place:02}.png")
                number += 1
    assert number <= 256


def numbers(images) -> list[int]:
    """Which images they are."""
    return sorted(images[i : i + 1].max() for i in range(len(images)))


def read(root: Path, memory_bytes: int | None = None, **options) -> Dataset:
    return load("folder", directory=str(root), memory_bytes=memory_bytes, **options)


# How many of the images of a class are where; images are numbered in this order.
TRAIN, OTHER, TEST = range(40), range(40, 52), range(52, 60)


@pytest.mark.parametrize("memory_bytes", READINGS)
@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Train", "Valid", "TEST"),
        ("training", "validation", "testing"),
    ],
)
def test_a_validation_folder_is_the_validation_split(tmp_path, names, memory_bytes):
    write(tmp_path, dict(zip(names, (20, 6, 4), strict=True)))
    data = read(tmp_path, memory_bytes, calibration_fraction=0.1)
    assert data.streamed == (memory_bytes == 0)
    assert numbers(data.validation_images) == [*OTHER]
    assert data.validation_labels.tolist() == [0] * 6 + [1] * 6
    assert numbers(data.test_images) == [*TEST]
    # Of train/ a tenth calibrates, and none validates.
    assert len(data.train_labels) == 36 and len(data.calibration_labels) == 4
    parts = numbers(data.train_images[:]) + numbers(data.calibration_images)
    assert sorted(parts) == [*TRAIN]
    for images, labels in (
        (data.train_images[:], data.train_labels),
        (data.calibration_images, data.calibration_labels),
    ):
        np.testing.assert_array_equal(images[:, 0, 0, 0] // 20, labels)
    (note,) = data.notes
    assert note == (
        f"{names[1]}/ is the validation split: validation_fraction is not applied."
    )


@pytest.mark.parametrize("memory_bytes", READINGS)
def test_without_a_test_folder_the_validation_folder_tests(
    tmp_path, memory_bytes, caplog
):
    caplog.set_level(logging.INFO, logger="mothernets_jax")
    write(tmp_path, {"train": 20, "val": 6})
    data = read(tmp_path, memory_bytes, validation_fraction=0.1)
    assert numbers(data.test_images) == [*OTHER]
    drawn = numbers(data.validation_images)
    assert len(drawn) == 4 and set(drawn) <= set(TRAIN)
    (note,) = data.notes
    assert note.startswith(
        "There is no test/: val/ is the test set, and the validation"
    )
    assert note in caplog.messages


@pytest.mark.parametrize("memory_bytes", READINGS)
@pytest.mark.parametrize("part", ["", "train"], ids=["classes", "train alone"])
@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_a_test_set_is_drawn_where_there_is_none(
    tmp_path, part, memory_bytes, fraction
):
    """The same part of each class, mixed, and the same one whatever else is asked."""
    write(tmp_path, {part: 20})
    data = read(tmp_path, memory_bytes, test_fraction=fraction)
    tested = numbers(data.test_images)
    assert np.bincount(data.test_labels).tolist() == [20 * fraction] * 2
    assert [n // 20 for n in tested] == sorted(data.test_labels)
    rest = numbers(data.train_images[:]) + numbers(data.validation_images)
    assert sorted(tested + rest) == [*TRAIN]
    ends = [*range(20 - round(20 * fraction), 20)]
    assert [n for n in tested if n < 20] != ends  # not the last in the listing
    other = read(
        tmp_path, memory_bytes, test_fraction=fraction, validation_fraction=0.3
    )
    assert numbers(other.test_images) == tested
    (note,) = data.notes
    assert (
        f"the test set is {round(40 * fraction)} of the 40 images, {fraction} " in note
    )
    assert "drawn in a fixed order" in note and "(test_fraction)" in note
    assert note.startswith("There is no test/" if part else "The class folders lie in")


def test_classes_of_all_sizes_are_divided(tmp_path):
    for name, count in {"ant": 2, "bee": 11, "cow": 50}.items():
        (tmp_path / name).mkdir()
        for place in range(count):
            pixels = random_pixels(place, (2, 2))
            Image.fromarray(pixels).save(tmp_path / name / f"{place}.png")
    arrays = load_image_folder(str(tmp_path))
    # A fifth of 63 images, 12.6, is 13; of each class within one image of its share.
    counts = np.bincount(arrays.test_labels)
    assert counts.sum() == 13 and counts[0] == 1
    assert np.abs(counts - np.array([0.4, 2.2, 10])).max() <= 1


def test_a_fraction_that_is_not_applied_is_said(tmp_path):
    write(tmp_path, {"train": 4, "test": 2})
    assert load_image_folder(str(tmp_path)).notes == ()
    notes = load_image_folder(str(tmp_path), test_fraction=0.3).notes
    assert notes == ("test/ is the test set: test_fraction is not applied.",)


def test_a_validation_split_may_lack_a_class(tmp_path):
    write(tmp_path, {"train": 4, "val": 1, "test": 2})
    (tmp_path / "val/ant/00.png").unlink()
    data = read(tmp_path)
    assert data.validation_labels.tolist() == [1]
    assert data.notes[1] == "val/ has no images of class 'ant'."


def test_a_folder_named_like_a_split_may_hold_the_whole(tmp_path):
    """Where it is no part of another data set: `test/` holds classes, or splits."""
    write(tmp_path / "test", {"": 5})
    assert len(load_image_folder(str(tmp_path / "test")).test_labels) == 2
    write(tmp_path / "train", {"train": 3, "val": 2})
    assert len(load_image_folder(str(tmp_path / "train")).test_labels) == 4


def archive(root: Path, name: str) -> Path:
    root.mkdir(exist_ok=True)
    (root / name).write_bytes(b"PK\3\4")
    return root / name


def break_folder(root: Path, how: str) -> Path:
    """Makes one mistake that users make; returns the folder that they give."""
    if how.startswith("archive"):
        return archive(root, how.split()[1])
    if how in ("the part", "the class of a part"):
        write(root, {"train": 2, "val": 1})
        return root / "train"
    if how == "the test part":
        write(root, {"train": 2, "Test": 1})
        return root / "Test"
    if how == "the folder above":
        write(root / "images", {"train": 2, "test": 1})
    elif how == "two of a split":
        write(root, {"train": 2, "Train": 2, "test": 1})
    elif how == "two validation splits":
        write(root, {"train": 2, "test": 1, "val": 1, "validation": 1})
    elif how == "a misspelt split":
        write(root, {"train": 2, "tset": 1})
    elif how == "a class named train":
        write(root, {"bus": 2, "car": 2})
        (root / "train").mkdir()
        Image.new("L", (4, 4)).save(root / "train/0.png")
    elif how == "no classes":
        write(root, {"test": 2})
        (root / "train").mkdir()
        for place in range(3):
            Image.new("L", (4, 4)).save(root / f"train/{place}.png")
    elif how == "images alone":
        root.mkdir()
        Image.new("L", (4, 4)).save(root / "0.png")
    elif how == "nothing":
        root.mkdir()
    elif how == "no train":
        write(root, {"test": 2, "val": 2})
    elif how == "one image":
        write(root, {"": 5})
        for place in range(4):
            (root / f"bee/{place:02}.png").unlink()
    elif how == "an unknown class":
        write(root, {"train": 2, "test": 2, "val": 1})
        (root / "val/bee").rename(root / "val/wasp")
    elif how == "an empty validation split":
        write(root, {"train": 2, "test": 2, "val": 0})
    elif how == "val tests and lacks a class":
        write(root, {"train": 2, "val": 1})
        (root / "val/bee/00.png").unlink()
    else:
        raise AssertionError(how)
    return root


MISTAKES = [
    ("archive images.zip", r"images\.zip is an archive: unpack it and give the fold"),
    ("archive a.tar.gz", r"a\.tar\.gz is an archive: unpack it and give the folder"),
    ("archive a.TGZ", "is an archive: unpack it and give the folder"),
    ("archive a.7z", "is an archive: unpack it and give the folder"),
    ("archive a.bin", r"a\.bin is a file; expected DIR/train/<class>/"),
    (
        "the part",
        r"/train is a part of a data set, beside val/: give its parent .*/x\.",
    ),
    ("the test part", r"/Test is a part .* beside train/: give its parent .*/x\."),
    ("the folder above", r"/train is a folder further down .*: give .*/x/images"),
    ("two of a split", r"holds Train/ and train/: expected one folder for the train s"),
    ("two validation splits", "holds val/ and validation/: expected one folder for"),
    ("a misspelt split", r"tset holds class folders of .*/train \('ant', say\), but i"),
    (
        "a class named train",
        r"no class folders in .*/train, but bus, car beside it; .*",
    ),
    (
        "no classes",
        r"no class folders in .*/train, but 3 files directly in it; expecte",
    ),
    ("images alone", r"no folder train/ and no class folders in .*/x, but 1 files; ex"),
    ("nothing", r"no folder train/ and no class folders in .*/x; expected DIR/train"),
    ("no train", r"no folder train/ in .*\(found: test, val\); expected DIR/train"),
    (
        "one image",
        r"class 'bee' has 1 example in .*/x, and test_fraction=0\.2 leaves no",
    ),
    ("an unknown class", r"class 'wasp' is in .*/val but not in .*/train; every class"),
    ("an empty validation split", r"no images in .*/val; expected some in the class f"),
    ("val tests and lacks a class", r"no images in .*/val/bee; expected files of the"),
]


@pytest.mark.parametrize(("how", "message"), MISTAKES, ids=[how for how, _ in MISTAKES])
def test_a_mistake_is_named_with_what_to_do(tmp_path, cache_home, how, message):
    given = break_folder(tmp_path / "x", how)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_image_folder(str(given))
    assert not cache_home.exists()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_that_draws_no_test_set_is_refused(tmp_path, fraction):
    write(tmp_path, {"": 4})
    with pytest.raises(ValueError, match=r"test_fraction=.*, expected a fraction betw"):
        load_image_folder(str(tmp_path), test_fraction=fraction)
    with pytest.raises(ValueError, match=r"test_fraction=0\.9 leaves none to train on"):
        load_image_folder(str(tmp_path), test_fraction=0.9)


def test_a_fraction_is_no_option_of_other_data():
    with pytest.raises(ValueError, match=r"test_fraction=0\.3 is given, but .*'mnist'"):
        load("mnist", test_fraction=0.3)


# Copies across the splits.


@pytest.mark.extras
@pytest.mark.parametrize(
    ("part", "other", "message"),
    [
        ("val", "train", "1 of 12 validation images are training images, too"),
        ("val", "test", "1 of 8 test images are validation images, too"),
        ("test", "train", "1 of 8 test images are training images, too"),
    ],
)
def test_an_image_in_two_splits_is_a_warning(tmp_path, caplog, part, other, message):
    write(tmp_path, {"train": 20, "val": 6, "test": 4})
    check_copies(read(tmp_path))
    assert not caplog.messages  # the control
    copied = (tmp_path / other / "ant/00.png").read_bytes()
    (tmp_path / part / "ant/01.png").write_bytes(copied)
    check_copies(read(tmp_path))
    (warning,) = caplog.messages
    assert message in warning
    check_copies(read(tmp_path, memory_bytes=0))
    assert len(caplog.messages) == (2 if (part, other) == ("val", "test") else 1)


# Images of another kind.


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"train": 20, "val": 6, "test": 4}, TEST),
        ({"train": 20, "val": 6}, OTHER),
        ({"train": 4}, range(8)),
        ({"": 4}, range(8)),
        ({"a/b": 2, "c": 2}, range(8)),
    ],
    ids=["test", "val", "train", "classes", "anywhere"],
)
def test_all_of_a_folder_without_a_test_set_looks_strange(tmp_path, parts, expected):
    write(tmp_path, parts)
    options = {"crop": "shift", "input_shape": (4, 4, 1)}
    found = load_ood_images("folder", directory=str(tmp_path), **options)
    assert numbers(found) == [*expected]


def test_images_directly_in_a_folder_look_strange(tmp_path):
    for number in range(3):
        Image.new("L", (4, 4), number).save(tmp_path / f"{number}.png")
    options = {"crop": "shift", "input_shape": (4, 4, 1)}
    found = load_ood_images("folder", directory=str(tmp_path), **options)
    assert numbers(found) == [0, 1, 2]
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="^name is 'folder'.*no images in"):
        load_ood_images("folder", directory=str(tmp_path / "none"), **options)
