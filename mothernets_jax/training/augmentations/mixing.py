"""Mixup and CutMix: images are mixed with others of their batch, and so are labels.

The share is drawn once for a batch, as both papers do. The mixed pixels keep the data
set's dtype: of whole numbers, they are rounded to the nearest.

Axes: images are [batch, height, width, channels].
"""

import dataclasses

import jax
import jax.numpy as jnp

from mothernets_jax.training.augmentations.batch import (
    Batch,
    Partners,
    batch_size,
    own_part,
    whole,
)


@dataclasses.dataclass(frozen=True)
class Mixup:
    """Means of two images, a `batch.Transform`.

    Attributes:
        alpha: both parameters of the beta distribution that an image's own share is
            drawn from; the larger, the more alike the shares.

    References: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization".
    """

    alpha: float

    def __call__(self, key: jax.Array, batch: Batch, batch_axis: str | None) -> Batch:
        """Mixes a batch; see `batch.Transform`."""
        share_key, order_key = jax.random.split(key)
        share = draw_share(share_key, self.alpha)
        others = draw_partners(order_key, batch, batch_axis)
        images = mean_of_two(batch.images, others.images, share)
        return Batch(images, batch.labels, Partners(others.labels, share))


@dataclasses.dataclass(frozen=True)
class CutMix:
    """Images with a box of another image in them, a `batch.Transform`.

    Attributes:
        alpha: both parameters of the beta distribution that the area outside of the box
            is drawn from, before what lies beyond the image is cut off.

    References: Yun et al. 2019, "CutMix: Regularization Strategy to Train Strong
    Classifiers with Localizable Features".
    """

    alpha: float

    def __call__(self, key: jax.Array, batch: Batch, batch_axis: str | None) -> Batch:
        """Mixes a batch; see `batch.Transform`."""
        share_key, place_key, order_key = jax.random.split(key, 3)
        share = draw_share(share_key, self.alpha)
        height, width = batch.images.shape[1:3]
        places = jax.random.uniform(place_key, (2,)) * jnp.array([height, width])
        centre = places.astype(int)
        box = box_of(share, centre, height, width)
        others = draw_partners(order_key, batch, batch_axis)
        images = jnp.where(box[None, ..., None], others.images, batch.images)
        own_share = 1 - box.mean(dtype=share.dtype)
        return Batch(images, batch.labels, Partners(others.labels, own_share))


def draw_share(key: jax.Array, alpha: float) -> jax.Array:
    """A share of the beta distribution of two equal parameters, scalar.

    Both gamma variates are drawn at once, and so compiled once.
    """
    return jax.nn.softmax(jax.random.loggamma(key, alpha, (2,)))[0]


def draw_partners(key: jax.Array, batch: Batch, batch_axis: str | None) -> Batch:
    """The batch in a random order, or this place's part of it."""
    size = batch_size(batch.labels, batch_axis)
    order = own_part(jax.random.permutation(key, size), batch_axis)
    images = whole(batch.images, batch_axis)[order]
    return Batch(images, whole(batch.labels, batch_axis)[order])


def mean_of_two(
    images: jax.Array, others: jax.Array, share: jax.typing.ArrayLike
) -> jax.Array:
    """Weighted means of images, in their dtype.

    Args:
        images: [batch, height, width, channels].
        others: the same, of the partners.
        share: weight of `images`, 0 to 1, scalar.
    """
    share = jnp.asarray(share)
    mixed = share * images + (1 - share) * others
    if jnp.issubdtype(images.dtype, jnp.integer):
        mixed = jnp.round(mixed)
    return mixed.astype(images.dtype)


def box_of(
    share: jax.typing.ArrayLike, centre: jax.Array, height: int, width: int
) -> jax.Array:
    """The pixels that CutMix takes from the partner.

    Args:
        share: the share of the area outside of the box, 0 to 1, scalar.
        centre: the box's centre, int [2], row and column.
        height: height of the images, in pixels.
        width: width of the images, in pixels.

    Returns:
        bool [height, width], true inside the box as far as it lies in the image.
    """
    inside = []
    side = jnp.sqrt(1 - jnp.asarray(share))
    for axis, size in enumerate((height, width)):
        length = (size * side).astype(int)
        first, stop = centre[axis] - length // 2, centre[axis] + length // 2
        places = jnp.arange(size)
        inside.append((first <= places) & (places < stop))
    return inside[0][:, None] & inside[1][None]
