"""Copies of a channel part in training where their shares differ, and only there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mothernets_jax.architectures import parse
from mothernets_jax.hatching import hatch
from mothernets_jax.models import FEATURES_NAME, init, unit_outputs
from mothernets_jax.training import (
    Augmentation,
    TrainingData,
    make_member_step,
    new_state,
)

EXAMPLES, STEPS, INPUT_SHAPE, NUM_CLASSES = 64, 30, (6, 6, 2), 4

# Every layer is twice as wide in the member: each channel has one twin.
WIDENINGS = [
    ("vgg (3:4) | (3:4); batch_norm", "vgg (3:8) | (3:8); batch_norm"),
    ("mlp 6 6", "mlp 12 12"),
]


def random_data() -> TrainingData:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (EXAMPLES, *INPUT_SHAPE), np.uint8)
    labels = rng.integers(0, NUM_CLASSES, EXAMPLES, np.int32)
    mean, std = jnp.full(2, 127.5), jnp.full(2, 74.0)
    return TrainingData(jnp.asarray(images), jnp.asarray(labels), mean, std)


def activations(architecture, variables, images):
    """[samples, channels] by layer."""
    outputs = unit_outputs(architecture, variables, images)
    del outputs[FEATURES_NAME]
    return {name: np.asarray(o).reshape(-1, o.shape[-1]) for name, o in outputs.items()}


def twins_of(channels):
    """Pairs of channels that are the same and live, found by looking at them."""
    count = channels.shape[1]
    return [
        (one, other)
        for one in range(count)
        for other in range(one)
        if np.ptp(channels[:, one]) > 0.1
        and np.allclose(channels[:, one], channels[:, other], atol=1e-5)
    ]


@pytest.mark.parametrize("split", ["random", "equal"])
@pytest.mark.parametrize(("mother", "member"), WIDENINGS)
def test_twins_part_with_random_shares_only(mother, member, split):
    mother, member, data = parse(mother), parse(member), random_data()
    images = (jnp.asarray(data.images, jnp.float32) - 127.5) / 74.0
    variables = init(mother, jax.random.key(0), INPUT_SHAPE, NUM_CLASSES)
    hatched = hatch(
        variables, mother, member, jax.random.key(1), images=images, split=split
    )
    twins = {
        name: twins_of(channels)
        for name, channels in activations(member, hatched, images).items()
    }
    assert all(pairs for pairs in twins.values()) and len(twins) == 2

    state = new_state(hatched)
    step = jax.jit(make_member_step(member, Augmentation(crop_padding=0, flip=False)))
    losses = []
    for number in range(STEPS):
        key = jax.random.key(number)
        state, metrics = step(state, data, jnp.arange(EXAMPLES), key, 0.1, 0.0)
        losses.append(float(metrics.loss))
    assert losses[-1] < 0.5 * losses[0]  # it learns

    for name, channels in activations(member, state.variables, images).items():
        pairs = [channels[:, pair].T for pair in twins[name]]
        correlations = [np.corrcoef(*pair)[0, 1] for pair in pairs]
        if split == "random":
            assert np.mean(correlations) < 0.95 and np.max(correlations) < 0.999
        else:  # the control
            assert np.min(correlations) > 1 - 1e-6
            for one, other in pairs:
                np.testing.assert_allclose(one, other, atol=1e-4 * one.max())
