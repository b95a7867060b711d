"""Combine the members' predictions. Axes: [members, examples, classes].

Combined predictions are float64, and exact to the last bit in which class is the
likeliest: members that are all but certain differ by less than float32 can tell.
"""

from collections.abc import Callable, Mapping

import numpy as np

from mothernets_jax.ensembles.weighting import FITS
from mothernets_jax.metrics.probabilities import (
    SplitSum,
    likeliest,
    split_sum,
    with_winner,
)


def average(logits: np.ndarray) -> np.ndarray:
    """The mean of the members' probabilities.

    Args:
        logits: [members, examples, classes].

    Returns:
        float64 [examples, classes], rows summing to 1.
    """
    parts = split_sum(logits, np.ones(len(logits)))
    return _settled(_total(parts) / len(logits), parts)


def vote(logits: np.ndarray) -> np.ndarray:
    """Each class's share of the members' votes, ties broken by `average`.

    Half a vote is spread over the classes by the average, and so never outweighs a
    whole one.

    Args:
        logits: [members, examples, classes].

    Returns:
        float64 [examples, classes], rows summing to 1.
    """
    members = len(logits)
    parts = split_sum(logits, np.ones(members))
    shares = parts.votes + 0.5 * _total(parts) / members
    return _settled(shares / (members + 0.5), parts)


def weighted_average(logits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of the members' probabilities.

    Args:
        logits: [members, examples, classes].
        weights: [members], none negative, summing to 1.

    Returns:
        float64 [examples, classes], rows summing to 1.
    """
    parts = split_sum(logits, weights)
    return _settled(_total(parts), parts)


def _total(parts: SplitSum) -> np.ndarray:
    return parts.votes + parts.rest


def _settled(probabilities: np.ndarray, parts: SplitSum) -> np.ndarray:
    """Breaks ties for the likeliest class that are due to rounding."""
    return with_winner(probabilities, likeliest(probabilities, parts))


# The combinations that need nothing but logits.
COMBINATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "average": average,
    "vote": vote,
}
# All that `predict` and the configs may name, with those whose weights are fitted.
NAMES = (*COMBINATIONS, *FITS)


def combined(
    name: str, logits: np.ndarray, weights: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Combines the members' predictions by a combination that is named.

    Args:
        name: a key of `COMBINATIONS` or of `weights`.
        logits: [members, examples, classes].
        weights: [members] of each learned combination, by its name.

    Returns:
        float64 [examples, classes], rows summing to 1.
    """
    if name in COMBINATIONS:
        return COMBINATIONS[name](logits)
    return weighted_average(logits, weights[name])


def oracle_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Error of an oracle: the share of the examples on which no member is right.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].
    """
    wrong = logits.argmax(axis=-1) != labels[None]
    return float(np.mean(wrong.all(axis=0)))
