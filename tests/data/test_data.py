"""The data sets: what is in each split, which digits, and what is refused."""

import logging

import numpy as np
import pytest

from mothernets_jax.data import Dataset, load
from mothernets_jax.data.dataset import split
from mothernets_jax.data.digits import load_digits_fold
from mothernets_jax.data.statistics import describe

# Splitting. Every training image is its own index, written in base 256 over the two
# channels of its one pixel, so that a split can be checked by reading its pixels.


def numbered_images(examples: int) -> np.ndarray:
    index = np.arange(examples)
    return np.stack([index // 256, index % 256], -1)[:, None, None].astype(np.uint8)


def numbers(images: np.ndarray) -> np.ndarray:
    return images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 0, 1]


def split_classes(counts: tuple[int, ...], **options) -> Dataset:
    """Splits `counts[i]` numbered images of each class i, in order of the class."""
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    names = tuple(f"class{i}" for i in range(len(counts)))
    test_labels = np.arange(len(counts), dtype=np.int32)
    images, test_images = numbered_images(len(labels)), numbered_images(len(counts))
    return split(images, labels, test_images, test_labels, names, **options)


@pytest.mark.parametrize(
    "counts", [(40, 40, 40), (300, 30, 3), (1, 500), (10,) * 30], ids=str
)
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5])
def test_split_divides_every_class(counts, fraction):
    data = split_classes(counts, validation_fraction=fraction)
    train, validation = numbers(data.train_images), numbers(data.validation_images)
    # Every image is in exactly one of the two, and keeps its label.
    assert sorted([*train, *validation]) == list(range(sum(counts)))
    labels = np.repeat(np.arange(len(counts)), counts)
    np.testing.assert_array_equal(data.train_labels, labels[train])
    np.testing.assert_array_equal(data.validation_labels, labels[validation])
    # The whole is as large as asked, and each class within an image of its share.
    assert len(validation) == round(fraction * sum(counts))
    kept = np.bincount(data.validation_labels, minlength=len(counts))
    assert np.abs(kept - fraction * np.array(counts)).max() <= 1.0
    # Mixed, not the last of each class as they lie on the disk.
    assert fraction == 0.0 or np.any(np.diff(np.sort(validation)) > 1)
    assert data.train_images.dtype == data.validation_images.dtype == np.uint8
    assert data.train_labels.dtype == data.validation_labels.dtype == np.int32
    assert data.input_shape == (1, 1, 2) and data.num_classes == len(counts)


@pytest.mark.parametrize(
    "counts", [(40, 40, 40), (300, 30, 3), (1, 500), (10,) * 30], ids=str
)
@pytest.mark.parametrize("fraction", [0.1, 0.25])
@pytest.mark.parametrize("validation_fraction", [0.0, 0.1])
def test_calibration_is_cut_off_before_validation(
    counts, fraction, validation_fraction
):
    without = split_classes(counts, validation_fraction=validation_fraction)
    assert len(without.calibration_images) == len(without.calibration_labels) == 0
    assert without.calibration_images.shape[1:] == (1, 1, 2)
    options = {
        "validation_fraction": validation_fraction,
        "calibration_fraction": fraction,
    }
    data = split_classes(counts, **options)
    size = round(fraction * sum(counts))
    # What trained at the end of the order calibrates; nothing else has changed.
    for part in ("images", "labels"):
        before = getattr(without, f"train_{part}")
        np.testing.assert_array_equal(getattr(data, f"train_{part}"), before[:-size])
        calibration = getattr(data, f"calibration_{part}")
        np.testing.assert_array_equal(calibration, before[-size:])
        assert calibration.dtype == before.dtype
        for kept in (f"validation_{part}", f"test_{part}"):
            np.testing.assert_array_equal(getattr(data, kept), getattr(without, kept))
    # Each class within an image of its share, as far as an image can be shared.
    kept = np.bincount(data.calibration_labels, minlength=len(counts))
    assert np.abs(kept - fraction * np.array(counts)).max() <= 1.0
    fewer = split_classes(counts, train_examples=len(counts), **options)
    np.testing.assert_array_equal(fewer.calibration_images, data.calibration_images)


@pytest.mark.parametrize("counts", [(50, 50, 50), (200, 40, 2)], ids=str)
def test_train_examples_nest_and_leave_validation_alone(counts):
    whole = split_classes(counts)
    available = len(whole.train_images)
    for train_examples in range(len(counts), available + 1):
        data = split_classes(counts, train_examples=train_examples)
        assert len(data.train_images) == len(data.train_labels) == train_examples
        # The first of the whole: so each is a part of every larger one.
        for field in ("train_images", "train_labels"):
            expected = getattr(whole, field)[:train_examples]
            np.testing.assert_array_equal(getattr(data, field), expected)
        for field in ("validation_images", "validation_labels", "test_images"):
            np.testing.assert_array_equal(getattr(data, field), getattr(whole, field))
        # Proportional, but never without a class: that can move the share of another
        # class by an image for each class.
        of_class = np.bincount(data.train_labels, minlength=len(counts))
        assert of_class.min() >= 1
        share = train_examples * np.array(counts) / sum(counts)
        assert np.abs(of_class - share).max() <= (1 if min(counts) > 2 else len(counts))


def test_a_validation_split_of_its_own_is_taken_whole():
    own, labels = numbered_images(7)[::-1], np.array([1, 0, 0, 1, 1, 1, 0])
    data = split_classes(
        (20, 30), validation_images=own, validation_labels=labels, notes=("a note",)
    )
    np.testing.assert_array_equal(data.validation_images, own)
    np.testing.assert_array_equal(data.validation_labels, labels)
    assert data.validation_labels.dtype == np.int32 and data.notes == ("a note",)
    assert sorted(numbers(data.train_images)) == [*range(50)]  # none is drawn
    # Calibration stands where it does when none of the training images validates.
    kept = split_classes((20, 30), validation_fraction=0.0, calibration_fraction=0.1)
    data = split_classes(
        (20, 30),
        validation_images=own,
        validation_labels=labels,
        calibration_fraction=0.1,
    )
    np.testing.assert_array_equal(data.calibration_images, kept.calibration_images)
    with pytest.raises(
        ValueError, match=r"4 of 7 validation images .* no class \(2, s"
    ):
        split_classes(
            (20, 30), validation_images=own, validation_labels=labels + labels
        )


def test_split_ignores_the_global_seed():
    np.random.seed(0)
    first = split_classes((30, 30))
    np.random.seed(1)
    np.testing.assert_array_equal(
        first.train_images, split_classes((30, 30)).train_images
    )


def test_mean_and_std_are_of_the_training_images_only():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (3000, 5, 4, 3), np.uint8)
    images[..., 1] //= 4
    labels = rng.integers(0, 3, 3000).astype(np.int32)
    for train_examples in (None, 2000, 11):
        data = split(
            *(images, labels, images[:9], labels[:9], tuple("abc")),
            train_examples=train_examples,
        )
        pixels = data.train_images.astype(np.float64)
        np.testing.assert_allclose(data.mean, pixels.mean((0, 1, 2)), rtol=1e-6)
        np.testing.assert_allclose(data.std, pixels.std((0, 1, 2)), rtol=1e-6)
        assert data.mean.dtype == data.std.dtype == np.float32
        # The control: all images have another mean.
        assert np.abs(data.mean - images.mean((0, 1, 2))).max() > 1e-3


def test_std_of_a_constant_channel_is_one_pixel_level():
    images = np.full((6, 2, 2, 1), 255, np.uint8)
    labels = np.array([0, 1, 2] * 2, np.int32)
    data = split(images, labels, images, labels, tuple("abc"), validation_fraction=0.0)
    np.testing.assert_array_equal(data.mean, [255.0])
    np.testing.assert_array_equal(data.std, [1.0])


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ((9, 9), {"validation_fraction": 1.0}, r"=1\.0, expected a fraction from 0"),
        ((9, 9), {"validation_fraction": -0.1}, r"=-0\.1, expected a fraction from 0"),
        ((9, 9), {"validation_fraction": float("nan")}, "=nan, expected a fraction"),
        ((9, 9), {"validation_fraction": 0.01}, "of 18 training .* validation empty"),
        ((9, 9), {"validation_fraction": 0.95}, "leaves 1 of 18 .* each of 2 classes"),
        ((9, 9), {"calibration_fraction": 1.0}, r"calib.*=1\.0, expected a fraction"),
        ((9, 9), {"calibration_fraction": 0.01}, "of 18 training .* calibration empty"),
        (
            (9, 9),
            {"validation_fraction": 0.5, "calibration_fraction": 0.6},
            r"validation_fraction=0\.5 and calibration_fraction=0\.6 leaves 0 of 18",
        ),
        (
            (10, 10),
            {"train_examples": 17, "calibration_fraction": 0.1},
            "are 16 .*2 of 20 are kept for validation, 2 for calibration.* 2 to 16",
        ),
        ((10, 10), {"train_examples": 19}, r"=19, .* 18 training .*\(2 of 20 .* 2 to"),
        ((10, 10), {"train_examples": 1}, "=1, .* in 2 classes"),
        ((10, 10), {"train_examples": -5}, "=-5, .* in 2 classes"),
        ((9, 0, 9, 0), {}, "no training images of class 'class1', 'class3'"),
        ((0, 0), {}, "no training images of class 'class0', 'class1'"),
    ],
)
def test_split_refuses(counts, options, message):
    with pytest.raises(ValueError, match=message):
        split_classes(counts, **options)


@pytest.mark.parametrize(
    ("train_labels", "test_labels", "message"),
    [
        (
            [0, 1, 2, 3],
            [0],
            r"1 of 4 training images .* no class \(3, say\); expected 0 to 2, .* 3 c",
        ),
        ([0, 1, 2], [1, -1, -1], r"2 of 3 test images .* \(-1, say\); expected 0 to 2"),
    ],
)
def test_split_refuses_labels_that_are_no_class(train_labels, test_labels, message):
    images = [numbered_images(len(labels)) for labels in (train_labels, test_labels)]
    labels = [np.array(labels) for labels in (train_labels, test_labels)]
    with pytest.raises(ValueError, match=message):
        split(images[0], labels[0], images[1], labels[1], tuple("abc"))


# What is counted.


def test_classes_and_copies_are_counted_and_logged(caplog):
    caplog.set_level(logging.INFO, logger="mothernets_jax")
    images, labels = numbered_images(1200), np.arange(1200, dtype=np.int32) % 3
    data = split(images, labels, images[:1], labels[:1], tuple("abc"))._replace(
        train_images=images[:1000],
        train_labels=np.repeat([0, 1, 2], [300, 300, 400]),
        calibration_images=images[[7, 1000, 1001, 8]],
        calibration_labels=np.array([0, 1, 1, 2]),
        validation_images=images[[5, 1100, 5]],
        validation_labels=np.array([0, 2, 2]),
        test_images=images[[999, 1000, 0, 1001]],
        test_labels=np.array([1, 1, 1, 1]),
    )
    assert describe(data) == {
        "class_counts": {
            "train": [300, 300, 400],
            "calibration": [1, 2, 1],
            "validation": [1, 0, 2],
            "test": [0, 4, 0],
        },
        # Class 2 trains most often, and no test image is of it.
        "majority_error": 1.0,
        "calibration_images_in_train": 2,
        "test_images_in_train": 2,
        "validation_images_in_train": 2,
    }
    classes, copies = caplog.messages
    assert classes.endswith(
        "train 300 to 400, calibration 1 to 2, validation 0 to 2, test 0 to 4; "
        "3 classes."
    )
    assert copies.endswith(
        "images: 2 of 4 calibration images, 2 of 3 validation images, 2 of 4 test "
        "images."
    )


# Digits.


def test_digits_are_sklearns_in_256_levels():
    from sklearn.datasets import load_digits

    levels, digits = load_digits(return_X_y=True)
    train_images, train_labels, test_images, test_labels, names, *_ = load_digits_fold(
        2
    )
    assert names == tuple("0123456789")
    images = np.concatenate([train_images, test_images])
    labels = np.concatenate([train_labels, test_labels])
    assert images.shape == (1797, 8, 8, 1) and images.dtype == np.uint8
    # All sixteenths, rounded: by hand from 255 * level / 16.
    scaled = [
        0,
        16,
        32,
        48,
        64,
        80,
        96,
        112,
        128,
        143,
        159,
        175,
        191,
        207,
        223,
        239,
        255,
    ]
    expected = np.array(scaled)[levels.astype(int)]

    def rows(pictures, classes):
        return sorted(np.column_stack([pictures.reshape(1797, 64), classes]).tolist())

    assert rows(images, labels) == rows(expected, digits)


@pytest.mark.parametrize("num_folds", [2, 5])
def test_digits_folds_test_every_image_once(num_folds):
    folds = [load_digits_fold(fold, 1 / num_folds) for fold in range(num_folds)]
    everything = np.bincount(np.concatenate([folds[0][1], folds[0][3]]))
    tested = [np.bincount(test_labels) for _, _, _, test_labels, *_ in folds]
    np.testing.assert_array_equal(sum(tested), everything)
    for of_digit in tested:
        assert np.abs(of_digit - everything / num_folds).max() <= 1.0
    # The digits are all different pictures: a set counts them.
    pictures = [{image.tobytes() for image in fold[2]} for fold in folds]
    assert len(set.union(*pictures)) == sum(map(len, pictures)) == 1797
    for fold, tested_pictures in zip(folds, pictures, strict=True):
        assert tested_pictures.isdisjoint(image.tobytes() for image in fold[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5,), r"fold=5, expected 0 to 4: .* fold=0\.$"),
        ((-1,), "fold=-1, expected 0 to 4"),
        ((4, 0.75), "fold=4, expected 0 to 3"),
        ((0, 0.3), r"test_fraction=0\.3, but .*expected 1 / n, or 1 - 1 / n, .* 174"),
        ((0, 0.001), r"test_fraction=0\.001, but"),
        ((0, 0.999), r"test_fraction=0\.999, but"),
    ],
)
def test_digits_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_digits_fold(*arguments)


def test_digits_can_train_on_one_fold_and_test_on_all_others():
    few, usual = load_digits_fold(1, 0.75), load_digits_fold(1, 0.25)
    np.testing.assert_array_equal(few.train_images, usual.test_images)
    np.testing.assert_array_equal(few.test_labels, usual.train_labels)
    assert len(few.test_labels) > 1300


# By name.


def test_load_splits_the_digits():
    data = load("digits", fold=3, train_examples=200, validation_fraction=0.2)
    test_images = load_digits_fold(3).test_images
    np.testing.assert_array_equal(data.test_images, test_images)
    assert data.input_shape == (8, 8, 1) and data.num_classes == 10
    assert len(data.train_images) == 200
    assert len(data.validation_images) == round(0.2 * (1797 - len(test_images)))
    parts = (data.train_images, data.validation_images, data.test_images)
    pictures = {image.tobytes() for images in parts for image in images}
    assert len(pictures) == sum(map(len, parts))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digit", {}, "'digit', expected one of digits, folder, cifar10, .* 'digits'"),
        ("xyz", {}, r"unknown data set 'xyz', expected one of digits, .*tfds:NAME\.$"),
        ("folder", {}, r"no image folder is given; .* directory=PATH\.$"),
        (
            "digits",
            {"directory": "/images"},
            r"directory='/images' .* 'digits' .* name=folder\.$",
        ),
        ("digits", {"image_size": 32}, "image_size=32 is given, but .*only folder"),
        ("folder", {"fold": 1}, "fold=1 is given, but the data set 'folder' .*digits"),
    ],
)
def test_load_refuses(name, options, message):
    with pytest.raises(ValueError, match=message):
        load(name, **options)
