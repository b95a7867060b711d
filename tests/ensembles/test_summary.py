"""What predictions are worth: by scikit-learn, by hand and by slow loops.

Axes: [members, examples, classes] logits, [examples, classes] probabilities.
"""

import functools
import itertools
import math

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp, rel_entr, softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss, roc_auc_score

from mothernets_jax.ensembles import summary
from mothernets_jax.ensembles.combine import COMBINATIONS
from mothernets_jax.metrics import calibration, classification
from mothernets_jax.metrics.calibration import (
    NUM_BINS,
    ece,
    fit_temperature,
    reliability,
    rescale,
)
from mothernets_jax.metrics.diversity import (
    covariance,
    disagreement,
    mean_over_pairs,
    mutual_information,
)
from mothernets_jax.metrics.ood import auroc, auroc_entropy, auroc_max_probability


def draw(seed, *shape, sharpness=2.0):
    """Probabilities, and labels that are mostly the likeliest classes."""
    generator = np.random.default_rng(seed)
    logits = sharpness * generator.standard_normal(shape)
    probabilities = softmax(logits, axis=-1).astype(np.float32)
    noisy = logits + generator.gumbel(size=shape)
    return probabilities, noisy.argmax(axis=-1).astype(np.int32)


# Scores.


def test_nll_and_brier_by_hand():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.2, 0.2, 0.6]])
    labels = np.array([0, 1, 1])
    expected = (math.log(2) + 0 + math.log(5)) / 3
    assert classification.nll(probabilities, labels) == pytest.approx(
        expected, rel=1e-12
    )
    expected = ((0.25 + 0.0625 + 0.0625) + 0 + (0.04 + 0.64 + 0.36)) / 3
    assert classification.brier(probabilities, labels) == pytest.approx(
        expected, rel=1e-12
    )
    np.testing.assert_allclose(
        classification.entropy(probabilities[:2]), [1.5 * math.log(2), 0], atol=1e-12
    )


@pytest.mark.parametrize("shape", [(1, 2), (7, 3), (500, 10)], ids=str)
def test_nll_is_that_of_scikit_learn_and_brier_that_of_a_loop(shape):
    probabilities, labels = draw(sum(shape), *shape)
    wide = probabilities.astype(np.float64)
    wide /= wide.sum(axis=1, keepdims=True)
    expected = log_loss(labels, wide, labels=np.arange(shape[1]))
    assert classification.nll(wide, labels) == pytest.approx(expected, rel=1e-12)
    found = classification.nll(probabilities, labels)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
    total = 0.0
    for row, label in zip(wide, labels, strict=True):
        total += sum((p - (c == label)) ** 2 for c, p in enumerate(row))
    assert classification.brier(wide, labels) == pytest.approx(
        total / shape[0], rel=1e-12
    )


@pytest.mark.parametrize(("dtype", "least"), [("f4", -126), ("f8", -1022)])
def test_a_certain_mistake_costs_87_nats_or_708_and_two(dtype, least):
    certain, wrong = np.array([[1, 0]], dtype), np.array([1])
    expected = -least * math.log(2)
    assert classification.nll(certain, wrong) == pytest.approx(expected, rel=1e-12)
    assert classification.brier(certain, wrong) == 2.0
    # However sure a member was, up to there its mistake costs its margin.
    logits = np.array([[500, 0]], np.float32)
    assert summary.member_metrics(logits, wrong)["nll"] == pytest.approx(500, rel=1e-12)
    combined = summary.combination_metrics(logits[None], wrong, {}, {})["average"]
    assert combined["nll"] == pytest.approx(500, rel=1e-12)


SURE = np.array([[1.0, 1e-20, 2e-20]])  # the first is 1 - 3e-20


def test_what_a_probability_near_1_leaves_to_others_counts():
    expected = 3e-20 + 1e-20 * math.log(1e20) + 2e-20 * math.log(5e19)
    assert classification.entropy(SURE) == pytest.approx([expected], rel=1e-12, abs=0)
    expected = (3e-20) ** 2 + (1e-20) ** 2 + (2e-20) ** 2
    found = classification.brier(SURE, np.array([0]))
    assert found == pytest.approx(expected, rel=1e-12, abs=0)
    # Probabilities of the true class of 1 - 2e-20 and 1 - 4e-20, deviations of 1e-20.
    logits = -np.log([[[1e20, 1, 1], [5e19, 1, 1]]]) * [-1, 1, 1]
    shared = covariance(logits, np.array([0, 0]))
    np.testing.assert_allclose(shared, [[1e-40]], rtol=1e-9)
    # By the definition, to the leading order: 1e-20 moves between two classes.
    logits = np.log([[[1, 2e-20, 1e-30]], [[1, 1e-30, 2e-20]]])
    expected = 2e-20 * math.log(2)
    found = mutual_information(logits)
    assert found == pytest.approx(expected, rel=1e-6, abs=0)
    assert mutual_information(np.repeat(logits[:1], 7, axis=0)) >= 0


def test_adaptive_bins_part_predictions_that_are_all_but_certain():
    """Of 30 images that differ beyond the sixteenth digit each bin holds two."""
    logits = np.zeros((1, 30, 2), np.float32)
    logits[0, :, 0] = np.arange(40, 70)
    probabilities = COMBINATIONS["average"](logits)
    assert np.ptp(probabilities.max(axis=1)) == 0
    bins = reliability(probabilities, np.zeros(30, int), adaptive=True)
    assert bins.count.tolist() == [2] * 15


# Calibration.


@pytest.mark.parametrize("adaptive", [False, True])
# So many examples that no fifteenth of them ends at one, where rounding would decide.
@pytest.mark.parametrize("shape", [(42, 2), (999, 10)], ids=str)
def test_bins_are_those_of_scikit_learn(shape, adaptive):
    probabilities, labels = draw(1, *shape)
    bins = reliability(probabilities, labels, adaptive=adaptive)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    accuracy, mean_confidence = calibration_curve(
        right,
        confidence,
        n_bins=NUM_BINS,
        strategy="quantile" if adaptive else "uniform",
    )
    filled = bins.count > 0  # scikit-learn leaves the others out
    np.testing.assert_allclose(bins.accuracy[filled], accuracy, rtol=1e-12)
    np.testing.assert_allclose(bins.confidence[filled], mean_confidence, rtol=1e-12)
    assert bins.count.sum() == shape[0]
    if adaptive:
        assert np.abs(bins.count - shape[0] / NUM_BINS).max() < 2
    gaps = np.abs(accuracy - mean_confidence)
    expected = np.average(gaps, weights=bins.count[filled])
    assert ece(bins) == pytest.approx(expected, rel=1e-12)


def test_calibration_errors_by_hand():
    # Confidences 0.5 (edge of no bin), 0.9 and 0.9; widths of 1/15.
    probabilities = np.array([[0.5, 0.3, 0.2], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])
    bins = reliability(probabilities, np.array([0, 1, 0]))
    assert np.flatnonzero(bins.count).tolist() == [7, 13]  # 7/15 to 8/15, 13/15 to ...
    assert ece(bins) == pytest.approx((1 * 0.5 + 2 * 0.4) / 3, rel=1e-12)
    # An upper edge belongs to its bin, and equal confidences to one adaptive bin.
    edge = np.array([[1.0, 0.0]] * 20)
    assert reliability(edge, np.zeros(20, int)).count[-1] == 20
    adaptive = reliability(edge, np.arange(20) % 2, adaptive=True)
    assert sorted(adaptive.count)[-2:] == [0, 20]
    assert ece(adaptive) == 0.5


def test_rescaling_is_that_of_logits():
    logits = np.random.default_rng(2).normal(0, 3, (30, 5))
    probabilities = softmax(logits, axis=1)
    for temperature in (0.5, 1.0, 3.0):
        expected = softmax(logits / temperature, axis=1)
        found = rescale(probabilities, temperature)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.isfinite(rescale(np.array([[1.0, 0.0]]), 0.1)).all()


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature):
    generator = np.random.default_rng(3)
    logits = generator.normal(0, 2, (20_000, 6))
    labels = (logits / temperature + generator.gumbel(size=logits.shape)).argmax(axis=1)
    found = fit_temperature(softmax(logits, axis=1), labels)
    assert found == pytest.approx(temperature, rel=0.05)
    # No other temperature of a fine grid is better.
    grid = np.geomspace(0.1, 10, 400)
    places = np.arange(len(labels))
    nlls = [-log_softmax(logits / t, axis=1)[places, labels].mean() for t in grid]
    best = -log_softmax(logits / found, axis=1)[places, labels].mean()
    assert best <= min(nlls) + 1e-9


def test_the_temperature_of_members_that_are_far_too_sure_is_found():
    """By hand: at T the odds of 1:3 for images that are right to 300 nats."""
    logits = np.tile([300.0, 0.0], (1, 100, 1)).astype(np.float32)
    logits[0, :50] /= 100  # by 3 nats, of which T = 10 makes 0.3
    labels = (np.arange(100) % 50 >= 49).astype(int)  # 49 of 50 are right
    found = fit_temperature(COMBINATIONS["average"](logits), labels)
    grid = np.geomspace(0.1, 10, 4000)
    nlls = [
        np.logaddexp(0, np.where(labels, 1, -1) * m / t).mean()
        for t in grid
        for m in [logits[0, :, 0].astype(np.float64)]
    ]
    assert found == pytest.approx(grid[np.argmin(nlls)], rel=2e-3)


@pytest.mark.parametrize(("label", "expected"), [(0, 0.1), (1, 10.0)])
@pytest.mark.parametrize("surest", [0.7, 1 - 1e-12])
def test_a_temperature_stays_within_its_bounds(label, expected, surest):
    """All right: it would fall to 0. All wrong: it would rise without end."""
    probabilities = np.array([[surest, 1 - surest]] * 5)
    assert fit_temperature(probabilities, np.full(5, label)) == expected


def test_where_all_temperatures_are_as_good_none_changes_anything():
    assert fit_temperature(np.full((4, 3), 1 / 3), np.array([0, 1, 2, 0])) == 1.0


def test_a_search_that_does_not_converge_is_an_error(monkeypatch):
    search = functools.partial(scipy.optimize.root_scalar, maxiter=1)
    monkeypatch.setattr(calibration, "root_scalar", search)
    probabilities, labels = draw(3, 200, 4)
    with pytest.raises(RuntimeError, match="no temperature was found: conv"):
        fit_temperature(probabilities, labels)


# Diversity.


@pytest.mark.parametrize("shape", [(2, 50, 3), (5, 200, 10)], ids=str)
def test_diversity_is_that_of_slow_loops(shape):
    logits = np.random.default_rng(4).normal(0, 2, shape).astype(np.float32)
    labels = np.random.default_rng(5).integers(0, shape[2], shape[1])
    probabilities = softmax(logits.astype(np.float64), axis=-1)
    votes = logits.argmax(axis=-1)
    differ, shared = disagreement(logits), covariance(logits, labels)
    pairs = list(itertools.combinations(range(shape[0]), 2))
    for i, j in pairs:
        expected = sum(a != b for a, b in zip(votes[i], votes[j], strict=True))
        assert differ[i, j] == differ[j, i] == expected / shape[1]
        of_labels = [[p[n, y] for n, y in enumerate(labels)] for p in probabilities]
        expected = np.cov(of_labels[i], of_labels[j], ddof=0)
        np.testing.assert_allclose(shared[np.ix_([i, j], [i, j])], expected)
    assert (np.diag(differ) == 0).all()
    expected = sum(differ[i, j] for i, j in pairs) / len(pairs)
    assert mean_over_pairs(differ) == pytest.approx(expected, rel=1e-12)
    # The members' mean divergence from their mean.
    divergences = rel_entr(probabilities, probabilities.mean(axis=0)).sum(axis=-1)
    expected = divergences.mean()
    assert mutual_information(logits) == pytest.approx(expected, rel=1e-9)


def test_diversity_by_hand():
    certain = np.log(np.array([[[1 - 2e-9, 1e-9, 1e-9]], [[1e-9, 1 - 2e-9, 1e-9]]]))
    assert disagreement(certain).tolist() == [[0, 1], [1, 0]]
    assert mutual_information(certain) == pytest.approx(math.log(2), rel=1e-6)
    same = np.repeat(certain[:1], 3, axis=0)
    assert mutual_information(same) == pytest.approx(0, abs=1e-12)
    assert mean_over_pairs(disagreement(same)) == 0.0
    # Probabilities of the true class 0.2, 0.8 and 0.6, 0.4: deviations -0.3, 0.3 and
    # 0.1, -0.1, whose products are both -0.03.
    first = [[0.2, 0.8], [0.2, 0.8]]
    second = [[0.6, 0.4], [0.6, 0.4]]
    shared = covariance(np.log([first, second]), np.array([0, 1]))
    np.testing.assert_allclose(shared, [[0.09, -0.03], [-0.03, 0.01]], rtol=1e-12)
    assert mean_over_pairs(shared) == pytest.approx(-0.03, rel=1e-12)


def test_one_member_has_no_pairs():
    alone = np.zeros((1, 4, 3))
    assert mean_over_pairs(disagreement(alone)) is None
    assert mutual_information(alone) == pytest.approx(0, abs=1e-12)


# Out of distribution.


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
)
def test_auroc_is_that_of_scikit_learn(inside, outside):
    expected = roc_auc_score([0] * len(inside) + [1] * len(outside), inside + outside)
    found = auroc(np.array(inside), np.array(outside))
    assert found == pytest.approx(expected, abs=1e-12)


def test_doubt_tells_what_is_outside():
    (inside, _), (outside, _) = draw(6, 80, 4, sharpness=3.0), draw(7, 50, 4)
    truth = [0] * 80 + [1] * 50
    both = np.concatenate([inside, outside]).astype(np.float64)
    doubt = {
        auroc_max_probability: 1 - both.max(axis=1),
        auroc_entropy: -np.sum(both * np.log(both), axis=1),
    }
    found = [measure(inside, outside) for measure in doubt]
    expected = [roc_auc_score(truth, score) for score in doubt.values()]
    assert found == pytest.approx(expected, abs=1e-12)
    assert found[0] != found[1] and min(found) > 0.5
    sure, unsure = np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])
    assert auroc_max_probability(sure, unsure) == auroc_entropy(sure, unsure) == 1.0


def logs_of_doubt(logits):
    """Logarithm of what the averaged members leave to others, never near 1."""
    logs = log_softmax(logits.astype(np.float64), axis=-1)
    together = logsumexp(logs, axis=0)
    likeliest = together.argmax(axis=1)[:, None]
    np.put_along_axis(together, likeliest, -np.inf, axis=1)
    return logsumexp(together, axis=1)


@pytest.mark.parametrize("margins", [(20, 17), (30, 25), (60, 55), (400, 390)], ids=str)
def test_doubt_of_members_that_are_all_but_certain(margins):
    generator = np.random.default_rng(0)

    def predicted(margin):
        logits = generator.normal(0, 1, (4, 300, 10))
        logits[:, :, 0] += margin + generator.normal(0, 1.5, 300)
        return logits.astype(np.float32)

    both = [predicted(margin) for margin in margins]
    expected = roc_auc_score(
        [0] * 300 + [1] * 300, np.hstack(list(map(logs_of_doubt, both)))
    )
    assert expected > 0.85
    found = summary.detection_metrics(*map(COMBINATIONS["average"], both))
    assert found["auroc_max_probability"] == pytest.approx(expected, abs=1e-12)
    # The entropy is about the doubt times its logarithm, which orders images alike.
    assert found["auroc_entropy"] == pytest.approx(expected, abs=0.01)
