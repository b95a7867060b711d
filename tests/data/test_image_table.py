"""Tables of images: read as folders are, divided as they say, and refused in words."""

import csv

import numpy as np
import pytest
from image_folders import CLASSES, random_pixels, write_folder
from PIL import Image

from mothernets_jax.data import load
from mothernets_jax.data.identity import describe
from mothernets_jax.data.preparation import Preparation, read_prepared
from mothernets_jax.data.public import Dataset

pytestmark = pytest.mark.usefixtures("cache_home")

SPLITS = ("train", "calibration", "validation", "test")


def write_table(file, rows, names=("path", "label")):
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([names, *rows])
    return file


def write_images(root, count, shape=(6, 6, 3)):
    """Images of classes in turn, and their rows; returns pixels and rows."""
    pixels = random_pixels(0, (count, *shape))
    for number, own in enumerate(pixels):
        Image.fromarray(own).save(root / f"{number:02}.png")
    return pixels, [[f"{i:02}.png", CLASSES[i % 3]] for i in range(count)]


def numbers_of(images, pixels):
    """Which of `pixels` each image is."""
    return [int(np.argmax((pixels == own).all((1, 2, 3)))) for own in images]


@pytest.mark.parametrize("shape", [(6, 5, 3), (6, 5)], ids=["colour", "grey"])
@pytest.mark.parametrize("image_size", [None, 4])
def test_a_table_of_a_folder_is_that_folder(tmp_path, shape, image_size):
    folder = tmp_path / "folder"
    for place in write_folder(folder, shape):
        (tmp_path / "own").mkdir(exist_ok=True)
        name, label = place.split("/")[0], place.split("/")[1]
        with (tmp_path / "rows").open("a") as rows:
            rows.write(f"folder/{place},{label},{name.upper()}\n")
    table = tmp_path / "own" / "images.csv"
    table.write_text("file,class,part\n" + (tmp_path / "rows").read_text())
    options = {"image_size": image_size, "validation_fraction": 0.5, "resize": "pad"}
    data = Dataset.from_table(
        table,
        path_column="file",
        label_column="class",
        split_column="part",
        root=tmp_path,
        **options,
    )
    expected = load("folder", directory=str(folder), **options)
    for split in SPLITS:
        for kind in ("images", "labels"):
            own, other = (getattr(d, f"{split}_{kind}") for d in (data, expected))
            assert own.shape == other.shape
            np.testing.assert_array_equal(own, other)
    assert data.class_names == CLASSES and data.preparation == expected.preparation
    image = read_prepared(
        str(folder / "test/ant/a.png"), data.preparation, data.input_shape
    )
    np.testing.assert_array_equal(image, data.test_images[0])


def test_splits_are_drawn_by_class_and_groups_stay_together(tmp_path):
    pixels, rows = write_images(tmp_path, 60)
    table = write_table(tmp_path / "a.csv", rows)
    data = Dataset.from_table(table, test_fraction=0.2, validation_fraction=0.25)
    assert np.bincount(data.test_labels).tolist() == [4, 4, 4]
    assert np.bincount(data.validation_labels).tolist() == [4, 4, 4]
    assert data.train_images.shape == (36, 6, 6, 3)
    assert "12 of the 60 examples, 0.2 of each class" in data.notes[0]
    for split in SPLITS:
        found = numbers_of(getattr(data, f"{split}_images"), pixels)
        assert getattr(data, f"{split}_labels").tolist() == [i % 3 for i in found]

    rows = [[*row, f"patient {i // 5}"] for i, row in enumerate(rows)]
    write_table(table, rows, ("path", "label", "patient"))
    data = Dataset.from_table(table, group_column="patient")
    parts = [
        {i // 5 for i in numbers_of(getattr(data, f"{split}_images"), pixels)}
        for split in SPLITS
    ]
    assert sum(map(len, parts)) == 12 and set.union(*parts) == set(range(12))
    assert "about 0.2 of each class, in whole groups" in data.notes[0]


def test_the_split_column_is_followed(tmp_path):
    pixels, rows = write_images(tmp_path, 30)
    named = ["Train"] * 18 + ["valid"] * 6 + ["TESTING"] * 6
    rows = [[*row, name] for row, name in zip(rows, named, strict=True)]
    table = write_table(tmp_path / "a.csv", rows, ("path", "label", "split"))
    options = {"split_column": "split", "calibration_fraction": 0.5}
    data = Dataset.from_table(table, **options)
    assert numbers_of(data.validation_images, pixels) == list(range(18, 24))
    assert numbers_of(data.test_images, pixels) == list(range(24, 30))
    assert len(data.calibration_labels) == len(data.train_labels) == 9
    assert "validation_fraction is not used" in data.notes[0]

    no_test = [[*row[:2], row[2].replace("TESTING", "train")] for row in rows]
    write_table(table, no_test, ("path", "label", "split"))
    data = Dataset.from_table(table, split_column="split", test_fraction=0.3)
    assert numbers_of(data.test_images, pixels) == list(range(18, 24))
    assert len(data.validation_labels) == 2
    assert "There is no test set: the validation split is" in data.notes[0]
    assert "test_fraction is not applied" in data.notes[1]


def test_labels_that_are_numbers_keep_their_order(tmp_path):
    _, rows = write_images(tmp_path, 30)
    numbers = {"ant": "10", "bee": "9", "cow": "-1"}
    table = write_table(tmp_path / "a.csv", [[p, numbers[own]] for p, own in rows])
    assert Dataset.from_table(table).class_names == ("-1", "9", "10")
    codes = {"ant": "010", "bee": "09", "cow": "1"}
    table = write_table(tmp_path / "a.csv", [[p, codes[own]] for p, own in rows])
    assert Dataset.from_table(table).class_names == ("010", "09", "1")
    names = ("cow", "bee", "ant")
    table = write_table(tmp_path / "a.csv", rows)
    data = Dataset.from_table(table, class_names=names)
    assert (
        data.class_names == names and np.bincount(data.test_labels).tolist() == [2] * 3
    )


def test_decoded_images_are_cached(tmp_path, monkeypatch):
    pixels, rows = write_images(tmp_path, 30)
    table = write_table(tmp_path / "a.csv", rows)
    first = Dataset.from_table(table)
    with monkeypatch.context() as patched:
        patched.setattr(Image.Image, "load", None)
        again = Dataset.from_table(table)
    np.testing.assert_array_equal(again.train_images, first.train_images)
    Image.fromarray(255 - pixels[0]).save(tmp_path / "00.png")
    changed = Dataset.from_table(table)
    assert describe(changed, name="a") != describe(first, name="a")


@pytest.mark.extras  # streams
def test_images_that_stay_in_their_files_are_the_same(tmp_path):
    _, rows = write_images(tmp_path, 60)
    rows = [[*row, f"p{i // 4}"] for i, row in enumerate(rows)]
    table = write_table(tmp_path / "a.csv", rows, ("path", "label", "patient"))
    memory = Dataset.from_table(table, group_column="patient")
    streamed = Dataset.from_table(table, group_column="patient", memory_bytes=100)
    assert streamed.streamed and streamed.preparation == Preparation()
    np.testing.assert_array_equal(streamed.train_images[:], memory.train_images)
    for name in ("train_labels", "validation_images", "test_images", "mean"):
        np.testing.assert_array_equal(getattr(streamed, name), getattr(memory, name))
    before = describe(streamed, name="a")
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in [table, *tmp_path.glob("*.png")]:
        path.rename(moved / path.name)
    again = Dataset.from_table(
        moved / "a.csv", group_column="patient", memory_bytes=100
    )
    assert describe(again, name="a") == before
    (moved / "07.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read 1 image: .*/moved/07\.png"):
        Dataset.from_table(moved / "a.csv", memory_bytes=100)


MISTAKES = [
    (
        "a missing file",
        r"1 of 30 images of .*a\.csv are no files: x\.png \(line 5\)\..*r",
    ),
    ("a folder", r"are no files: folder \(line 5\)\. Expected paths that start from"),
    ("twice", r"has '.*/02\.png' in line 4 and in line 5: expected each image once"),
    ("no image", r"cannot read the image .*/03\.png: it is in no known format"),
    (
        "an unknown split",
        r"line 5 of .* has the split 'holdout': expected one of train",
    ),
    ("no training", r"no examples are in the split train"),
    ("a group in two splits", r"the group 'p0' is in the splits train and test"),
    ("a class that tests alone", r"no training images of class 'dog'"),
    ("one image of a class", r"class 'dog' has 1 example, and test_fraction"),
    ("an unknown column", r"split_column is 'spit', and the col.*did you mean 'split'"),
]


@pytest.mark.parametrize(("how", "message"), MISTAKES, ids=[how for how, _ in MISTAKES])
def test_a_mistake_is_told(tmp_path, how, message):
    _, rows = write_images(tmp_path, 30)
    rows = [[*row, "train", f"p{i // 3}"] for i, row in enumerate(rows)]
    options = {}
    if how == "a missing file":
        rows[3][0] = "x.png"
    elif how == "a folder":
        (tmp_path / "folder").mkdir()
        rows[3][0] = "folder"
    elif how == "twice":
        rows[3][0] = "./02.png"
    elif how == "no image":
        (tmp_path / "03.png").write_text("text")
    elif how == "an unknown split":
        rows[3][2], options["split_column"] = "holdout", "split"
    elif how == "no training":
        rows = [[*row[:2], "test", row[3]] for row in rows]
        options["split_column"] = "split"
    elif how == "a group in two splits":
        rows[2][2] = "test"
        options |= {"split_column": "split", "group_column": "group"}
    elif how == "a class that tests alone":
        rows[2][1:3] = "dog", "test"
        options["split_column"] = "split"
    elif how == "one image of a class":
        rows[2][1] = "dog"
    else:
        options["split_column"] = "spit"
    table = write_table(tmp_path / "a.csv", rows, ("path", "label", "split", "group"))
    with pytest.raises(ValueError, match=message):
        Dataset.from_table(table, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": "random"}, r"crop='random', expected one of shift, resized"),
        ({"crop": "resized"}, r"crop='resized' needs a size"),
        ({"resize": "squash"}, r"resize='squash', expected one of crop, pad, stretch"),
        ({"image_size": 0}, r"image_size=0, expected at least 1"),
    ],
)
def test_ways_of_resizing_are_checked_before_anything_is_read(options, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_table("nowhere.csv", **options)
