"""Arrays of users: what becomes of them, and what is refused."""

import numpy as np
import pytest

from mothernets_jax.data.inputs import as_images, as_labels, lost_channels


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", ">f4"])
def test_images_are_bytes_or_float32_as_they_are(dtype):
    own = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 2)).astype(dtype)
    found = as_images(own)
    assert found.dtype == ("uint8" if dtype == "uint8" else "float32")
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, own)
    if own.dtype.kind == "f":
        np.testing.assert_array_equal(as_images(own.tolist()), own)


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "float64"])
def test_features_are_images_of_one_pixel(dtype):
    own = np.arange(6).reshape(2, 3).astype(dtype)
    found = as_images(own)
    assert found.dtype == np.float32 and found.shape == (2, 1, 1, 3)
    np.testing.assert_array_equal(found.reshape(2, 3), own)


class Sparse:
    def toarray(self):
        raise AssertionError("may not fit into memory")


OTHERS = [
    (
        np.zeros((3, 4, 4), np.uint8),
        r"uint8 of shape \(3, 4, 4\).*images\[\.\.\., None",
    ),
    (np.zeros((3, 4, 4, 1), np.int64), r"int64 .*images\.astype\('uint8'\)"),
    (np.zeros(3), r"One feature is a column: images\[:, None\]"),
    (np.zeros((3, 0)), r"shape \(3, 0\): expected images as uint8 or floats"),
    (np.zeros((3, 4, 0, 1)), r"shape \(3, 4, 0, 1\): expected"),
    (
        np.zeros((3, 3, 32, 32)),
        r"32 channels at its end.*images\.transpose\(0, 2, 3, 1",
    ),
    ([["a", "b"]], r"one-hot columns"),
    ([[1, 2], [3]], r"expected images as"),
    (None, r"expected images as"),
    (Sparse(), r"a sparse Sparse.*\.toarray\(\)"),
    ([[1.0], [np.nan]], r"not finite, in 1 of 2 examples \(number 1, say\): fill in"),
    ([[1.0], [-np.inf]], r"not finite"),
    ([[1.0], [-1e31]], r"beyond 1e\+30: .*scale"),
    ([[1], [10**31]], r"expected images as"),
]


@pytest.mark.parametrize(("values", "message"), OTHERS)
def test_other_forms_are_told_what_to_do(values, message):
    with pytest.raises(ValueError, match=f"^images .*{message}"):
        as_images(values)


def test_messages_name_the_argument():
    with pytest.raises(ValueError, match=r"^test\[0\] are float64 of shape \(3,\)"):
        as_images(np.zeros(3), "test[0]")


@pytest.mark.parametrize(
    ("labels", "indices", "names"),
    [
        ([7, 5, 10, 5], [1, 0, 2, 0], ("5", "7", "10")),  # in the order of numbers
        ([-1, 1], [0, 1], ("-1", "1")),
        ([1.0, 0.0], [1, 0], ("0", "1")),
        ([True, False], [1, 0], ("False", "True")),
        (["b", "a"], [1, 0], ("a", "b")),
        (np.array(["b", "a"], object), [1, 0], ("a", "b")),
        (np.array([np.int64(4), 2], object), [1, 0], ("2", "4")),
        (np.array([np.str_("b"), "a"], object), [1, 0], ("a", "b")),
    ],
)
def test_different_labels_in_their_order_are_the_classes(labels, indices, names):
    found, classes = as_labels(labels)
    assert found.tolist() == indices and classes == names
    assert found.dtype.kind == "i"


def test_names_of_classes_give_labels_their_meaning():
    names = ["wolf", "ape"]
    assert as_labels([1, 0, 1], names)[0].tolist() == [1, 0, 1]
    found, classes = as_labels(["ape", "wolf"], names)
    assert found.tolist() == [1, 0] and classes == ("wolf", "ape")
    # As int32 it would be 0, which is a class.
    assert as_labels([2**32, -1], names)[0].tolist() == [2**32, -1]


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([[0], [1]], None, r"labels have the shape \(2, 1\).*labels\.ravel\(\)"),
        ([0.5, 1.0], None, r"not all of them whole numbers.*regression"),
        ([np.nan, 1.0], None, r"not all of them whole"),
        ([None, "a"], None, r"of the types NoneType, str"),
        (np.array([1, True], object), None, r"of the types bool, int"),
        ([1j], None, r"are complex128: expected classes"),
        (["a", "x"], ("a", "b"), r"hold 'x', which is no class: .*\['a', 'b'\]"),
        ([0, 1], ("a", "a"), r"class_names hold 'a' twice"),
        ([0, 1], "ab", r"class_names are 'ab': expected a tuple"),
        ([0, 1], ("a", ""), r"none of them empty"),
        ([0, 1], (1, 2), r"expected a tuple of texts"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, names, message):
    with pytest.raises(ValueError, match=message):
        as_labels(labels, names)


def test_channels_that_float32_rounds_away_are_found():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(200, 1, 1, 4))
    images[..., 1] += 1e6  # keeps 1e-6 of its size, of which 4 bits are left
    images[..., 2] += 1e9
    images[..., 3] = 1e9  # constant
    images[..., 0] += 1e4
    assert np.ptp(images[..., 2].astype(np.float32)) == 0  # nothing of it is left
    assert lost_channels(images) == [1, 2]
    assert lost_channels(np.eye(5, dtype=np.bool_).reshape(5, 1, 1, 5)) == []
    assert lost_channels(np.full((2, 1, 1, 1), 255, np.uint8)) == []
