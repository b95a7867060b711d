"""Means and deviations of channels beside NumPy's in float64."""

import numpy as np
import pytest

from mothernets_jax.data.channel_statistics import channel_statistics, float_statistics


@pytest.mark.parametrize("examples", [1, 1025])  # in one chunk, and in two
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_they_are_those_of_float64(examples, dtype):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (examples, 3, 2, 3)).astype(dtype)
    images[..., 1] //= 2
    if dtype == np.float32:
        images = images * np.float32(1e-3) + np.float32(50)
    exact = images.astype(np.float64)
    mean, std = channel_statistics(images)
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, exact.std((0, 1, 2)), rtol=1e-6)


def test_large_and_small_floats_lose_nothing():
    rng = np.random.default_rng(1)
    images = rng.normal(size=(3000, 1, 1, 3)).astype(np.float32)
    images *= np.float32([1e25, 1e-25, 1.0])
    images[..., 2] += np.float32(1000)
    exact = images.astype(np.float64)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(std, exact.std((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(mean[2], exact[..., 2].mean(), rtol=1e-6)


def test_constant_channels_become_zero():
    pixels = np.full((5, 2, 2, 1), 7, np.uint8)
    assert [own.tolist() for own in channel_statistics(pixels)] == [[7.0], [1.0]]
    rounded = np.full((6, 1, 1, 3), [0.0, 0.1, 3e20], np.float32)
    rounded[::2, 0, 0, 2] *= np.float32(1 + 2e-7)
    mean, std = channel_statistics(rounded)
    np.testing.assert_allclose(mean, [0, 0.1, 3e20], rtol=1e-6)
    assert std.tolist() == [1.0, 1.0, 1.0]
    assert float_statistics(rounded)[1][2] > 1e12  # as it is
