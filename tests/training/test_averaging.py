"""The weights of running averages, against means that are worked out directly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothernets_jax.training.averaging import AVERAGES, average_weights


def averaged(values, weights):
    average = np.float64(1e30)  # that a first weight of 1 forgets
    for value, weight in zip(values, weights, strict=True):
        average = (1 - weight) * average + weight * value
    return average


@given(horizon=st.integers(1, 30), total=st.integers(1, 30), seed=st.integers(0, 99))
def test_a_tail_is_the_mean_of_the_last_steps(horizon, total, seed):
    values = np.random.default_rng(seed).normal(size=total)
    weights = average_weights("tail", horizon_steps=horizon, total_steps=total)
    assert weights.dtype == np.float32 and weights.shape == (total,)
    expected = values[-horizon:].mean()
    tail = averaged(values, weights.astype(np.float64))
    np.testing.assert_allclose(tail, expected, rtol=1e-5, atol=1e-6)


@given(horizon=st.integers(1, 30), total=st.integers(1, 30), seed=st.integers(0, 99))
def test_an_exponential_average_begins_as_a_mean(horizon, total, seed):
    """Of the first steps, as many as the horizon has; each of these fades alike."""
    values = np.random.default_rng(seed).normal(size=total)
    weights = average_weights("ema", horizon_steps=horizon, total_steps=total)
    fading = (1 - 1 / horizon) ** np.arange(max(0, total - horizon))[::-1] / horizon
    first = min(horizon, total)
    shares = np.append(np.full(first, (1 - fading.sum()) / first), fading)
    expected = (shares * values).sum()
    found = averaged(values, weights.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_refused():
    with pytest.raises(ValueError, match="average is 'none': expected one of ema, tai"):
        average_weights(AVERAGES[0], horizon_steps=1, total_steps=1)
    with pytest.raises(ValueError, match="horizon_steps is 0: expected 1 or more"):
        average_weights("ema", horizon_steps=0, total_steps=1)
