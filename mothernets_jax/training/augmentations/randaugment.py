"""RandAugment: some operations, drawn anew for each image, all of one magnitude.

The operations are the fourteen of the paper. Only three kinds of them are computed for
an image, whichever is drawn: one table of levels, one blend and one matrix. Hence no
branch depends on the draw, and members that are stepped together cost no more.

References: Cubuk et al. 2020, "RandAugment: Practical Automated Data Augmentation with
a Reduced Search Space", section 3; ranges as in its reference code, but that posterize
and solarize grow with the magnitude, as all others do, and that enhancements go either
way. Magnitude 0 changes little: autocontrast and equalize know no magnitude.
"""

import dataclasses

import jax
import jax.numpy as jnp

from mothernets_jax.training.augmentations import colours, geometry
from mothernets_jax.training.augmentations.batch import Batch, batch_size, own_part

LARGEST_MAGNITUDE = 10

# Operations by name; each is drawn as often as any other.
TABLES = {
    "identity": colours.identity,
    "autocontrast": colours.autocontrast,
    "equalize": colours.equalize,
    "posterize": colours.posterize,
    "solarize": colours.solarize,
    "brightness": colours.brightness,
    "contrast": colours.contrast,
}
DULLER = {"color": colours.grey, "sharpness": colours.smooth}
MATRICES = {
    "rotate": geometry.rotation,
    "shear_x": geometry.shear_x,
    "shear_y": geometry.shear_y,
    "translate_x": geometry.shift_x,
    "translate_y": geometry.shift_y,
}
OPERATIONS = (*TABLES, *DULLER, *MATRICES)


@dataclasses.dataclass(frozen=True)
class RandAugment:
    """Random operations on each image, a `batch.Transform`.

    Attributes:
        operations: number of operations that an image undergoes, one after another.
        magnitude: strength of all of them, 0 to `LARGEST_MAGNITUDE`.
    """

    operations: int
    magnitude: float

    def __call__(self, key: jax.Array, batch: Batch, batch_axis: str | None) -> Batch:
        """Changes uint8 images; see `batch.Transform`."""
        keys = jax.random.split(key, batch_size(batch.labels, batch_axis))
        images = jax.vmap(self._change)(own_part(keys, batch_axis), batch.images)
        return batch._replace(images=images)

    def _change(self, key: jax.Array, image: jax.Array) -> jax.Array:
        def one_more(image, key):
            which_key, sign_key = jax.random.split(key)
            number = jax.random.randint(which_key, (), 0, len(OPERATIONS))
            sign = jax.random.rademacher(sign_key, (), jnp.float32)
            strength = self.magnitude / LARGEST_MAGNITUDE * sign
            return apply_operation(image, number, strength), None

        keys = jax.random.split(key, self.operations)
        return jax.lax.scan(one_more, image, keys)[0]


def apply_operation(
    image: jax.Array, number: jax.typing.ArrayLike, strength: jax.Array
) -> jax.Array:
    """One operation on one image.

    Args:
        image: uint8 [height, width, channels].
        number: the operation's place in `OPERATIONS`, may be traced.
        strength: share of the largest change, -1 to 1. Its sign is a direction to
            geometric operations and enhancements; the others ignore it.

    Returns:
        uint8 [height, width, channels].
    """
    number = jnp.asarray(number)

    def pick(candidates: list[jax.Array], first: int) -> jax.Array:
        place = jnp.clip(number - first, 0, len(candidates) - 1)
        return jnp.stack(candidates)[place]

    table = pick([make(image, strength) for make in TABLES.values()], 0)
    duller = pick([make(image, strength) for make in DULLER.values()], len(TABLES))
    first = len(TABLES) + len(DULLER)
    size = image.shape[:2]
    matrix = pick([make(strength, *size) for make in MATRICES.values()], first)
    return jnp.where(
        number < len(TABLES),
        colours.apply_table(image, table),
        jnp.where(
            number < first,
            colours.blend(duller, image, strength),
            geometry.warp(image, matrix),
        ),
    )
