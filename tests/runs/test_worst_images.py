"""The images that an ensemble is most surely wrong about."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from mothernets_jax.runs.worst_images import worst_images

LABELS = np.array([0, 1, 1, 0, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.2, 0.8], [0.55, 0.45]])


def pixels_of(entry):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(entry["png"]))))


@pytest.mark.parametrize("channels", [1, 3])
def test_wrong_answers_come_with_their_pixels_the_surest_first(seed, channels):
    images = np.random.default_rng(seed).integers(256, size=(5, 6, 4, channels))
    images = images.astype(np.uint8)
    found = worst_images(PROBABILITIES, LABELS, images)
    assert [entry["image"] for entry in found] == [3, 1, 4]
    assert [entry["predicted"] for entry in found] == [1, 0, 0]
    assert [entry["label"] for entry in found] == [0, 1, 1]
    assert found[0]["probability"] == pytest.approx(0.8)
    expected = images[3] if channels == 3 else images[3, ..., 0]
    np.testing.assert_array_equal(pixels_of(found[0]), expected)


def test_floats_are_stretched_from_black_to_white():
    images = np.linspace(-2.0, 3.0, 5 * 16).reshape(5, 4, 4, 1)
    found = worst_images(PROBABILITIES, LABELS, images)
    darkest, brightest = pixels_of(found[1]), pixels_of(found[2])
    assert darkest[0, 0] == 0
    assert brightest[-1, -1] == 255


def test_large_images_are_made_small_and_stay_in_shape():
    images = np.zeros((5, 300, 200, 3), np.uint8)
    assert pixels_of(worst_images(PROBABILITIES, LABELS, images)[0]).shape[0] == 64
    assert pixels_of(worst_images(PROBABILITIES, LABELS, images)[0]).shape[1] == 43


def test_there_are_at_most_a_dozen():
    many = np.zeros(40, int)
    wrong = np.tile([[0.1, 0.9]], (40, 1))
    assert len(worst_images(wrong, many, np.zeros((40, 2, 2, 1), np.uint8))) == 12


@pytest.mark.parametrize("shape", [(5, 1, 1, 3), (5, 4, 4, 2)])
def test_features_and_other_channels_are_no_pictures(shape):
    assert worst_images(PROBABILITIES, LABELS, np.zeros(shape, np.float32)) == []


def test_where_all_is_right_there_is_nothing_to_show():
    right = PROBABILITIES.argmax(1)
    assert worst_images(PROBABILITIES, right, np.zeros((5, 4, 4, 1), np.float32)) == []
