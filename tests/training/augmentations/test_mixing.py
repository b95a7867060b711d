"""Mixup and CutMix against NumPy, given the same draws; losses of mixed labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax

from mothernets_jax.architectures import mlp
from mothernets_jax.methods.distillation import DistillationLoss
from mothernets_jax.training.augmentations.batch import Batch, Partners
from mothernets_jax.training.augmentations.mixing import (
    CutMix,
    Mixup,
    box_of,
    mean_of_two,
)
from mothernets_jax.training.losses import CrossEntropy, accuracy, over_labels
from mothernets_jax.training.step_spec import Targets

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 5, 4, 2), np.uint8)
LABELS = np.arange(12)  # which tell the images apart


def batch_of(images=IMAGES):
    return Batch(jnp.asarray(images), jnp.asarray(LABELS))


@functools.cache
def jitted(transform):
    return jax.jit(lambda key, batch: transform(key, batch, None))


def mixed(transform, seed, images=IMAGES):
    """Images, order of the partners and own share, of a batch that was mixed."""
    found = jitted(transform)(jax.random.key(seed), batch_of(images))
    np.testing.assert_array_equal(found.labels, LABELS)
    order = np.asarray(found.partners.labels)
    assert sorted(order) == list(LABELS)
    assert found.images.dtype == images.dtype
    return np.asarray(found.images), order, float(found.partners.own_share)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_mixup_is_numpy_s(dtype, seed):
    images = IMAGES.astype(dtype)
    found, order, share = mixed(Mixup(1.0), seed, images)
    expected = share * images.astype(float) + (1 - share) * images[order].astype(float)
    tolerance = 0.501 if dtype == np.uint8 else 1e-3
    np.testing.assert_allclose(found.astype(float), expected, atol=tolerance)
    halves = mean_of_two(jnp.asarray(images), jnp.asarray(images[::-1]), 0.25)
    assert halves.dtype == dtype
    at = (0.25 * images.astype(float) + 0.75 * images[::-1])[0]
    np.testing.assert_allclose(halves[0], np.round(at) if tolerance > 0.1 else at)


def test_shares_are_of_the_beta_distribution(seed):
    keys = jax.random.split(jax.random.key(seed), 400)

    def share(key):
        return Mixup(0.4)(key, batch_of(), None).partners.own_share

    shares = jax.jit(jax.vmap(share))(keys)
    assert stats.kstest(np.asarray(shares), stats.beta(0.4, 0.4).cdf).pvalue > 1e-4


def reference_box(height, width, share, row, column):
    """As in the authors' code, `rand_bbox`."""
    cut_height = int(height * np.sqrt(1.0 - share))
    cut_width = int(width * np.sqrt(1.0 - share))
    top, bottom = np.clip([row - cut_height // 2, row + cut_height // 2], 0, height)
    left, right = np.clip([column - cut_width // 2, column + cut_width // 2], 0, width)
    box = np.zeros((height, width), bool)
    box[top:bottom, left:right] = True
    return box


def test_boxes_are_those_of_the_authors():
    rng = np.random.default_rng(1)
    for height, width in ((7, 12), (1, 5), (32, 32)):
        shares = rng.random(50, np.float32)
        places = rng.integers(0, [height, width], (50, 2))
        boxes = jax.vmap(lambda s, p, h=height, w=width: box_of(s, p, h, w))
        found = boxes(shares, jnp.asarray(places))
        for box, share, (row, column) in zip(found, shares, places, strict=True):
            expected = reference_box(height, width, share, row, column)
            np.testing.assert_array_equal(box, expected)


def test_cutmix_shows_each_pixel_of_one_image_and_says_how_many():
    shares = set()
    for seed in range(8):
        found, order, share = mixed(CutMix(1.0), seed)
        own = np.all(found == IMAGES, axis=-1)
        others = np.all(found == IMAGES[order], axis=-1)
        assert np.all(own | others)
        moved = order != LABELS
        if moved.any():  # one box for all; no two images have a pixel in common
            boxes = ~own[moved]
            assert np.all(boxes == boxes[0])
            assert share == pytest.approx(1 - boxes[0].mean(), abs=1e-6)
        shares.add(share)
    assert len(shares) > 2 and min(shares) < 0.9


# Losses.

LOGITS, TAUGHT = RNG.normal(size=(2, 6, 3))
ONE, OTHER = np.array([0, 1, 2, 0, 1, 2]), np.array([1, 1, 0, 2, 0, 2])
WEIGHTS, SHARE = np.array([0.5, 2.0, 1.25]), 0.3


def targets(partners=True):
    return Targets(
        jnp.asarray(ONE),
        0.1,
        jnp.asarray(WEIGHTS),
        jnp.asarray(TAUGHT)[None],
        Partners(jnp.asarray(OTHER), jnp.float32(SHARE)) if partners else None,
    )


def numpy_loss(labels):
    """Cross-entropy with smoothed labels and weights."""
    smoothed = 0.9 * np.eye(3)[labels] + 0.1 / 3
    return -(smoothed * log_softmax(LOGITS, axis=1)).sum(1) * WEIGHTS[labels]


def test_every_loss_is_the_mean_over_both_labels():
    expected = SHARE * numpy_loss(ONE) + (1 - SHARE) * numpy_loss(OTHER)
    logits = jnp.asarray(LOGITS)
    found = over_labels(functools.partial(CrossEntropy(), logits), targets())
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    p, q = log_softmax(TAUGHT / 4, axis=1), log_softmax(LOGITS / 4, axis=1)
    divergence = 16 * (np.exp(p) * (p - q)).sum(1)
    loss = DistillationLoss((mlp((3,)),), 4.0, 0.6)
    found = over_labels(functools.partial(loss, logits), targets())
    np.testing.assert_allclose(found, 0.4 * expected + 0.6 * divergence, rtol=1e-4)


def test_the_accuracy_counts_either_label_by_its_share():
    best = LOGITS.argmax(1)
    right = SHARE * (best == ONE) + (1 - SHARE) * (best == OTHER)
    assert accuracy(jnp.asarray(LOGITS), targets()) == pytest.approx(right.mean())
    plain = accuracy(jnp.asarray(LOGITS), targets(partners=False))
    assert plain == pytest.approx((best == ONE).mean())
