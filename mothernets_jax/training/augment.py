"""Random crops and flips on the device, inside the training step.

Axes: [batch, height, width, channels], uint8 until `normalise`.

References: alternating flips are those of Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds
on a Single GPU".
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.training.augmentations.batch import own_part

# Names of `np.pad`'s modes.
_BORDERS: dict[str, Literal["constant", "reflect"]] = {
    "black": "constant",
    "reflect": "reflect",
}


class FlipState(NamedTuple):
    """State of alternating flips, which decides the side that is shown; traced.

    Attributes:
        key: a typed key, the same in all epochs of a member.
        epoch: number of the epoch, int scalar.
    """

    key: jax.Array
    epoch: jax.typing.ArrayLike


def pad_for_crops(images: np.ndarray, crop_padding: int, border: str) -> np.ndarray:
    """Pads all images of a data set for random crops, once, on the host.

    Args:
        images: uint8 [examples, height, width, channels].
        crop_padding: pixels added on each side.
        border: `black`, or `reflect`, the image mirrored in its outermost pixels.

    Returns:
        uint8 [examples, height + 2 padding, width + 2 padding, channels].
    """
    sides = (crop_padding, crop_padding)
    return np.pad(images, ((0, 0), sides, sides, (0, 0)), mode=_BORDERS[border])


def draw_batch(
    key: jax.Array,
    padded_images: jax.Array,
    indices: jax.Array,
    sides: FlipState,
    *,
    crop_padding: int,
    flip: str,
    batch_axis: str | None = None,
) -> jax.Array:
    """Gathers images, each cropped at a random place and flipped or not.

    Args:
        key: a typed key.
        padded_images: uint8 [examples, padded height, padded width, channels].
        indices: int [batch], places of the images in `padded_images`.
        sides: state of `alternating` flips; unused by the others.
        crop_padding: the padding of `padded_images`; 0 for no crops.
        flip: `none`; `random`, each time; or `alternating`: an image shows a random
            side in the first epoch, then the other side in every second one.
        batch_axis: name of the mapped axis over which the batch is divided, None where
            it is not. Each place on it gathers its own part; together they gather what
            one alone would.

    Returns:
        uint8 [batch, height, width, channels], or this place's part of the batch.
    """
    _, padded_height, padded_width, channels = padded_images.shape
    height, width = padded_height - 2 * crop_padding, padded_width - 2 * crop_padding
    crop_key, flip_key = jax.random.split(key)
    batch = indices.shape[0]
    indices = own_part(indices, batch_axis)
    if crop_padding:
        corners = jax.random.randint(crop_key, (batch, 2), 0, 2 * crop_padding + 1)
        corners = own_part(corners, batch_axis)

        def crop(index, corner):
            start = (index, corner[0], corner[1], 0)
            size = (1, height, width, channels)
            return jax.lax.dynamic_slice(padded_images, start, size)[0]

        images = jax.vmap(crop)(indices, corners)
    else:
        images = padded_images[indices]
    if flip == "none":
        return images
    if flip == "random":
        flipped = jax.random.bernoulli(flip_key, 0.5, (batch, 1, 1, 1))
        flipped = own_part(flipped, batch_axis)
    else:
        flipped = _other_side(indices, sides)[:, None, None, None]
    return jnp.where(flipped, images[:, :, ::-1], images)


def _other_side(indices: jax.Array, sides: FlipState) -> jax.Array:
    """Flips of images in an epoch, bool [batch], the same in whatever batch."""

    def first_side(index):
        return jax.random.bernoulli(jax.random.fold_in(sides.key, index))

    odd_epoch = jnp.asarray(sides.epoch) % 2 == 1
    return jax.vmap(first_side)(indices) ^ odd_epoch


def normalise(images: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """Shifts and scales pixels to zero mean and unit deviation, in `mean`'s dtype.

    Args:
        images: uint8 [batch, height, width, channels].
        mean: means of the channels, [channels], in pixel units.
        std: deviations of the channels, [channels], in pixel units.
    """
    shape = (1, 1, 1, mean.shape[0])
    return (images.astype(mean.dtype) - mean.reshape(shape)) / std.reshape(shape)
