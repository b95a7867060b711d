"""Error, log-likelihood, Brier score and entropy of predictions.

Axes: [examples] labels, [examples, classes] scores.

Probabilities are clipped at the least normal float of their dtype before their
logarithm is taken: one that underflowed to 0 costs 708 nats in float64 (2.2e-308), in
which members are combined, and 87 in float32 (1.2e-38), which `Ensemble.predict`
returns, rather than infinitely many.
"""

import numpy as np

from mothernets_jax.metrics.probabilities import (
    label_log_probabilities,
    remaining_probability,
)


def error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of the examples whose highest score is not their label's.

    Args:
        scores: floats [examples, classes]: logits, probabilities or votes.
        labels: int [examples], the true classes.
    """
    return float(np.mean(scores.argmax(axis=1) != labels))


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Natural logarithms of probabilities, clipped at the least normal float.

    Args:
        probabilities: floats of any shape, from 0 to 1.

    Returns:
        float64 of the same shape, in nats.
    """
    probabilities = np.asarray(probabilities)
    wide = probabilities.astype(np.float64)
    narrow = probabilities.dtype.kind == "f" and probabilities.dtype.itemsize < 8
    least = np.finfo(probabilities.dtype if narrow else wide.dtype).tiny
    return np.log(np.maximum(wide, least))


def nll(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Negative log-likelihood of the labels, the mean over examples, in nats.

    Args:
        probabilities: floats [examples, classes], rows summing to 1.
        labels: int [examples], the true classes.
    """
    of_labels = probabilities[np.arange(len(labels)), labels]
    return float(-np.mean(log_probabilities(of_labels)))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Cross-entropy of a network's logits, the mean over examples, in nats.

    It is the `nll` of their softmax, but clipped at neither end.

    Args:
        logits: floats [examples, classes], all finite.
        labels: int [examples], the true classes.

    >>> cross_entropy(np.array([[1000.0, 0.0], [0.0, 0.0]]), np.array([1, 0]))
    500.346573590279...
    """
    return float(-np.mean(label_log_probabilities(logits[None], labels)))


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Brier score: squared distance of probabilities to one-hot labels.

    The squares are summed over classes and averaged over examples: from 0 to 2.

    Args:
        probabilities: floats [examples, classes], rows summing to 1.
        labels: int [examples], the true classes.

    References: Brier, Verification of forecasts expressed in terms of probability.
    Monthly Weather Review, 1950.
    """
    others = np.array(probabilities, np.float64)
    others[np.arange(len(labels)), labels] = 0
    # They sum to the true class's distance to 1.
    squares = np.square(others.sum(axis=1)) + np.square(others).sum(axis=1)
    return float(np.mean(squares))


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy of each prediction, in nats.

    Args:
        probabilities: floats [..., classes], rows summing to 1.

    Returns:
        float64 [...], one entropy for each prediction.
    """
    probabilities = np.asarray(probabilities)
    logs = log_probabilities(probabilities)
    largest = np.max(probabilities, axis=-1, keepdims=True).astype(np.float64)
    # The logarithm of a probability near 1 is all but minus what it leaves to others.
    remaining = remaining_probability(probabilities)[..., None]
    exact = np.log1p(-np.where(largest > 0.5, remaining, 0))
    logs = np.where((probabilities == largest) & (largest > 0.5), exact, logs)
    return -np.sum(probabilities * logs, axis=-1)
