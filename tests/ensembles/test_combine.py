"""Combining predictions: by hand, by SciPy and by looking everywhere.

Axes: [members, examples, classes] logits.
"""

import itertools
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp, softmax
from sklearn.metrics import accuracy_score

from mothernets_jax.ensembles.combine import (
    COMBINATIONS,
    average,
    combined,
    oracle_error,
    vote,
    weighted_average,
)
from mothernets_jax.ensembles.weighting import (
    FITS,
    GREEDY_ROUNDS,
    greedy,
    super_learner,
    weighted,
)
from mothernets_jax.metrics import classification
from mothernets_jax.metrics.probabilities import rounded


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


def equally_weighted(logits):
    return weighted_average(logits, np.full(len(logits), 1 / len(logits)))


@pytest.mark.parametrize("combine", [average, vote, equally_weighted])
@pytest.mark.parametrize("margins", [(20, 24), (45, 50), (499, 500)], ids=str)
def test_of_two_members_that_are_all_but_certain_the_surer_wins(combine, margins):
    """It leaves e^-margin to the others; 1 - e^-20 is 1 in float32, 1 - e^-45 ever."""
    logits = np.zeros((2, 1, 3), np.float32)
    logits[0, 0, 1], logits[1, 0, 2] = margins
    scores = combine(logits)
    assert scores.argmax() == rounded(scores).argmax() == 2
    assert combine(logits[::-1]).argmax() == 2  # whoever of them comes first
    np.testing.assert_allclose(scores, [[0, 0.5, 0.5]], atol=1e-8)
    assert combine(np.zeros((2, 1, 3))).argmax() == 0  # a real tie: the lower class


@pytest.mark.parametrize("members", [2, 3])
def test_the_likeliest_class_is_that_of_300_digits(members):
    generator = np.random.default_rng(members)
    logits = generator.normal(0, 1, (members, 40, 3)).astype(np.float32)
    winners = generator.integers(0, 3, (members, 40))
    sure = np.eye(3)[winners] * generator.uniform(20, 300, (members, 40, 1))
    logits += sure.astype(np.float32)
    expected = []
    with localcontext() as context:
        context.prec = 300
        for rows in logits.transpose(1, 0, 2).tolist():
            powers = [[Decimal(logit).exp() for logit in row] for row in rows]
            shares = [[power / sum(row) for power in row] for row in powers]
            sums = [sum(column) for column in zip(*shares, strict=True)]
            expected.append(sums.index(max(sums)))
    scores = average(logits)
    np.testing.assert_array_equal(scores.argmax(axis=1), expected)
    np.testing.assert_array_equal(rounded(scores).argmax(axis=1), expected)
    # The control: float64 alone cannot tell some of them apart.
    plain = softmax(logits.astype(np.float64), axis=-1).mean(axis=0)
    assert (plain.argmax(axis=1) != expected).any()


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
        assert scores.dtype == np.float64
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
        assert classification.error(scores, labels) == pytest.approx(
            expected, abs=1e-15
        )
    assert isinstance(
        classification.error(scores, labels), float
    )  # JSON takes no other


def test_the_error_by_hand():
    scores = np.array([[0.1, 0.9], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    assert classification.error(scores, np.array([1, 1, 1, 1])) == 0.25
    assert classification.error(np.log(scores), np.array([0, 1, 0, 0])) == 1.0


# Weights that are fitted.


def draw_members(seed, members, examples, classes=3):
    """Networks that know more or less of what the labels were drawn with."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(0, 2, (examples, classes))
    labels = (shared + generator.gumbel(size=shared.shape)).argmax(axis=1)
    noise = generator.normal(0, 1, (members, examples, classes))
    sharpness, blur = generator.uniform(0.3, 2.5, (2, members, 1, 1))
    return (sharpness * (shared + blur * noise)).astype(np.float32), labels


def nll_of(weights, logits, labels):
    """Of the members' weighted mean, in float64 throughout."""
    probabilities = softmax(logits.astype(np.float64), axis=-1)
    mixed = np.tensordot(weights, probabilities, axes=1)
    return -np.mean(np.log(mixed[np.arange(len(labels)), labels]))


def simplex(members, parts):
    """All weights that are multiples of 1/parts."""
    for counts in itertools.product(range(parts + 1), repeat=members):
        if sum(counts) == parts:
            yield np.array(counts) / parts


DRAWS = [(0, 1, 20), (1, 2, 100), (2, 3, 60), (3, 8, 300), (4, 40, 150)]


@pytest.mark.parametrize(("seed", "members", "examples"), DRAWS)
@pytest.mark.parametrize("name", FITS)
def test_fitted_weights_are_a_share_for_each_member(name, seed, members, examples):
    logits, labels = draw_members(seed, members, examples)
    weights = FITS[name](logits, labels)
    assert weights.shape == (members,) and weights.dtype == np.float64
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    # A member's weight goes with it.
    order = np.random.default_rng(9).permutation(members)
    moved = FITS[name](logits[order], labels)
    np.testing.assert_allclose(moved, weights[order], atol=1e-4)


@pytest.mark.parametrize(("seed", "members", "examples"), DRAWS)
@pytest.mark.parametrize("fit", [greedy, super_learner])
def test_no_member_and_no_average_is_better_where_it_was_fitted(
    fit, seed, members, examples
):
    logits, labels = draw_members(seed, members, examples)
    found = nll_of(fit(logits, labels), logits, labels)
    alone = [nll_of(weights, logits, labels) for weights in np.eye(members)]
    together = nll_of(np.full(members, 1 / members), logits, labels)
    assert found <= min(*alone, together) + 1e-9
    assert members == 1 or found < max(alone)


@pytest.mark.parametrize(("seed", "members", "examples"), DRAWS)
def test_the_super_learner_is_optimal(seed, members, examples):
    """The conditions of Karush, Kuhn and Tucker, and the bound that they give."""
    logits, labels = draw_members(seed, members, examples)
    weights = super_learner(logits, labels)
    probabilities = softmax(logits.astype(np.float64), axis=-1)
    of_labels = probabilities[:, np.arange(examples), labels]
    slopes = (of_labels / (weights @ of_labels)).mean(axis=1)
    # By convexity no weights have an NLL lower by more than this.
    assert slopes.max() - 1 < 1e-6
    np.testing.assert_allclose(slopes[weights > 1e-3], 1, atol=1e-5)
    # The control: other weights do not fulfil them.
    if members > 1:
        other = np.full(members, 1 / members)
        slopes = (of_labels / (other @ of_labels)).mean(axis=1)
        assert slopes.max() - 1 > 1e-3


@pytest.mark.parametrize(("seed", "members", "parts"), [(1, 2, 200), (5, 3, 40)])
def test_the_super_learner_is_the_best_of_a_grid(seed, members, parts):
    logits, labels = draw_members(seed, members, 60)
    weights = super_learner(logits, labels)
    grid = list(simplex(members, parts))
    nlls = [nll_of(w, logits, labels) for w in grid]
    assert nll_of(weights, logits, labels) <= min(nlls) + 1e-9
    assert np.abs(weights - grid[int(np.argmin(nlls))]).max() < 2 / parts


def test_the_super_learner_by_hand():
    # Two of three examples are the first member's, one the second's: with weight w the
    # likelihood is (0.2 + 0.6 w)^2 (0.8 - 0.6 w), whose derivative is 0 at w = 7/9.
    certain, other = [[0.8, 0.2]] * 3, [[0.2, 0.8]] * 3
    labels = np.array([0, 0, 1])
    weights = super_learner(logits_of(certain, other), labels)
    np.testing.assert_allclose(weights, [7 / 9, 2 / 9], atol=1e-5)
    # A member that is worse on every example gets nothing.
    worse = logits_of(certain, [[0.7, 0.3]] * 3)
    np.testing.assert_allclose(super_learner(worse, np.zeros(3, int)), [1, 0])
    # Twins share what one would get, and certainties stay finite.
    huge = 1e4 * np.array([[[1.0, 0.0]] * 2, [[1.0, 0.0]] * 2, [[0.0, 1.0]] * 2])
    weights = super_learner(huge, np.array([0, 1]))
    np.testing.assert_allclose(weights[:2].sum(), 0.5, atol=1e-5)


def test_greedy_selection_is_that_of_a_slow_search():
    for seed, members in ((1, 2), (5, 3), (6, 6)):
        logits, labels = draw_members(seed, members, 80)

        def nll_of_bag(bag, logits=logits, labels=labels):
            weights = np.bincount(bag, minlength=len(logits)) / len(bag)
            return nll_of(weights, logits, labels)

        ranked = sorted(range(members), key=lambda m: nll_of_bag([m]))
        bags = [ranked[:size] for size in range(1, members + 1)]
        bag = min(bags, key=nll_of_bag)
        bags = [bag]
        for _ in range(GREEDY_ROUNDS):
            bag = min(([*bag, m] for m in range(members)), key=nll_of_bag)
            bags.append(bag)
        best = min(bags, key=nll_of_bag)
        expected = np.bincount(best, minlength=members) / len(best)
        np.testing.assert_allclose(greedy(logits, labels), expected, rtol=1e-12)


def test_greedy_selection_by_hand():
    # The second and third alone are worse, and only make the first one less sure.
    logits = logits_of([[0.9, 0.1]] * 2, [[0.6, 0.4]] * 2, [[0.5, 0.5]] * 2)
    assert greedy(logits, np.array([0, 0])).tolist() == [1, 0, 0]
    # Each is right where the other is not: any two halves, found in the beginning.
    logits = logits_of([[0.9, 0.1], [0.9, 0.1]], [[0.1, 0.9], [0.1, 0.9]])
    assert greedy(logits, np.array([0, 1])).tolist() == [0.5, 0.5]


def test_members_are_weighted_by_their_accuracy():
    winners = np.array([[0, 1, 2, 0], [0, 0, 2, 0], [1, 1, 1, 1]])
    labels = np.array([0, 1, 2, 0])  # 4, 3 and 1 of 4 are right
    weights = weighted(np.eye(3)[winners], labels)
    np.testing.assert_allclose(weights, [4 / 8, 3 / 8, 1 / 8], rtol=1e-12)
    wrong = weighted(np.eye(3)[winners[:2, :1]], np.array([2]))
    assert wrong.tolist() == [0.5, 0.5]


def test_the_weighted_average_by_hand():
    logits = logits_of([[0.5, 0.3, 0.2]], [[0.1, 0.7, 0.2]])
    weights = np.array([0.75, 0.25])
    scores = weighted_average(logits, weights)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, [[0.4, 0.4, 0.2]], rtol=1e-6)
    np.testing.assert_array_equal(combined("mine", logits, {"mine": weights}), scores)
    np.testing.assert_array_equal(combined("vote", logits, {}), vote(logits))
    equal = weighted_average(logits, np.array([0.5, 0.5]))
    np.testing.assert_allclose(equal, average(logits), rtol=1e-6)
