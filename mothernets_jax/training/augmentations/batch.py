"""A batch as augmentations change it, on one device or divided among several.

Axes: images are [batch, height, width, channels].
"""

from typing import NamedTuple, Protocol

import jax


class Partners(NamedTuple):
    """The images that those of a batch are mixed with.

    Attributes:
        labels: int [batch], each partner's label.
        own_share: scalar, the share that an image and its label keep, 0 to 1; the rest
            is the partner's.
    """

    labels: jax.Array
    own_share: jax.Array


class Batch(NamedTuple):
    """Images and labels of a step.

    Attributes:
        images: [batch, height, width, channels], raw pixels in the data set's dtype
            until they are normalised.
        labels: int [batch].
        partners: what the images are mixed with; None where they are as they were.
    """

    images: jax.Array
    labels: jax.Array
    partners: Partners | None = None


class Transform(Protocol):
    """A random change of a batch: frozen and hashable, compared by value."""

    def __call__(self, key: jax.Array, batch: Batch, batch_axis: str | None) -> Batch:
        """Changes a batch.

        Args:
            key: a typed key, of the member and the step.
            batch: the batch, or this place's part of it.
            batch_axis: name of the mapped axis over which the batch is divided, None
                where it is not. Together the places do what one alone would.

        Returns:
            The batch, or this place's part of it, of the same shapes and dtypes.
        """
        ...


def own_part(values: jax.Array, axis: str | None) -> jax.Array:
    """The part of `values` that belongs to this place on a mapped axis.

    Args:
        values: [batch, ...], the same at every place.
        axis: name of the mapped axis; None for all of the values.
    """
    if axis is None:
        return values
    size = values.shape[0] // jax.lax.axis_size(axis)
    return jax.lax.dynamic_slice_in_dim(values, jax.lax.axis_index(axis) * size, size)


def whole(part: jax.Array, axis: str | None) -> jax.Array:
    """All places' parts of a batch in their order; the inverse of `own_part`.

    Args:
        part: [batch / places, ...], this place's part.
        axis: name of the mapped axis; None where the part is all there is.
    """
    if axis is None:
        return part
    return jax.lax.all_gather(part, axis, tiled=True)


def batch_size(part: jax.Array, axis: str | None) -> int:
    """Number of examples of the whole batch, given this place's part of it."""
    return part.shape[0] * (1 if axis is None else jax.lax.axis_size(axis))
