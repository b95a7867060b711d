"""Weights of mixtures: certified by the gap, and compared with independent solvers.

Axes: [members, examples] log-likelihoods.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize, root_scalar
from scipy.special import logsumexp

from mothernets_jax.ensembles.combine import weighted_average
from mothernets_jax.ensembles.weighting import super_learner
from mothernets_jax.metrics import mixture
from mothernets_jax.metrics.classification import nll
from mothernets_jax.metrics.mixture import fit_mixture


def mean_log_likelihood(weights, logs):
    with np.errstate(divide="ignore"):
        return np.mean(logsumexp(np.log(weights)[:, None] + logs, axis=0))


def gap(weights, logs):
    """What the mean log-likelihood can be short of the greatest, by convexity."""
    with np.errstate(divide="ignore"):
        mixed = logsumexp(np.log(weights)[:, None] + logs, axis=0)
    return np.exp(logs - mixed).mean(axis=1).max() - 1


def log_likelihoods(members, examples, most_nats=500.0):
    scales = st.sampled_from([1e-6, 1.0, 30.0, most_nats])
    unit = arrays(np.float64, st.tuples(members, examples), elements=st.floats(-1, 0))
    return st.tuples(scales, unit).map(lambda drawn: drawn[0] * drawn[1])


@pytest.mark.parametrize("margin", [5, 20, 90, 200, 500])
def test_one_member_right_on_999_of_1000(margin):
    """The other is right on the last; by hand the weights are .999 and .001."""
    logits = np.zeros((2, 1000, 2), np.float32)
    right = np.arange(1000) < 999
    logits[0, np.arange(1000), (~right).astype(int)] = margin
    logits[1, np.arange(1000), right.astype(int)] = margin
    labels = np.zeros(1000, int)
    weights = super_learner(logits, labels)
    # With p = 1 / (1 + e^-margin), w p + (1 - w)(1 - p) is to be the share of .999.
    p = 1 / (1 + math.exp(-margin))
    w = min((0.999 - (1 - p)) / (2 * p - 1), 1.0)
    np.testing.assert_allclose(weights, [w, 1 - w], atol=1e-7)
    mixed = w * p + (1 - w) * (1 - p)
    expected = -0.999 * math.log(mixed) - 0.001 * math.log(1 - mixed)
    found = nll(weighted_average(logits, weights), labels)
    assert found == pytest.approx(expected, rel=1e-7)


@settings(max_examples=50)
@given(log_likelihoods(st.integers(1, 6), st.integers(1, 12)))
def test_no_weights_are_better(logs):
    weights = fit_mixture(logs)
    assert weights.dtype == np.float64 and weights.min() >= 0
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    assert gap(weights, logs) <= 1e-9
    # Whatever the order of members, and with a twin of each, what is reached is equal.
    reached = mean_log_likelihood(weights, logs)
    for same in (logs[::-1], np.concatenate([logs, logs])):
        again = mean_log_likelihood(fit_mixture(same), same)
        assert again == pytest.approx(reached, rel=1e-12, abs=1e-9)


@settings(max_examples=50)
@given(log_likelihoods(st.just(2), st.integers(1, 12)))
def test_two_members_are_weighted_as_by_bisection(logs):
    odds = np.exp(np.clip(logs[1] - logs[0], -700, 700))

    def slope(w):  # of the mean log-likelihood, by the second member's weight
        return np.mean((odds - 1) / ((1 - w) + w * odds))

    best = 0.0 if slope(0.0) <= 0 else 1.0
    if slope(0.0) > 0 > slope(1.0):
        found = root_scalar(slope, bracket=(0, 1), xtol=1e-15)
        assert found.converged
        best = found.root
    expected = mean_log_likelihood(np.array([1 - best, best]), logs)
    found = mean_log_likelihood(fit_mixture(logs), logs)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_likelihood_is_that_of_sequential_least_squares(seed):
    generator = np.random.default_rng(seed)
    logs = -generator.exponential(2, (4, 15))
    weights = fit_mixture(logs)
    found = []
    for start in generator.dirichlet(np.ones(4), 5):
        result = minimize(
            lambda w: -np.mean(np.log(w @ np.exp(logs))),
            start,
            method="SLSQP",
            bounds=[(1e-12, 1)] * 4,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-13, "maxiter": 500},
        )
        found.append(-result.fun)
    assert mean_log_likelihood(weights, logs) == pytest.approx(max(found), abs=1e-7)


@pytest.mark.parametrize("margin", [3.0, 500.0])
def test_250_members(margin):
    generator = np.random.default_rng(0)
    right = generator.random((250, 400)) < generator.uniform(0.1, 0.99, (250, 1))
    margins = margin * generator.random((250, 400)) * np.where(right, 1, -1)
    logs = -np.logaddexp(0, -margins)
    assert gap(fit_mixture(logs), logs) <= 1e-9


def test_where_newtons_method_fails_its_place_is_taken(monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("maximum number of iterations exceeded")

    logs = -np.random.default_rng(0).exponential(2, (3, 40))
    expected = mean_log_likelihood(fit_mixture(logs), logs)
    monkeypatch.setattr(mixture, "nnls", fails)
    monkeypatch.setattr(mixture, "MAX_STEPS", 20_000)
    monkeypatch.setattr(mixture, "TOLERANCE", 1e-7)
    found = mean_log_likelihood(fit_mixture(logs), logs)
    assert found == pytest.approx(expected, abs=2e-7)


def test_what_was_not_found_is_said(monkeypatch):
    monkeypatch.setattr(mixture, "MAX_STEPS", 1)
    logs = np.log([[0.9, 0.9, 0.1], [0.1, 0.1, 0.8]])
    with pytest.warns(RuntimeWarning, match="2 members were not found in 1 steps"):
        weights = fit_mixture(logs)
    assert weights.tolist() == [0.5, 0.5]
