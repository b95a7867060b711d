"""Calibration of probabilities: its error, and a temperature that lessens it.

Everything here concerns the top label: the highest probability, called the confidence,
and how often its class is the right one.

Axes: [examples, classes] probabilities, [bins].

References: Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks. ICML
2017. Halves of the test examples: Ashukha, Lyzhov, Molchanov, Vetrov, Pitfalls of
In-Domain Uncertainty Estimation and Ensembling in Deep Learning. ICLR 2020.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import softmax

from mothernets_jax.metrics import classification
from mothernets_jax.metrics.probabilities import remaining_probability, with_winner

NUM_BINS = 15
# In which the test examples are halved where no others are kept for the temperature.
NUM_HALVINGS = 5
# A temperature is looked for from 1/10 to 10. Without bounds it would fall to 0 where
# every example is right, and make certainties of all predictions.
MOST_TEMPERATURE = 10.0
# Slopes of the NLL below this, in nats, are due to rounding.
_FLAT = 1e-13


class Bins(NamedTuple):
    """The data of a reliability diagram; both means of an empty bin are 0.

    Attributes:
        confidence: float64 [bins], the mean of the highest probabilities.
        accuracy: float64 [bins], the share of examples that are right.
        count: int [bins], the number of examples.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def reliability(
    probabilities: np.ndarray, labels: np.ndarray, *, adaptive: bool = False
) -> Bins:
    """Sorts examples by confidence into the `NUM_BINS` bins of a reliability diagram.

    Args:
        probabilities: floats [examples, classes], rows summing to 1.
        labels: int [examples], the true classes.
        adaptive: whether bins hold equally many examples, rather than being of equal
            width. The upper edge belongs to a bin. Equal confidences share a bin; near
            1, where floats round, examples do that leave equally much to the other
            classes.

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
    """Expected calibration error: the mean, over examples, of the gap in their bin.

    The gap is that between accuracy and mean confidence. With adaptive bins this is the
    adaptive calibration error.

    Args:
        bins: the reliability diagram, from `reliability`.
    """
    gaps = np.abs(bins.accuracy - bins.confidence)
    return float(np.sum(bins.count * gaps) / np.sum(bins.count))


def rescale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Rescales probabilities p to softmax(log p / T), which is less sure for T above 1.

    For one network this is temperature scaling of its logits; here it applies to what
    an ensemble predicts.

    Args:
        probabilities: floats [examples, classes], rows summing to 1.
        temperature: T, above 0.

    Returns:
        float64 [examples, classes], rows summing to 1, with the same likeliest classes.
    """
    logits = classification.log_probabilities(probabilities) / temperature
    return with_winner(softmax(logits, axis=1), probabilities.argmax(axis=1))


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Fits the temperature, from 1/10 to 10, at which the labels are the most likely.

    Args:
        probabilities: floats [examples, classes], rows summing to 1, of images that
            nothing was trained on.
        labels: int [examples], the true classes.

    Returns:
        The temperature: a bound where the NLL falls all the way to it, and 1 where all
        temperatures are equally good.

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


def calibrated_nll(
    probabilities: np.ndarray,
    labels: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
) -> float:
    """The negative log-likelihood at a temperature fitted on other examples, in nats.

    Args:
        probabilities: floats [examples, classes], rows summing to 1.
        labels: int [examples], the true classes.
        held_out: probabilities and labels of other examples, on which the temperature
            is fitted. None for none: the examples are halved at random in
            `NUM_HALVINGS` ways, always the same ones; each half is judged at the
            temperature that fits the other, and the mean is returned.
    """
    if held_out is not None:
        rescaled = rescale(probabilities, fit_temperature(*held_out))
        return classification.nll(rescaled, labels)
    if len(labels) < 2:  # no halves
        return classification.nll(probabilities, labels)
    generator, found = np.random.default_rng(0), []
    for _ in range(NUM_HALVINGS):
        halves = np.array_split(generator.permutation(len(labels)), 2)
        of_labels = np.empty(len(labels))
        for half, other in (halves, halves[::-1]):
            temperature = fit_temperature(probabilities[other], labels[other])
            rescaled = rescale(probabilities[half], temperature)
            of_labels[half] = rescaled[np.arange(len(half)), labels[half]]
        found.append(-np.mean(classification.log_probabilities(of_labels)))
    return float(np.mean(found))
