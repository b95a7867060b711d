"""Changes of an image's colours: tables of levels, and blends with a duller image.

A table [channels, 256] has the new level for each level of a channel. Pixels are uint8.

References: Cubuk et al. 2020, "RandAugment: Practical Automated Data Augmentation with
a Reduced Search Space"; the operations are those of Pillow's ImageOps and ImageEnhance.
"""

import jax
import jax.numpy as jnp

_LEVELS = 256
_LARGEST_CHANGE = 0.9  # of an enhancement's factor, which is 1 for no change
_MOST_BITS_LOST = 4  # of a level's eight
# ITU-R 601-2, for red, green and blue.
_LUMA = (0.299, 0.587, 0.114)


def identity(image: jax.Array, strength: jax.Array) -> jax.Array:
    """The table that changes nothing.

    Args:
        image: uint8 [height, width, channels].
        strength: share of the largest change, -1 to 1.
    """
    return jnp.tile(_levels(), (image.shape[-1], 1))


def autocontrast(image: jax.Array, strength: jax.Array) -> jax.Array:
    """The table that stretches each channel to all levels; see `identity`."""
    low, high = (
        end.astype(jnp.float32)[:, None]
        for end in (image.min((0, 1)), image.max((0, 1)))
    )
    flat, same = high <= low, _levels()[None]
    stretched = (same - low) * (255 / jnp.where(flat, 1, high - low))
    return jnp.where(flat, same, _as_levels(jnp.floor(stretched)))


def equalize(image: jax.Array, strength: jax.Array) -> jax.Array:
    """The table that makes all levels of a channel about equally frequent.

    It changes nothing in images of fewer than 256 pixels, nor does Pillow's. See
    `identity` for the arguments.
    """

    def of_channel(pixels):
        counts = jnp.zeros(_LEVELS, int).at[pixels.ravel()].add(1)
        step = (pixels.size - counts[pixels.max()]) // 255
        below = jnp.cumsum(counts) - counts
        equal = (step // 2 + below) // jnp.maximum(step, 1)
        return jnp.where(step == 0, _levels(), _as_levels(equal))

    return jax.vmap(of_channel, in_axes=-1)(image)


def posterize(image: jax.Array, strength: jax.Array) -> jax.Array:
    """The table that drops up to four of the lower bits; see `identity`."""
    lost = jnp.round(_MOST_BITS_LOST * jnp.abs(strength)).astype(jnp.uint8)
    return jnp.tile(_levels() >> lost << lost, (image.shape[-1], 1))


def solarize(image: jax.Array, strength: jax.Array) -> jax.Array:
    """The table that inverts the upper levels, at 1 and -1 all; see `identity`."""
    threshold = jnp.round(_LEVELS * (1 - jnp.abs(strength)))
    table = jnp.where(_levels() < threshold, _levels(), 255 - _levels())
    return jnp.tile(table, (image.shape[-1], 1))


def brightness(image: jax.Array, strength: jax.Array) -> jax.Array:
    """The table that makes an image brighter, or darker below 0; see `identity`."""
    table = blend(jnp.zeros(_LEVELS, jnp.uint8), _levels(), strength)
    return jnp.tile(table, (image.shape[-1], 1))


def contrast(image: jax.Array, strength: jax.Array) -> jax.Array:
    """The table that moves levels from the mean grey, or towards it below 0.

    See `identity` for the arguments.
    """
    mean = _as_levels(jnp.round(grey(image, strength).astype(jnp.float32).mean()))
    table = blend(jnp.full(_LEVELS, mean), _levels(), strength)
    return jnp.tile(table, (image.shape[-1], 1))


def apply_table(image: jax.Array, table: jax.Array) -> jax.Array:
    """The image with each channel's levels replaced as a table says."""
    channels = jnp.arange(image.shape[-1])[None, None]
    return table[channels, image.astype(int)]


def grey(image: jax.Array, strength: jax.Array) -> jax.Array:
    """The image without its colours, as dull as `color` can make it.

    Of three channels, taken for red, green and blue, it is the luma; of others the
    mean. See `identity` for the arguments.
    """
    pixels = image.astype(jnp.float32)
    of_rgb = image.shape[-1] == len(_LUMA)
    level = pixels @ jnp.array(_LUMA) if of_rgb else pixels.mean(-1)
    level = _as_levels(jnp.round(level))
    return jnp.broadcast_to(level[..., None], image.shape)


def smooth(image: jax.Array, strength: jax.Array) -> jax.Array:
    """The image that sharpness is measured from, each pixel a mean of it and eight.

    It has 5 of 13 parts, its neighbours 1 each; pixels at the edges stay as they are.
    See `identity` for the arguments.
    """
    height, width, _ = image.shape
    if height < 3 or width < 3:
        return image
    pixels = image.astype(jnp.float32)
    total = 4 * pixels[1:-1, 1:-1]
    for row in range(3):
        for column in range(3):
            total += pixels[row : height - 2 + row, column : width - 2 + column]
    return image.at[1:-1, 1:-1].set(_as_levels(jnp.round(total / 13)))


def blend(dull: jax.Array, image: jax.Array, strength: jax.Array) -> jax.Array:
    """An image moved away from a duller one, or towards it where strength is below 0.

    Args:
        dull: uint8, of any shape.
        image: uint8, of the same shape.
        strength: share of the largest change, -1 to 1.
    """
    factor = 1 + _LARGEST_CHANGE * strength
    base = dull.astype(jnp.float32)
    return _as_levels(jnp.round(base + factor * (image.astype(jnp.float32) - base)))


def _levels() -> jax.Array:
    return jnp.arange(_LEVELS, dtype=jnp.uint8)


def _as_levels(values: jax.Array) -> jax.Array:
    return jnp.clip(values, 0, 255).astype(jnp.uint8)
