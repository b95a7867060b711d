"""Rotations, shears and shifts of an image, by its nearest pixels.

A matrix [2, 3] takes a pixel of the result, as (x, y, 1) from the upper left corner of
the image, to the place that it shows, as (x, y). Both are in pixels.

References: Cubuk et al. 2019, "AutoAugment: Learning Augmentation Policies from Data",
whose ranges and signs these are.
"""

import jax
import jax.numpy as jnp

# Of pixels from outside of the image: the middle grey of the reference code.
OUTSIDE = 128

_LARGEST_ANGLE = 30.0  # degrees
_LARGEST_SHEAR = 0.3  # pixels aside for a pixel down
_LARGEST_SHIFT = 150 / 331  # of the image's side


def rotation(strength: jax.Array, height: int, width: int) -> jax.Array:
    """The matrix of a turn about the image's centre.

    Args:
        strength: share of the largest change, -1 to 1; above 0 is counterclockwise.
        height: height of the image, in pixels.
        width: width of the image, in pixels.
    """
    angle = jnp.deg2rad(_LARGEST_ANGLE * strength)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x, y = width / 2, height / 2
    return jnp.array(
        [
            [cos, -sin, x - cos * x + sin * y],
            [sin, cos, y - sin * x - cos * y],
        ]
    )


def shear_x(strength: jax.Array, height: int, width: int) -> jax.Array:
    """The matrix of a shear along the rows; arguments as for `rotation`."""
    return _matrix(xy=_LARGEST_SHEAR * strength)


def shear_y(strength: jax.Array, height: int, width: int) -> jax.Array:
    """The matrix of a shear along the columns; arguments as for `rotation`."""
    return _matrix(yx=_LARGEST_SHEAR * strength)


def shift_x(strength: jax.Array, height: int, width: int) -> jax.Array:
    """The matrix of a shift along the rows; arguments as for `rotation`."""
    return _matrix(x=_LARGEST_SHIFT * strength * width)


def shift_y(strength: jax.Array, height: int, width: int) -> jax.Array:
    """The matrix of a shift along the columns; arguments as for `rotation`."""
    return _matrix(y=_LARGEST_SHIFT * strength * height)


def warp(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """The image that shows each pixel at the place that a matrix says.

    Args:
        image: uint8 [height, width, channels].
        matrix: [2, 3].

    Returns:
        uint8 [height, width, channels], `OUTSIDE` where the image does not reach.
    """
    height, width, _ = image.shape
    rows, columns = jnp.mgrid[:height, :width]
    centres = jnp.stack([columns + 0.5, rows + 0.5, jnp.ones((height, width))])
    found = jnp.floor(jnp.tensordot(matrix, centres, 1)).astype(int)
    x, y = found
    inside = (0 <= x) & (x < width) & (0 <= y) & (y < height)
    shown = image[jnp.clip(y, 0, height - 1), jnp.clip(x, 0, width - 1)]
    return jnp.where(inside[..., None], shown, jnp.asarray(OUTSIDE, image.dtype))


def _matrix(
    xy: jax.typing.ArrayLike = 0.0,
    x: jax.typing.ArrayLike = 0.0,
    yx: jax.typing.ArrayLike = 0.0,
    y: jax.typing.ArrayLike = 0.0,
) -> jax.Array:
    return jnp.array([[1.0, xy, x], [yx, 1.0, y]])
