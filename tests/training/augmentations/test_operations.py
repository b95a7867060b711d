"""RandAugment's operations against Pillow's, and what it does to whole batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from mothernets_jax.training.augmentations.batch import Batch
from mothernets_jax.training.augmentations.randaugment import (
    OPERATIONS,
    RandAugment,
    apply_operation,
)

SIDES = 20, 17  # height, width
apply = jax.jit(apply_operation)


def enhanced(kind):
    return lambda image, s: getattr(ImageEnhance, kind)(image).enhance(1 + 0.9 * s)


def sheared(image, matrix):
    fill = 128 if image.mode == "L" else (128,) * 3
    return image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=fill)


# What each operation is, with strengths at which both definitions agree. A turn and a
# shift are compared where no pixel's centre falls on an edge between two.
PILLOW = {
    "identity": lambda image, s: image,
    "autocontrast": lambda image, s: ImageOps.autocontrast(image),
    "equalize": lambda image, s: ImageOps.equalize(image),
    "posterize": lambda image, s: ImageOps.posterize(image, 8 - round(4 * abs(s))),
    "solarize": lambda image, s: ImageOps.solarize(image, round(256 * (1 - abs(s)))),
    "brightness": enhanced("Brightness"),
    "contrast": enhanced("Contrast"),
    "color": enhanced("Color"),
    "sharpness": enhanced("Sharpness"),
    "rotate": lambda image, s: image.rotate(
        30 * s, fillcolor=128 if image.mode == "L" else (128,) * 3
    ),
    "shear_x": lambda image, s: sheared(image, (1, 0.3 * s, 0, 0, 1, 0)),
    "shear_y": lambda image, s: sheared(image, (1, 0, 0, 0.3 * s, 1, 0)),
    "translate_x": lambda image, s: sheared(
        image, (1, 0, 150 / 331 * s * image.width, 0, 1, 0)
    ),
    "translate_y": lambda image, s: sheared(
        image, (1, 0, 0, 0, 1, 150 / 331 * s * image.height)
    ),
}


def picture(channels, seed=0):
    """Smooth, so that sharpness has something to do, of few dark and bright levels."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(20, 220, (*SIDES, channels)).astype(np.uint8)
    waves = 60 * np.sin(np.arange(SIDES[1]) / 3)[None, :, None]
    return np.clip(noise * 0.5 + 60 + waves, 11, 230).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_pillow_s(name, channels):
    image = picture(channels)
    number, moved = OPERATIONS.index(name), []
    for strength in (0.37, -0.63, 0.91):
        found = np.asarray(apply(image, number, jnp.float32(strength)))
        assert found.dtype == np.uint8
        pillow = Image.fromarray(image[..., 0] if channels == 1 else image)
        expected = np.asarray(PILLOW[name](pillow, strength)).reshape(image.shape)
        difference = np.abs(found.astype(int) - expected)
        if name == "rotate":  # in float32, a centre next to an edge may cross it
            assert (difference.max(-1) > 1).mean() < 0.02
        else:
            assert difference.max() <= 1
        moved.append(np.abs(expected.astype(int) - image).mean())
    # The control: there was something to compare, but where grey has no colour.
    changes = name != "identity" and (name, channels) != ("color", 1)
    assert (min(moved) > 0.3) == changes


def test_every_operation_has_its_equal():
    assert PILLOW.keys() == set(OPERATIONS) and len(OPERATIONS) == 14


def test_at_no_strength_nothing_changes_but_by_those_that_have_none():
    image = picture(3)
    for number, name in enumerate(OPERATIONS):
        same = np.array_equal(apply(image, number, jnp.float32(0.0)), image)
        assert same == (name not in ("autocontrast", "equalize")), name


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (1, 5, 4)])
def test_small_images_and_other_channels(shape):
    flat = np.full(shape, 77, np.uint8)
    for number, name in enumerate(OPERATIONS):
        found = np.asarray(apply(flat, number, jnp.float32(0.4)))
        assert found.shape == shape and found.dtype == np.uint8
        plain = name in ("identity", "autocontrast", "equalize", "contrast", "color")
        if plain or name == "sharpness":
            np.testing.assert_array_equal(found, flat)


def test_images_of_a_batch_get_operations_of_their_own():
    image = picture(3)
    batch = Batch(jnp.tile(jnp.asarray(image), (300, 1, 1, 1)), jnp.zeros(300, int))
    change = jax.jit(RandAugment(1, 9.0), static_argnums=2)
    found = np.asarray(change(jax.random.key(0), batch, None).images)
    possible = {}
    for number, name in enumerate(OPERATIONS):
        for sign in (1, -1):
            changed = apply(image, number, jnp.float32(0.9 * sign))
            possible.setdefault(np.asarray(changed).tobytes(), name)
    drawn = [possible[own.tobytes()] for own in found]
    # Each of 300/14 = 21.4 images, standard deviation 4.5.
    counts = np.array([drawn.count(name) for name in OPERATIONS])
    assert counts.min() > 3 and counts.max() < 21.4 + 6 * 4.5
    # Both directions are drawn.
    assert len({own.tobytes() for own in found}) == len(possible)
    # Of two operations an image is further away.
    twice = np.asarray(
        jax.jit(RandAugment(3, 9.0), static_argnums=2)(
            jax.random.key(0), batch, None
        ).images
    )
    assert len({own.tobytes() for own in twice}) > 2 * len(possible)
