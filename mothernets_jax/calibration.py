"""Whether probabilities are frequencies, and a temperature that brings them closer.

All is about the top label: how often the class with the highest probability, the
confidence, is the right one. Axes: [examples, classes] probabilities, [bins].

References: Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks. ICML
2017.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from mothernets_jax import metrics

NUM_BINS = 15
# A temperature is looked for from 1/10 to 10. Without bounds it would fall to 0 where
# every example is right, and make certainties of all predictions.
MOST_TEMPERATURE = 10.0


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
            parted), rather than bins of equal width. The upper edge belongs to a bin.

    References: adaptive bins: Nguyen and O'Connor, EMNLP 2015; Nixon et al., CVPR
    Workshops 2019.
    """
    confidence = np.max(probabilities, axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, NUM_BINS + 1)
    if adaptive:
        edges = np.quantile(confidence, edges)
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
        float32 [examples, classes], rows summing to 1.
    """
    logits = metrics.log_probabilities(probabilities) / temperature
    return softmax(logits, axis=1).astype(np.float32)


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature from 1/10 to 10 at which the labels are the most likely.

    Args:
        probabilities: [examples, classes], of images that trained nothing.
        labels: int [examples].
    """
    logs = metrics.log_probabilities(probabilities)

    def nll(log_temperature: float) -> float:
        scaled = softmax(logs * np.exp(-log_temperature), axis=1)
        return metrics.nll(scaled, labels)

    # In 1/T the NLL is convex, so in log T it has one valley.
    most = np.log(MOST_TEMPERATURE)
    found = minimize_scalar(nll, bounds=(-most, most), method="bounded")
    return float(np.exp(found.x))
