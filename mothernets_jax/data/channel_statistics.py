"""Mean and standard deviation of each channel, by which inputs are standardised.

Axes: examples, height, width, channels. Features are images of one pixel, each feature
a channel.
"""

import numpy as np

# In pixel levels. A channel that never changes would otherwise divide by zero.
MIN_PIXEL_STD = 1.0
# Of the mean: a float32 channel that varies less is constant but for rounding.
_ROUNDING = 1e-6
# Images squared at once: bounds the temporary copy to a few MB at 32x32.
_CHUNK_IMAGES = 1024


def channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel.

    Pixel levels are summed exactly, as integers, and their deviation is at least 1.
    Floats are summed in float64; the deviation of a channel that is constant, but for
    rounding, is taken as 1, so that it is 0 for a network.

    Args:
        images: uint8 or float32 [examples, height, width, channels].

    Returns:
        mean and std, float32 [channels].
    """
    if images.dtype == np.uint8:
        return _of_pixel_levels(images)
    return _of_floats(images)


def _of_pixel_levels(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of uint8. (`images.std` would hold a float64 copy of every pixel.)"""
    total = np.zeros(images.shape[1:], np.int64)
    total_squares = np.zeros(images.shape[1:], np.int64)
    for start in range(0, len(images), _CHUNK_IMAGES):
        chunk = images[start : start + _CHUNK_IMAGES]
        total += chunk.sum(axis=0, dtype=np.int64)
        # 255**2 just fits in 16 bits.
        squares = np.square(chunk, dtype=np.uint16)
        total_squares += squares.sum(axis=0, dtype=np.int64)
    pixels = images[..., 0].size
    mean = total.sum(axis=(0, 1)) / pixels
    variance = total_squares.sum(axis=(0, 1)) / pixels - mean**2
    std = np.maximum(np.sqrt(np.maximum(variance, 0.0)), MIN_PIXEL_STD)
    return mean.astype(np.float32), std.astype(np.float32)


def _of_floats(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, std = float_statistics(images)
    constant = (std <= _ROUNDING * np.abs(mean)) | (std == 0.0)
    return mean.astype(np.float32), np.where(constant, 1.0, std).astype(np.float32)


def float_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of floats, as they are.

    Args:
        images: floats [examples, height, width, channels].

    Returns:
        mean and std, float64 [channels].
    """
    starts = range(0, len(images), _CHUNK_IMAGES)
    chunks = [images[start : start + _CHUNK_IMAGES] for start in starts]
    pixels = images[..., 0].size
    sums = [chunk.sum(axis=(0, 1, 2), dtype=np.float64) for chunk in chunks]
    mean = np.sum(sums, axis=0) / pixels
    squares = [np.square(chunk - mean).sum(axis=(0, 1, 2)) for chunk in chunks]
    return mean, np.sqrt(np.sum(squares, axis=0) / pixels)
