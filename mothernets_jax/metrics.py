"""What predictions are worth. Axes: [examples] labels, [examples, classes] scores.

Probabilities are clipped at the least normal float32, about 1.2e-38, before their
logarithm is taken: predictions are float32, and one that underflows to 0 costs 87 nats
rather than infinitely many.
"""

import numpy as np
from scipy.special import softmax

LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)


def error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of the examples whose highest score is not their label's.

    Args:
        scores: [examples, classes]; logits, probabilities or votes.
        labels: int [examples].
    """
    return float(np.mean(scores.argmax(axis=1) != labels))


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Natural logarithms, float64, of probabilities clipped as said above."""
    clipped = np.maximum(np.asarray(probabilities, np.float64), LEAST_PROBABILITY)
    return np.log(clipped)


def nll(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Negative log-likelihood of the labels, the mean over examples, in nats.

    Args:
        probabilities: [examples, classes].
        labels: int [examples].
    """
    of_labels = probabilities[np.arange(len(labels)), labels]
    return float(-np.mean(log_probabilities(of_labels)))


def label_probabilities(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Every member's probability of the true class.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].

    Returns:
        float64 [members, examples].
    """
    places = np.arange(len(labels))
    # A member at a time: all of them in float64 might not fit.
    return np.stack(
        [softmax(m.astype(np.float64), axis=1)[places, labels] for m in logits]
    )


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Brier score: squared differences to the labels, 1 for the true class, else 0.

    Summed over classes, the mean over examples: from 0 to 2.

    Args:
        probabilities: [examples, classes].
        labels: int [examples].

    References: Brier, Verification of forecasts expressed in terms of probability.
    Monthly Weather Review, 1950.
    """
    one_hot = np.eye(probabilities.shape[1])[labels]
    return float(np.mean(np.sum(np.square(probabilities - one_hot), axis=1)))


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy of each prediction, in nats.

    Args:
        probabilities: [..., classes].

    Returns:
        float64 [...].
    """
    probabilities = np.asarray(probabilities, np.float64)
    return -np.sum(probabilities * log_probabilities(probabilities), axis=-1)
