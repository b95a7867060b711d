"""Combine the members' predictions. Axes: [members, examples, classes]."""

from collections.abc import Callable

import numpy as np
from scipy.special import softmax


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


# What `predict` and the configs may ask for.
COMBINATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "average": average,
    "vote": vote,
}


def oracle_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Share of the examples on which no member is right: what combining could reach.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].
    """
    wrong = logits.argmax(axis=-1) != labels[None]
    return float(np.mean(wrong.all(axis=0)))
