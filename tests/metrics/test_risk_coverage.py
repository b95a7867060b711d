"""The curve of risk against coverage, against a slow reading of its definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothernets_jax.metrics.classification import error
from mothernets_jax.metrics.risk_coverage import risk_coverage


def rows_of(confidences):
    """Probabilities of two classes, of which the first is the likelier."""
    likelier = np.asarray(confidences, float)
    return np.stack([likelier, 1 - likelier], axis=1)


@given(st.lists(st.tuples(st.sampled_from([0.6, 0.7, 0.9]), st.booleans()), min_size=1))
def test_ties_count_as_the_mean_over_their_orders(examples):
    """With few examples all orders of equal confidences can be tried."""
    examples = examples[:6]
    confidences, wrong = zip(*examples, strict=True)
    orders = [
        order
        for order in itertools.permutations(range(len(examples)))
        if all(
            confidences[one] >= confidences[two]
            for one, two in itertools.pairwise(order)
        )
    ]
    means = [
        np.mean(np.cumsum([wrong[i] for i in order]) / np.arange(1, len(examples) + 1))
        for order in orders
    ]
    found = risk_coverage(rows_of(confidences), np.array(wrong, int))
    assert found.aurc == pytest.approx(np.mean(means))


def test_the_curve_ends_at_the_error(seed):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(3), 173)
    labels = generator.integers(3, size=173)
    found = risk_coverage(probabilities, labels)
    assert found.coverage[-1] == 1
    assert found.error[-1] == pytest.approx(error(probabilities, labels))
    confidence, wrong = probabilities.max(1), probabilities.argmax(1) != labels
    surest = np.argsort(-confidence)[:87]  # half of them, rounded up
    assert found.error[49] == pytest.approx(wrong[surest].mean())


def test_a_perfect_order_is_better_than_a_random_one_and_the_reverse_worse():
    wrong = np.repeat([0, 1], [80, 20])
    order = np.linspace(0.99, 0.51, 100)
    best, worst = (
        risk_coverage(rows_of(confidences), wrong).aurc
        for confidences in (order, order[::-1])
    )
    alike = risk_coverage(rows_of(np.full(100, 0.8)), wrong).aurc
    assert best < alike < worst
    assert alike == pytest.approx(0.2)


def test_differences_beyond_the_last_digit_below_1_count():
    """In float64, 1 - 1e-20 is 1; what is left to the other class tells them apart."""
    rows = np.array([[1.0, 1e-20], [1.0, 1e-30]])
    assert risk_coverage(rows, np.array([1, 0])).aurc == pytest.approx(0.25)


@pytest.mark.parametrize("count", [1, 3, 100, 360])
def test_coverage_is_in_hundredths_as_near_as_there_are_examples(count):
    wrong = np.arange(count) % 2
    found = risk_coverage(rows_of(np.linspace(0.99, 0.51, count)), wrong)
    answered = [-(-i * count // 100) for i in range(1, 101)]  # rounded up
    assert found.coverage.tolist() == [number / count for number in answered]
    means = wrong.cumsum() / np.arange(1, count + 1)
    np.testing.assert_allclose(found.error, [means[n - 1] for n in answered])
