"""Deep ensembles of every size, against loops over all subsets."""

import itertools
import math

import numpy as np
import pytest
from scipy.special import softmax

from mothernets_jax.ensembles.deep_ensembles import (
    MOST_SUBSETS,
    averaged_nll,
    deep_ensembles,
    subsets_of,
    with_equivalent,
)
from mothernets_jax.metrics.calibration import calibrated_nll


@pytest.fixture(scope="module")
def predicted():
    """Logits of four unequal members, and labels."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 50)
    logits = generator.normal(size=(4, 50, 3)) * np.array([1, 2, 3, 4])[:, None, None]
    logits[:, np.arange(50), labels] += 2
    return logits.astype(np.float32), labels


@pytest.mark.parametrize("held_out", [False, True])
def test_every_subset_is_averaged(predicted, held_out):
    logits, labels = predicted
    test, others = slice(0, 30), slice(30, 50)
    known = (logits[:, others], labels[others]) if held_out else None
    found = deep_ensembles(logits[:, test], labels[test], known)
    probabilities = softmax(logits.astype(np.float64), axis=-1)
    for size in range(1, 5):
        nlls = []
        for own in itertools.combinations(range(4), size):
            mean = sum(probabilities[member] for member in own) / size
            nlls.append(
                calibrated_nll(
                    mean[test],
                    labels[test],
                    (mean[others], labels[others]) if held_out else None,
                )
            )
        assert found.subsets[size - 1] == len(nlls) == math.comb(4, size)
        assert found.nll[size - 1] == pytest.approx(np.mean(nlls), abs=1e-9)
        deviation = np.std(nlls, ddof=1) if len(nlls) > 1 else 0
        assert found.deviation[size - 1] == pytest.approx(deviation, abs=1e-9)


def test_all_members_together_are_worth_their_number(predicted):
    logits, labels = predicted
    curve = deep_ensembles(logits, labels)._asdict()
    figures = {"deep_ensemble_equivalent": {"nll": averaged_nll(logits, labels)}}
    networks = with_equivalent(figures, curve)["deep_ensemble_equivalent"]["networks"]
    assert networks["of"] == 4
    reached = next(size for size in range(4) if curve["nll"][size] <= curve["nll"][3])
    assert reached < networks["value"] + 1 <= 5
    assert with_equivalent(figures, {}) == figures
    assert with_equivalent({"a": 1}, curve) == {"a": 1}  # of an earlier version


@pytest.mark.parametrize(
    ("members", "size", "number"),
    [(5, 2, 10), (7, 6, 7), (6, 3, MOST_SUBSETS), (25, 1, 25), (25, 24, 25)]
    + [(100, 50, MOST_SUBSETS)],
)
def test_subsets_are_distinct_and_always_the_same(members, size, number):
    found = subsets_of(members, size)
    assert len(found) == number
    assert len({tuple(own) for own in found}) == len(found)
    assert all(own == sorted(set(own)) and len(own) == size for own in found)
    assert {member for own in found for member in own} <= set(range(members))
    assert subsets_of(members, size) == found
