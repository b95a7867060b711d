"""Paired comparisons: two predictors on the same examples, with 95% intervals.

Axes: [examples].
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit  # scipy.stats is slow to import

_CONFIDENCE = 0.95


class Difference(NamedTuple):
    """A difference of means, the first predictor's less the second's.

    Attributes:
        difference: the difference as observed.
        low, high: bounds of its 95% confidence interval, for the chance among the
            examples alone.
    """

    difference: float
    low: float
    high: float


def error_difference(wrong: np.ndarray, other: np.ndarray) -> Difference:
    """The difference of two errors on the same examples.

    The interval is Wald's for paired shares with one example added to each of the two
    kinds on which just one predictor is wrong. Its coverage is good for few examples,
    too, and it has a width where the two predictors agree on all of them.

    Args:
        wrong: bool [examples], where the first predictor is wrong.
        other: bool [examples], where the second one is.

    References: Bonett and Price, Adjusted Wald Confidence Interval for a Difference of
    Binomial Proportions Based on Paired Data. Journal of Educational and Behavioral
    Statistics, 2012. Recommended by Fagerland, Lydersen and Laake, Statistics in
    Medicine, 2014.
    """
    count = len(wrong)
    alone = int(np.sum(wrong & ~other)), int(np.sum(other & ~wrong))
    first, second = ((number + 1) / (count + 2) for number in alone)
    middle = first - second
    half = float(ndtri((1 + _CONFIDENCE) / 2)) * math.sqrt(
        (first + second - middle**2) / (count + 2)
    )
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return Difference((alone[0] - alone[1]) / count, low, high)


def mean_difference(values: np.ndarray, other: np.ndarray) -> Difference:
    """The difference of two means over the same examples, with Student's interval.

    Args:
        values: floats [examples] of the first predictor, such as losses.
        other: floats [examples] of the second one.

    Returns:
        The difference; its bounds are the difference itself for a single example or
        equal differences, which tell nothing of chance.
    """
    differences = np.asarray(values, np.float64) - other
    count, middle = len(differences), float(np.mean(differences))
    if count < 2:
        return Difference(middle, middle, middle)
    error = float(np.std(differences, ddof=1)) / math.sqrt(count)
    half = float(stdtrit(count - 1, (1 + _CONFIDENCE) / 2)) * error
    return Difference(middle, middle - half, middle + half)
