"""Combine the members' predictions. Axes: [members, examples, classes]."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import softmax

from mothernets_jax.weighting import FITS


def average(logits: np.ndarray) -> np.ndarray:
    """The mean of the members' probabilities.

    Args:
        logits: [members, examples, classes].

    Returns:
        float32 [examples, classes], rows summing to 1.
    """
    return softmax(logits, axis=-1).mean(axis=0).astype(np.float32)


def vote(logits: np.ndarray) -> np.ndarray:
    """Each class's share of the members' votes, ties broken by `average`.

    Half a vote is spread by the average, which never outweighs a whole one.

    Args:
        logits: [members, examples, classes].

    Returns:
        float32 [examples, classes], rows summing to 1.
    """
    members, _, classes = logits.shape
    votes = np.eye(classes)[logits.argmax(axis=-1)].sum(axis=0)
    return ((votes + 0.5 * average(logits)) / (members + 0.5)).astype(np.float32)


def weighted_average(logits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean of the members' probabilities by their weights.

    Args:
        logits: [members, examples, classes].
        weights: [members], none negative, summing to 1.

    Returns:
        float32 [examples, classes], rows summing to 1.
    """
    probabilities = softmax(logits, axis=-1)
    return np.tensordot(weights, probabilities, axes=1).astype(np.float32)


# Those that need nothing but logits.
COMBINATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "average": average,
    "vote": vote,
}
# What `predict` and the configs may ask for: those, and those whose weights are fitted.
NAMES = (*COMBINATIONS, *FITS)


def combined(
    name: str, logits: np.ndarray, weights: Mapping[str, np.ndarray]
) -> np.ndarray:
    """What the members predict together.

    Args:
        name: one of `COMBINATIONS` or of `weights`.
        logits: [members, examples, classes].
        weights: [members], of each learned combination by name.

    Returns:
        float32 [examples, classes], rows summing to 1.
    """
    if name in COMBINATIONS:
        return COMBINATIONS[name](logits)
    return weighted_average(logits, weights[name])


def oracle_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Share of the examples on which no member is right: what combining could reach.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].
    """
    wrong = logits.argmax(axis=-1) != labels[None]
    return float(np.mean(wrong.all(axis=0)))
