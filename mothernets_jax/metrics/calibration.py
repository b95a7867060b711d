"""Whether probabilities are frequencies, and a temperature that brings them closer.

All is about the top label: how often the class with the highest probability, the
confidence, is the right one. Axes: [examples, classes] probabilities, [bins].

References: Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks. ICML
2017.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import softmax

from mothernets_jax.metrics import classification
from mothernets_jax.metrics.probabilities import remaining_probability, with_winner

NUM_BINS = 15
# A temperature is looked for from 1/10 to 10. Without bounds it would fall to 0 where
# every example is right, and make certainties of all predictions.
MOST_TEMPERATURE = 10.0
# Slopes of the NLL below this, in nats, are due to rounding.
_FLAT = 1e-13


class Bins(NamedTuple):
    """A reliability diagram. Of a bin without examples both means are 0.

    Attributes:
        confidence: float64 [bins], the mean highest probability.
        accuracy: float64 [bins], the share of examples that are right.
        count: int [bins], examples.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def reliability(
    probabilities: np.ndarray, labels: np.ndarray, *, adaptive: bool = False
) -> Bins:
    """The data of a reliability diagram with `NUM_BINS` bins.

    Args:
        probabilities: [examples, classes].
        labels: int [examples].
        adaptive: bins that hold equally many examples (equal confidences are never
            parted, confidences near 1 only where what they leave to the other classes
            is equal), rather than bins of equal width. The upper edge belongs to a bin.

    References: adaptive bins: Nguyen and O'Connor, EMNLP 2015; Nixon et al., CVPR
    Workshops 2019.
    """
    confidence = np.max(probabilities, axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, NUM_BINS + 1)
    if adaptive:
        order = -remaining_probability(probabilities)
        place = np.searchsorted(np.quantile(order, edges[1:-1]), order)
    else:
        place = np.searchsorted(edges[1:-1], confidence)
    count = np.bincount(place, minlength=NUM_BINS)
    filled = np.maximum(count, 1)
    return Bins(
        np.bincount(place, confidence, NUM_BINS) / filled,
        np.bincount(place, right, NUM_BINS) / filled,
        count,
    )


def ece(bins: Bins) -> float:
    """Expected calibration error: the mean over examples of their bin's gap.

    With adaptive bins, the adaptive one.

    Args:
        bins: of a reliability diagram.
    """
    gaps = np.abs(bins.accuracy - bins.confidence)
    return float(np.sum(bins.count * gaps) / np.sum(bins.count))


def rescale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / T): a temperature above 1 makes predictions less sure.

    For one network this is temperature scaling of its logits; here it applies to what
    an ensemble predicts.

    Args:
        probabilities: [examples, classes].
        temperature: above 0.

    Returns:
        float64 [examples, classes], rows summing to 1; the likeliest class stays.
    """
    logits = classification.log_probabilities(probabilities) / temperature
    return with_winner(softmax(logits, axis=1), probabilities.argmax(axis=1))


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature from 1/10 to 10 at which the labels are the most likely.

    Args:
        probabilities: [examples, classes], of images that trained nothing.
        labels: int [examples].

    Returns:
        One of the bounds where the NLL falls up to it; 1 where all are as good.

    Raises:
        RuntimeError: the search has not converged.
    """
    logs = classification.log_probabilities(probabilities)
    of_labels = logs[np.arange(len(labels)), labels]

    def slope(log_temperature: float) -> float:
        """The NLL's derivative by b = 1/T: the mean of log p less that of the labels.

        In b the NLL is convex, so that this rises with b and falls with T.
        """
        scaled = softmax(logs * np.exp(-log_temperature), axis=1)
        return float(np.mean(np.sum(scaled * logs, axis=1) - of_labels))

    most = np.log(MOST_TEMPERATURE)
    sharpest, flattest = slope(-most), slope(most)
    if max(abs(sharpest), abs(flattest)) <= _FLAT:
        return 1.0
    if sharpest <= _FLAT:
        return 1 / MOST_TEMPERATURE
    if flattest >= -_FLAT:
        return MOST_TEMPERATURE
    found = root_scalar(slope, bracket=(-most, most))
    if not found.converged:
        raise RuntimeError(f"no temperature was found: {found.flag}")
    return float(np.exp(found.root))
