"""Crops and flips, on images whose pixels say where they come from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mothernets_jax.training.augment import (
    FlipState,
    draw_batch,
    normalise,
    pad_for_crops,
)

HEIGHT, WIDTH, PADDING = 4, 3, 2
OFFSETS = 2 * PADDING + 1

# Five images, no two pixels alike and none of them black.
PIXELS = np.arange(1, 1 + 5 * HEIGHT * WIDTH * 2, dtype=np.uint8)
IMAGES = PIXELS.reshape(5, HEIGHT, WIDTH, 2)
PADDED = np.pad(IMAGES, ((0, 0), (PADDING,) * 2, (PADDING,) * 2, (0, 0)))


def draw(seed, indices, *, crop_padding=PADDING, flip="random", sides=(0, 0)):
    """A batch; `sides` are a seed and an epoch."""
    images = PADDED if crop_padding else IMAGES
    batch = jax.jit(draw_batch, static_argnames=("crop_padding", "flip"))(
        jax.random.key(seed),
        jnp.asarray(images),
        jnp.asarray(indices),
        FlipState(jax.random.key(sides[0]), sides[1]),
        crop_padding=crop_padding,
        flip=flip,
    )
    assert batch.dtype == jnp.uint8 and batch.shape == (len(indices), *IMAGES.shape[1:])
    return np.asarray(batch)


def test_pad_for_crops():
    padded = pad_for_crops(IMAGES, PADDING, "black")
    np.testing.assert_array_equal(padded, PADDED)
    assert padded.dtype == np.uint8
    for border in ("black", "reflect"):
        unpadded = pad_for_crops(IMAGES, 0, border)
        np.testing.assert_array_equal(unpadded, IMAGES)


@pytest.mark.parametrize("padding", [1, 2, 5])
def test_reflected_borders(padding):
    """Against JAX's; five pixels are more than an image has."""
    sides = (padding, padding)
    expected = jnp.pad(IMAGES, ((0, 0), sides, sides, (0, 0)), mode="reflect")
    found = pad_for_crops(IMAGES, padding, "reflect")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    # The outermost pixels are not doubled.
    row = pad_for_crops(np.arange(3, dtype=np.uint8).reshape(1, 1, 3, 1), 2, "reflect")
    assert row[0, 0, :, 0].tolist() == [2, 1, 0, 1, 2, 1, 0]


def origins(batch, indices):
    """(row, column, flipped) of each image, found by comparing it with all windows."""
    for image, index in zip(batch, indices, strict=True):
        found = [
            (row, column, flipped)
            for row in range(OFFSETS)
            for column in range(OFFSETS)
            for flipped in (False, True)
            if np.array_equal(
                image[:, ::-1] if flipped else image,
                PADDED[index, row : row + HEIGHT, column : column + WIDTH],
            )
        ]
        assert len(found) == 1, "not a window, or of two places"
        yield found[0]


@pytest.mark.parametrize("flip", ["none", "random"])
def test_crops_are_windows_from_everywhere(flip, seed):
    indices = np.arange(2000) % len(IMAGES)
    places = np.array(list(origins(draw(seed, indices, flip=flip), indices)))
    # 25 offsets of probability 1/25: each between 80 - 6 and 80 + 6 deviations.
    counts = np.zeros((OFFSETS, OFFSETS), int)
    np.add.at(counts, (places[:, 0], places[:, 1]), 1)
    deviation = np.sqrt(2000 * (1 / 25) * (24 / 25))
    assert np.abs(counts - 80).max() < 6 * deviation
    flips = places[:, 2]
    if flip == "none":
        assert not flips.any()
        return
    assert abs(flips.mean() - 0.5) < 6 * np.sqrt(0.25 / 2000)
    # A flip says nothing about the place, nor the row about the column.
    correlations = np.corrcoef(places.T) - np.eye(3)
    assert np.abs(correlations).max() < 6 / np.sqrt(2000)


def test_neither_crop_nor_flip_gathers():
    indices = [3, 0, 0, 4]
    batch = draw(0, indices, crop_padding=0, flip="none")
    np.testing.assert_array_equal(batch, IMAGES[indices])


def test_flip_alone():
    indices = np.arange(1000) % len(IMAGES)
    batch = draw(0, indices, crop_padding=0)
    flipped = np.all(batch == IMAGES[indices][:, :, ::-1], axis=(1, 2, 3))
    kept = np.all(batch == IMAGES[indices], axis=(1, 2, 3))
    assert np.all(flipped ^ kept)
    assert abs(flipped.mean() - 0.5) < 0.1


def shown_sides(images, indices, seed, member, epoch):
    """Whether each image shows its mirrored side, in a batch of alternating flips."""
    batch = draw_batch(
        jax.random.key(seed),
        jnp.asarray(images),
        jnp.asarray(indices),
        FlipState(jax.random.key(member), epoch),
        crop_padding=0,
        flip="alternating",
    )
    mirrored = np.all(batch == images[indices][:, :, ::-1], axis=(1, 2, 3))
    kept = np.all(batch == images[indices], axis=(1, 2, 3))
    assert np.all(mirrored ^ kept)
    return mirrored


def test_alternating_flips(seed):
    """Each image shows its other side every epoch, whatever the batch and its key."""
    images = np.tile(np.uint8([1, 2]).reshape(1, 1, 2, 1), (400, 1, 1, 1))
    everything = np.arange(400)
    first = shown_sides(images, everything, seed, member=0, epoch=0)
    for epoch in (1, 2, 3):
        order = np.random.default_rng(seed + epoch).permutation(400)[:300]
        found = shown_sides(images, order, seed + epoch, member=0, epoch=epoch)
        np.testing.assert_array_equal(found, first[order] ^ (epoch % 2 == 1))
    other = shown_sides(images, everything, seed, member=1, epoch=0)
    # First sides are a fair coin's (6 standard deviations), each member's its own.
    assert abs(first.mean() - 0.5) < 0.15
    assert abs((first ^ other).mean() - 0.5) < 0.15


def test_batches_follow_their_key():
    indices = np.arange(40) % len(IMAGES)
    first, again, other = (draw(seed, indices) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_normalise():
    mean, std = IMAGES.mean((0, 1, 2)), IMAGES.std((0, 1, 2))
    found = normalise(jnp.asarray(IMAGES), jnp.float32(mean), jnp.float32(std))
    assert found.dtype == jnp.float32
    expected = (IMAGES.astype(float) - mean) / std
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.mean(found, (0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(found, (0, 1, 2)), 1, atol=1e-5)


def test_normalise_computes_in_the_dtype_of_the_mean(x64):
    found = normalise(jnp.asarray(IMAGES), jnp.array([0.0, 1.0]), jnp.array([2.0, 4.0]))
    assert found.dtype == jnp.float64
    expected = (IMAGES - np.array([0.0, 1.0])) / np.array([2.0, 4.0])
    np.testing.assert_array_equal(found, expected)
