"""Doubt about each example: by SciPy, by loops over pairs, and where floats end.

Axes: [members, examples, classes].
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.special import rel_entr, softmax

from mothernets_jax.metrics import diversity
from mothernets_jax.metrics.probabilities import member_probabilities
from mothernets_jax.metrics.uncertainty import uncertainty

LOGITS = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5)),
    elements=st.floats(-1e4, 1e4, width=32),
)


@pytest.fixture(scope="module")
def logits():
    drawn = 3 * np.random.default_rng(0).standard_normal((4, 50, 5))
    return drawn.astype(np.float32)


def test_each_measure_by_an_independent_formula(logits):
    probabilities = softmax(logits.astype(np.float64), axis=-1)
    mean = probabilities.mean(axis=0)
    found = uncertainty(logits, mean.argmax(axis=1))
    expected = stats.entropy(mean, axis=1)
    np.testing.assert_allclose(found.entropy, expected, rtol=1e-12)
    expected = stats.entropy(probabilities, axis=2).mean(axis=0)
    np.testing.assert_allclose(found.member_entropy, expected, rtol=1e-12)
    # The mean divergence from the mean: no difference of entropies.
    expected = rel_entr(probabilities, mean).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(found.mutual_information, expected, rtol=1e-9)
    votes = logits.argmax(axis=2)
    pairs = [a != b for a, b in itertools.combinations(votes, 2)]
    np.testing.assert_allclose(found.disagreement, np.mean(pairs, axis=0), rtol=1e-12)
    assert 0 < found.disagreement.mean() < 1
    of_predicted = [
        [p[i, c] for i, c in enumerate(mean.argmax(1))] for p in probabilities
    ]
    np.testing.assert_allclose(found.spread, np.std(of_predicted, axis=0), rtol=1e-9)


def test_their_means_are_the_measures_of_an_ensembles_diversity(logits):
    found = uncertainty(logits, logits[0].argmax(axis=1))
    information = diversity.mutual_information(logits)
    assert found.mutual_information.mean() == pytest.approx(information, rel=1e-12)
    of_pairs = diversity.mean_over_pairs(diversity.disagreement(logits))
    assert found.disagreement.mean() == pytest.approx(of_pairs, rel=1e-12)


def test_probabilities_of_0_and_near_1_are_no_obstacle():
    certain = np.array([[[1e4, 0, 0]], [[0, 1e4, 0]]], np.float32)
    found = uncertainty(certain, np.array([0]))
    assert [own.item() for own in found] == [math.log(2), 0, math.log(2), 1, 0.5]
    # 1 - exp(-50) is 1 in float64; what it leaves to the other class is not 0.
    surer = np.array([[[50, 0]], [[60, 0]]], np.float32)
    others = np.exp([-50.0, -60.0])
    found = uncertainty(surer, np.array([0]))
    assert found.spread.item() == pytest.approx(others.std(), rel=1e-6)
    by_hand = others.mean() * (1 - math.log(others.mean()))  # -p log p - (1-p) log(1-p)
    assert found.entropy.item() == pytest.approx(by_hand, rel=1e-6)


@given(LOGITS)
def test_bounds_and_what_adds_up(logits):
    members, examples, classes = logits.shape
    found = uncertainty(logits, np.zeros(examples, np.int64))
    for own in found:
        assert own.shape == (examples,) and own.dtype == np.float64
        assert np.isfinite(own).all() and (own >= 0).all()
    assert (found.entropy <= math.log(classes) + 1e-9).all()
    assert (found.mutual_information <= math.log(members) + 1e-9).all()
    assert (found.disagreement <= 1).all() and (found.spread <= 0.5 + 1e-9).all()
    parts = found.member_entropy + found.mutual_information
    np.testing.assert_allclose(parts, found.entropy, atol=1e-9)
    alike = uncertainty(logits[:1].repeat(3, axis=0), np.zeros(examples, np.int64))
    for own in alike[2:]:
        np.testing.assert_allclose(own, 0, atol=1e-9)


@given(LOGITS)
def test_a_member_predicts_in_float32_what_its_logits_say(logits):
    found = member_probabilities(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=2), 1, rtol=1e-6)
    np.testing.assert_array_equal(found.argmax(axis=2), logits.argmax(axis=2))
