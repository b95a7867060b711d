"""Errors among the examples that a classifier is surest of: risk and coverage.

Axes: [examples].
"""

from typing import NamedTuple

import numpy as np

from mothernets_jax.metrics.probabilities import remaining_probability

# Of a curve, from a hundredth of the examples to all of them.
_POINTS = 100


class RiskCoverage(NamedTuple):
    """A classifier's error if it answers only where it is surest.

    Attributes:
        coverage: float64 [points], shares of the examples that are answered, ascending
            to 1: hundredths, as near as there are examples.
        error: float64 [points], share of wrong answers among those that are given.
        aurc: area under the curve: the mean of the errors over all numbers of answers,
            1 to all. It is smaller the better doubt tells wrong answers from right.

    References: El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective
    Classification"; Geifman, Uziel and El-Yaniv 2019, "Bias-Reduced Uncertainty
    Estimation for Deep Neural Classifiers" (the area).
    """

    coverage: np.ndarray
    error: np.ndarray
    aurc: float


def risk_coverage(probabilities: np.ndarray, labels: np.ndarray) -> RiskCoverage:
    """Measures how well the largest probability tells right answers from wrong ones.

    Examples of equal confidence are taken in no order: each counts with the share of
    wrong answers among them.

    Args:
        probabilities: floats [examples, classes], rows summing to 1; at least one row.
        labels: int [examples], the true classes.

    The one wrong answer is the least sure of four:

    >>> rows = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    >>> round(risk_coverage(rows, np.array([0, 0, 1, 1])).aurc, 4)
    0.0625
    """
    wrong = probabilities.argmax(axis=1) != labels
    # Precise near 1, unlike the largest probability itself.
    _, rank, size = np.unique(
        remaining_probability(probabilities), return_inverse=True, return_counts=True
    )
    expected = np.bincount(rank, wrong) / size
    errors = np.cumsum(np.repeat(expected, size)) / np.arange(1, len(labels) + 1)
    # Hundredths of the examples, rounded up, in whole numbers.
    answered = -(-np.arange(1, _POINTS + 1) * len(labels) // _POINTS)
    coverage = answered / len(labels)
    return RiskCoverage(coverage, errors[answered - 1], float(errors.mean()))
