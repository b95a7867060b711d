"""The test images that an ensemble is wrong about and surest of, small, for the report.

Axes: [examples], the test images in the order of the data set.
"""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from mothernets_jax.metrics.probabilities import remaining_probability

_MOST = 12
_SIDE = 64  # pixels, at most


def worst_images(
    probabilities: np.ndarray, labels: np.ndarray, images: np.ndarray
) -> list[dict[str, Any]]:
    """Finds the wrong answers of the largest probability, the surest first.

    Args:
        probabilities: floats [examples, classes], rows summing to 1.
        labels: int [examples], the true classes.
        images: uint8 or floats [examples, height, width, channels].

    Returns:
        For at most 12 images the number of the `image` in the test split, its `label`,
        the class that is `predicted`, the `probability` of it, and the image itself,
        of at most 64 pixels a side: the bytes of a `png` file in base64. Nothing
        for features, and for images that are neither grey nor red, green and blue.
    """
    _, height, width, channels = images.shape
    if channels not in (1, 3) or height * width == 1:
        return []
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    doubt = remaining_probability(probabilities[wrong])
    worst = wrong[np.argsort(doubt, kind="stable")[:_MOST]]
    return [
        {
            "image": int(number),
            "label": int(labels[number]),
            "predicted": int(predicted[number]),
            "probability": float(probabilities[number, predicted[number]]),
            "png": _png(image),
        }
        for number, image in zip(worst, _as_bytes(images[worst]), strict=True)
    ]


def _as_bytes(images: np.ndarray) -> np.ndarray:
    """Images as uint8; of floats, the least of all is black and the largest white."""
    if images.dtype == np.uint8 or not images.size:
        return images
    images = images.astype(np.float64)  # differences of float32 may be beyond it
    low, high = float(images.min()), float(images.max())
    scaled = (images - low) * (255 / ((high - low) or 1.0))
    return np.round(scaled).astype(np.uint8)


def _png(image: np.ndarray) -> str:
    """A PNG file in base64 of an image, uint8 [height, width, channels]."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")
