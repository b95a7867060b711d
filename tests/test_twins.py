"""Copies of a channel part in training where their shares differ, and only there.

Twins are measured by the correlation of their activations over a batch, which sees
whether they part in direction and not only in speed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mothernets_jax.architectures import mlp, vgg
from mothernets_jax.augment import Sides
from mothernets_jax.channels import widening_map
from mothernets_jax.hatching import hatch
from mothernets_jax.models import init, shown_values
from mothernets_jax.training import (
    Augmentation,
    StepInputs,
    TrainingData,
    make_member_step,
    new_state,
)
from mothernets_jax.trees import named_key

PAIRS = {
    "mlp": (mlp((6,), batch_norm=True), mlp((12,), batch_norm=True), "dense1"),
    "vgg": (vgg("(3:6) | (3:4)"), vgg("(3:12) | (3:4)"), "block1_conv1"),
}
STEPS, EXAMPLES = 40, 64
hatch_jitted = jax.jit(hatch, static_argnums=(1, 2), static_argnames="split")
shown_jitted = jax.jit(shown_values, static_argnums=0)


def correlations(split, family):
    """Of each channel with its twin, hatched and after training on the same data."""
    mother, member, unit = PAIRS[family]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (EXAMPLES, 4, 4, 1), np.uint8)
    data = TrainingData(
        jnp.asarray(images),
        jnp.asarray(rng.integers(0, 3, EXAMPLES, np.int32)),
        jnp.array([127.0]),
        jnp.array([74.0]),
    )
    key = jax.random.key(1)
    variables = init(mother, jax.random.key(0), (4, 4, 1), 3)
    hatched = hatch_jitted(variables, mother, member, key, split=split)
    source = widening_map(named_key(key, "hatch", "copies", unit), 6, 12).source
    step = jax.jit(make_member_step(member, Augmentation(0, flip="none")))
    state = new_state(hatched)
    batch = (images - 127.0) / 74.0

    def measure():
        outputs = np.asarray(
            shown_jitted(member, state.variables, batch)[f"{unit}_relu"]
        )
        channels = outputs.reshape(-1, 12).T.astype(np.float64)
        return [
            np.corrcoef(channels[source[i]], channels[i])[0, 1] for i in range(6, 12)
        ]

    before = measure()
    inputs = StepInputs(jnp.arange(EXAMPLES), key, 0.1, 0.0, 0.0, Sides(key, 0), True)
    for _ in range(STEPS):
        state, _ = step(state, data, inputs)
    return before, measure()


@pytest.mark.parametrize("family", PAIRS)
def test_random_shares_part_twins(family):
    before, after = correlations("random", family)
    np.testing.assert_allclose(before, 1, atol=1e-5)
    assert np.median(after) < 0.98
    assert max(after) < 1 - 1e-4


@pytest.mark.parametrize("family", PAIRS)
def test_equal_shares_keep_twins(family):
    before, after = correlations("equal", family)
    np.testing.assert_allclose(before, 1, atol=1e-5)
    np.testing.assert_allclose(after, 1, atol=1e-5)
