"""Arithmetic on probabilities near 0 and 1, where floats lose their order.

No float64 lies between 1 - 1e-16 and 1, nor float32 between 1 - 6e-8 and 1, while near
0 they reach down to 2e-308 and 1e-38. So what a probability near 1 leaves to others is
added up from theirs, never subtracted from 1.

Axes: [members, examples, classes] logits, [examples, classes] probabilities.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp, softmax


def remaining_probability(probabilities: np.ndarray) -> np.ndarray:
    """Probability of all classes but the likeliest: 1 - max, precise near 0, too.

    Args:
        probabilities: floats [..., classes], rows summing to 1.

    Returns:
        float64 [...], one for each row.
    """
    others = np.array(probabilities, np.float64)
    likeliest = others.argmax(axis=-1)[..., None]
    np.put_along_axis(others, likeliest, 0, axis=-1)
    return others.sum(axis=-1)


def label_log_probabilities(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logarithms of members' probabilities of the true class, clipped at neither end.

    Args:
        logits: floats [members, examples, classes].
        labels: int [examples], the true classes.

    Returns:
        float64 [members, examples], in nats.
    """
    places = np.arange(len(labels))
    logs = np.empty(logits.shape[:2])
    for log, own in zip(logs, logits, strict=True):  # all in float64 might not fit
        margins = own.astype(np.float64)
        margins -= margins[places, labels][:, None]
        margins[places, labels] = -np.inf
        # The log odds of the other classes: -log(1 + odds) is exact near 0, too.
        log[:] = -np.logaddexp(0, logsumexp(margins, axis=1))
    return logs


class SplitSum(NamedTuple):
    """A weighted sum of members' probabilities, as a sum of two parts.

    A member's probability of the class that it holds the likeliest is 1 less those of
    the others. These ones are kept apart from the rest: added to it, they would hide
    differences below 1e-16.

    Attributes:
        votes: float64 [examples, classes], for each class the sum of the weights of the
            members that hold it the likeliest.
        rest: float64 [examples, classes], the rest, to be added to `votes`.
    """

    votes: np.ndarray
    rest: np.ndarray


def split_sum(logits: np.ndarray, weights: np.ndarray) -> SplitSum:
    """Adds up members' probabilities, weighted, one member at a time.

    Args:
        logits: floats [members, examples, classes].
        weights: floats [members].
    """
    votes, rest = np.zeros(logits.shape[1:]), np.zeros(logits.shape[1:])
    places = np.arange(logits.shape[1])
    for own, weight in zip(logits, weights, strict=True):
        likeliest = own.argmax(axis=1)
        others = softmax(own.astype(np.float64), axis=1)
        others[places, likeliest] = 0
        others[places, likeliest] = -others.sum(axis=1)
        votes[places, likeliest] += weight
        rest += weight * others
    return SplitSum(votes, rest)


def likeliest(probabilities: np.ndarray, parts: SplitSum) -> np.ndarray:
    """Likeliest class of each example; equal floats are told apart by their parts.

    Args:
        probabilities: floats [examples, classes], rows summing to 1.
        parts: the two parts of the sum that the probabilities were computed from.

    Returns:
        int [examples]; the lower class where the parts are equal, too.
    """
    winner = probabilities.argmax(axis=1)
    tied = probabilities == probabilities.max(axis=1, keepdims=True)
    rows = np.flatnonzero(tied.sum(axis=1) > 1)
    tied = tied[rows]
    for part in parts:
        values = np.where(tied, part[rows], -np.inf)
        tied &= values == values.max(axis=1, keepdims=True)
    winner[rows] = tied.argmax(axis=1)
    return winner


def with_winner(probabilities: np.ndarray, winner: np.ndarray) -> np.ndarray:
    """Makes the winner the likeliest, raising its probability to just above the others.

    With it `argmax` finds the class that was the likeliest before rounding. Rows whose
    winner is the likeliest already stay as they are.

    Args:
        probabilities: floats [examples, classes].
        winner: int [examples], the class that is to be the likeliest.
    """
    rows = np.flatnonzero(probabilities.argmax(axis=1) != winner)
    if not len(rows):
        return probabilities
    raised = probabilities.copy()
    most = probabilities[rows].max(axis=1)
    raised[rows, winner[rows]] = np.nextafter(most, np.inf, dtype=most.dtype)
    return raised


def rounded(probabilities: np.ndarray) -> np.ndarray:
    """Rounds probabilities to float32, with the same likeliest classes.

    Args:
        probabilities: float64 [examples, classes], rows summing to 1.
    """
    narrow = probabilities.astype(np.float32)
    return with_winner(narrow, probabilities.argmax(axis=1))


def member_probabilities(logits: np.ndarray) -> np.ndarray:
    """Members' probabilities, with the likeliest classes of their logits.

    Args:
        logits: floats [members, examples, classes].

    Returns:
        float32 [members, examples, classes], rows summing to 1.
    """
    found = np.empty(logits.shape, np.float32)
    for narrow, own in zip(found, logits, strict=True):  # one at a time in float64
        probabilities = softmax(own.astype(np.float64), axis=1)
        narrow[:] = with_winner(probabilities.astype(np.float32), own.argmax(axis=1))
    return found
