"""Combining predictions and judging them: by hand, by SciPy and by scikit-learn.

Axes: [members, examples, classes] logits.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp
from sklearn.metrics import accuracy_score

from mothernets_jax import metrics
from mothernets_jax.combine import COMBINATIONS, average, oracle_error, vote


def logits_of(*members):
    """Logits that stand for these probabilities, shifted differently for each member.

    Args:
        members: each a list of rows of probabilities.
    """
    shifts = 5.0 * np.arange(len(members)).reshape(-1, 1, 1)
    return (np.log(np.array(members, np.float64)) + shifts).astype(np.float32)


def test_the_average_is_the_mean_of_probabilities_by_hand():
    logits = logits_of(
        [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], [[0.1, 0.7, 0.2], [0.3, 0.3, 0.4]]
    )
    expected = [[0.3, 0.5, 0.2], [0.2, 0.2, 0.6]]
    np.testing.assert_allclose(average(logits), expected, rtol=1e-6)
    # The control: the mean of the logits is another combination.
    odd = logits_of([[0.98, 0.01, 0.01]], [[0.25, 0.5, 0.25]], [[0.25, 0.5, 0.25]])
    assert odd.mean(axis=0).argmax() == 0  # 0.98 x 0.25 x 0.25 > 0.01 x 0.5 x 0.5
    np.testing.assert_allclose(
        average(odd), [[1.48 / 3, 1.01 / 3, 0.51 / 3]], rtol=1e-5
    )


# Members' probabilities for one example, what the vote gives each class, by hand: a
# share of members + 1/2, where the half is spread by the average.
VOTES = {
    "a majority of weak votes beats one strong one": (
        [[0.34, 0.33, 0.33], [0.34, 0.33, 0.33], [0.01, 0.98, 0.01]],
        [(2 + 0.69 / 6) / 3.5, (1 + 1.64 / 6) / 3.5, (0.67 / 6) / 3.5],
    ),
    "a tie of two goes to the surer": (
        [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]],
        [(1 + 0.8 / 4) / 2.5, (1 + 1.0 / 4) / 2.5, (0.2 / 4) / 2.5],
    ),
    "a tie of three goes to the surest": (
        [[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.0625, 0.0625, 0.875]],
        [(1 + 0.7625 / 6) / 3.5, (1 + 0.8625 / 6) / 3.5, (1 + 1.375 / 6) / 3.5],
    ),
    "one vote cannot be lost to a class that nobody votes for": (
        [[0.5, 0.49, 0.01], [0.01, 0.49, 0.5]],
        [(1 + 0.51 / 4) / 2.5, (0.98 / 4) / 2.5, (1 + 0.51 / 4) / 2.5],
    ),
    "one member": ([[0.2, 0.5, 0.3]], [0.1 / 1.5, 1.25 / 1.5, 0.15 / 1.5]),
}


@pytest.mark.parametrize(("members", "expected"), VOTES.values(), ids=VOTES)
def test_votes_by_hand(members, expected):
    logits = logits_of(*[[row] for row in members])
    np.testing.assert_allclose(vote(logits), [expected], rtol=1e-5)


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(2, 4)),
        elements=st.floats(-1e4, 1e4, width=32),
    )
)
def test_both_are_probabilities_that_do_not_depend_on_the_members_order(logits):
    for combine in COMBINATIONS.values():
        scores = combine(logits)
        assert scores.dtype == np.float32
        assert scores.shape == logits.shape[1:]
        assert (scores >= 0).all()
        np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(combine(logits[::-1]), scores, rtol=1e-5)
    counts = [np.bincount(v, minlength=logits.shape[2]) for v in logits.argmax(-1).T]
    for votes, winner in zip(counts, vote(logits).argmax(axis=1), strict=True):
        assert votes[winner] == votes.max()


def test_the_average_is_that_of_scipy_even_of_huge_logits():
    for scale in (1, 1e4):
        logits = scale * np.random.default_rng(0).standard_normal((4, 50, 10))
        logits = logits.astype(np.float32)
        normalisers = logsumexp(logits.astype(np.float64), axis=-1, keepdims=True)
        expected = np.exp(logits - normalisers).mean(axis=0)
        np.testing.assert_allclose(average(logits), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("winners", "labels", "expected"),
    [
        ([[0, 1, 2, 0], [1, 1, 0, 2]], [0, 1, 1, 1], 2 / 4),
        ([[0, 1, 2, 0]], [0, 0, 0, 0], 2 / 4),  # one member: its own error
        ([[0, 0], [1, 1], [2, 2]], [2, 0], 0.0),
        ([[0, 0], [0, 0]], [1, 2], 1.0),
    ],
    ids=str,
)
def test_the_oracle_errs_where_every_member_does(winners, labels, expected):
    logits = np.eye(3)[np.array(winners)]
    assert oracle_error(logits, np.array(labels)) == expected


def test_the_error_is_what_scikit_learn_leaves_of_the_accuracy():
    generator = np.random.default_rng(1)
    for examples in (1, 7, 300):
        scores = generator.standard_normal((examples, 10)).astype(np.float32)
        labels = generator.integers(0, 10, examples).astype(np.int32)
        expected = 1 - accuracy_score(labels, scores.argmax(axis=1))
        assert metrics.error(scores, labels) == pytest.approx(expected, abs=1e-15)
    assert isinstance(metrics.error(scores, labels), float)  # JSON takes no other


def test_the_error_by_hand():
    scores = np.array([[0.1, 0.9], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    assert metrics.error(scores, np.array([1, 1, 1, 1])) == 0.25
    assert metrics.error(np.log(scores), np.array([0, 1, 0, 0])) == 1.0
