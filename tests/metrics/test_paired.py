"""Intervals of paired differences, by hand and against scipy."""

import numpy as np
import pytest
from scipy import stats

from mothernets_jax.metrics.paired import error_difference, mean_difference


def predictors(both, first, second, neither):
    """Where two predictors are wrong, from the four counts of a table."""
    wrong = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither
    return np.array(wrong, bool).T


def test_errors_by_hand():
    # 25 and 9 of 100 alone: (26 - 10) / 102, with 1.959964 standard errors around it.
    found = error_difference(*predictors(5, 25, 9, 61))
    assert found.difference == pytest.approx(0.16)
    middle = 16 / 102
    half = 1.959964 * np.sqrt((36 / 102 - middle**2) / 102)
    assert found[1:] == pytest.approx((middle - half, middle + half), abs=1e-7)
    swapped = error_difference(*predictors(5, 9, 25, 61))
    assert swapped == pytest.approx((-found[0], -found[2], -found[1]))


def test_errors_that_agree_everywhere_are_not_certain():
    found = error_difference(*predictors(3, 0, 0, 357))
    # Rule of three: none of 360 leaves about 3 of 360 possible on either side.
    assert found.difference == 0 and 0.004 < found.high < 0.012
    assert found.low == -found.high
    assert error_difference(*predictors(0, 1, 0, 0)).high == 1


@pytest.mark.parametrize("counts", [(100, 60, 40, 800), (2000, 300, 420, 7280)])
def test_errors_agree_with_the_bootstrap(counts):
    wrong, other = predictors(*counts)
    found = error_difference(wrong, other)
    boot = stats.bootstrap(
        (wrong.astype(float) - other,),
        np.mean,
        n_resamples=2000,
        batch=100,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    width = boot.high - boot.low
    assert found[1:] == pytest.approx((boot.low, boot.high), abs=0.06 * width)


def test_errors_are_covered_as_often_as_they_should():
    """Of 95% intervals about 95% hold the truth, for few examples too."""
    shares = np.array([0.04, 0.05, 0.02, 0.89])
    drawn = np.random.default_rng(0).multinomial(300, shares, 2000)
    found = [error_difference(*predictors(*counts)) for counts in drawn]
    held = np.mean([low <= 0.03 <= high for _, low, high in found])
    assert 0.94 <= held <= 0.97


def test_means_are_those_of_scipy():
    first, second = np.random.default_rng(0).gamma([[0.5], [0.6]], size=(2, 40))
    test = stats.ttest_rel(first, second)
    low, high = test.confidence_interval(0.95)
    found = mean_difference(first, second)
    assert found == pytest.approx(((first - second).mean(), low, high))
    assert mean_difference(first[:1], second[:1]).low == first[0] - second[0]
