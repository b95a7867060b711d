"""What predictions are worth. Axes: [examples] labels, [examples, classes] scores.

Probabilities are clipped at the least normal float of their dtype before their
logarithm is taken: one that underflowed to 0 costs 708 nats in float64 (2.2e-308), in
which members are combined, and 87 in float32 (1.2e-38), which `Ensemble.predict`
returns, rather than infinitely many.
"""

import numpy as np

from mothernets_jax.metrics.probabilities import remaining_probability


def error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of the examples whose highest score is not their label's.

    Args:
        scores: [examples, classes]; logits, probabilities or votes.
        labels: int [examples].
    """
    return float(np.mean(scores.argmax(axis=1) != labels))


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Natural logarithms, float64, of probabilities clipped as said above."""
    probabilities = np.asarray(probabilities)
    wide = probabilities.astype(np.float64)
    narrow = probabilities.dtype.kind == "f" and probabilities.dtype.itemsize < 8
    least = np.finfo(probabilities.dtype if narrow else wide.dtype).tiny
    return np.log(np.maximum(wide, least))


def nll(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Negative log-likelihood of the labels, the mean over examples, in nats.

    Args:
        probabilities: [examples, classes].
        labels: int [examples].
    """
    of_labels = probabilities[np.arange(len(labels)), labels]
    return float(-np.mean(log_probabilities(of_labels)))


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Brier score: squared differences to the labels, 1 for the true class, else 0.

    Summed over classes, the mean over examples: from 0 to 2.

    Args:
        probabilities: [examples, classes].
        labels: int [examples].

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
        probabilities: [..., classes].

    Returns:
        float64 [...].
    """
    probabilities = np.asarray(probabilities)
    logs = log_probabilities(probabilities)
    largest = np.max(probabilities, axis=-1, keepdims=True).astype(np.float64)
    # The logarithm of a probability near 1 is all but minus what it leaves to others.
    remaining = remaining_probability(probabilities)[..., None]
    exact = np.log1p(-np.where(largest > 0.5, remaining, 0))
    logs = np.where((probabilities == largest) & (largest > 0.5), exact, logs)
    return -np.sum(probabilities * logs, axis=-1)
