"""Data sets of arrays: their splits are those of folders, and others are as given."""

import logging

import numpy as np
import pytest
from PIL import Image

from mothernets_jax.data import load
from mothernets_jax.data.arrays import from_arrays

pytestmark = pytest.mark.usefixtures("cache_home")

CLASSES, SIDE = ("ant", "bee"), 3
SPLITS = ("train", "calibration", "validation", "test")


def pixels(count, seed=0):
    return np.random.default_rng(seed).integers(
        0, 256, (count, SIDE, SIDE, 3), np.uint8
    )


def write(root, images, labels):
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = root / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:03}.png")


def assert_same(data, other):
    for split in SPLITS:
        for kind in ("images", "labels"):
            own, expected = (getattr(d, f"{split}_{kind}") for d in (data, other))
            np.testing.assert_array_equal(own, expected)
            assert own.dtype == expected.dtype
    assert data.class_names == other.class_names
    assert data.mean.tolist() == other.mean.tolist()
    assert data.std.tolist() == other.std.tolist()


@pytest.mark.parametrize("tested", [False, True])
def test_splits_are_those_of_a_folder_of_the_same_images(tmp_path, tested):
    images, labels = pixels(40), np.repeat([0, 1], [25, 15])
    names = np.asarray(CLASSES)[labels]
    fractions = {"validation_fraction": 0.25, "calibration_fraction": 0.1}
    if tested:
        own = pixels(6, 1), np.repeat([0, 1], [2, 4])
        write(tmp_path / "train", images, labels)
        write(tmp_path / "test", *own)
        given = {"test": (own[0], np.asarray(CLASSES)[own[1]])}
    else:
        write(tmp_path, images, labels)
        given = {"test_fraction": 0.3}
        fractions["test_fraction"] = 0.3
    folder = load("folder", directory=str(tmp_path), train_examples=10, **fractions)
    data = from_arrays(images, names, train_examples=10, **(fractions | given))
    assert_same(data, folder)
    if tested:
        assert data.notes == ()
    else:
        assert "12 of the 40 examples, 0.3 of each class" in data.notes[0]
    assert data.input_dtype == np.uint8 and data.preparation is None


def test_given_splits_are_taken_whole():
    features = np.random.default_rng(0).normal(size=(30, 4))
    train, validation, test = features[:20], features[20:24], features[24:]
    labels = ["x", "y"] * 15
    data = from_arrays(
        train,
        labels[:20],
        validation=(validation, labels[20:24]),
        test=(test, labels[24:]),
        calibration_fraction=0.2,
    )
    held = {"validation": validation, "test": test}
    for split, expected in held.items():
        found = getattr(data, f"{split}_images")
        np.testing.assert_array_equal(found[:, 0, 0], expected.astype(np.float32))
    assert data.test_labels.tolist() == [0, 1] * 3
    trained = np.concatenate([data.train_images, data.calibration_images])[:, 0, 0]
    np.testing.assert_array_equal(
        np.sort(trained, axis=0), np.sort(train.astype(np.float32), axis=0)
    )
    assert len(data.calibration_labels) == 4
    np.testing.assert_allclose(data.mean, data.train_images.mean((0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize("own", [[5, 7, 5], [7.0, 5.0, 5.0], ["5", "7", "7"]])
def test_labels_of_a_test_set_are_those_of_training(own):
    data = from_arrays(np.zeros((20, 1)), [7, 5] * 10, test=(np.zeros((3, 1)), own))
    assert data.class_names == ("5", "7")
    assert data.test_labels.tolist() == [int(float(label) == 7) for label in own]


def test_the_arrays_of_the_caller_are_copied():
    images = np.zeros((20, 2, 2, 1), np.float32)
    data = from_arrays(images, [0, 1] * 10)
    images[:] = 5
    assert not any(getattr(data, f"{split}_images").any() for split in SPLITS)


IMAGES, LABELS = np.zeros((20, 2, 2, 1), np.uint8), [0, 1] * 10
MISTAKES = [
    ({"labels": [0, 1]}, r"images and labels are 20 and 2: expected as many"),
    ({"labels": [0] * 20}, r"only one class, '0'"),
    ({"labels": [0] * 19 + [1]}, r"class '1' has 1 example, and test_fraction=0\.2"),
    ({"class_names": ("a", "b", "c")}, r"class 'c' has 0 examples"),
    ({"class_names": ("a",)}, r"10 of 20 given images have a label that is no class"),
    (
        {"test_fraction": 1.0},
        r"test_fraction=1\.0, expected a fraction between 0 and 1",
    ),
    ({"test": IMAGES}, r"test is of type ndarray: expected a pair"),
    ({"test": (IMAGES, [0])}, r"images and labels of test are 20 and 1"),
    ({"test": (IMAGES, [0, 9] * 10)}, r"test\[1\] hold '9', which is no class"),
    ({"test": (IMAGES[:, 1:], LABELS)}, r"uint8 and shape \(1, 2, 1\): expected uint8"),
    ({"validation": (IMAGES / 255, LABELS)}, r"validation has images of float32"),
]


@pytest.mark.parametrize(("given", "message"), MISTAKES)
def test_a_mistake_is_told(given, message):
    arguments = {"images": IMAGES, "labels": LABELS} | given
    with pytest.raises(ValueError, match=message):
        from_arrays(**arguments)


def test_what_float32_rounds_away_is_warned_of(caplog):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 3)) + [0, 1e8, 0]
    with caplog.at_level(logging.WARNING):
        from_arrays(features, [0, 1] * 25)
    assert "rounds much of it away: number 1. Subtract" in caplog.text
