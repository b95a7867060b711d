"""Weights of an ensemble's members, fitted on images that trained none of them.

A fit takes logits [members, examples, classes] and labels int [examples], and returns
float64 [members], none negative, summing to 1. The weights are those of probabilities.
The likelihood of the labels then depends on the members' probabilities of the true
classes alone, of which the logarithms are kept: `log_of_labels`, [members, examples].
"""

from collections.abc import Callable

import numpy as np

from mothernets_jax.metrics import classification
from mothernets_jax.metrics.mixture import fit_mixture
from mothernets_jax.metrics.probabilities import label_log_probabilities

GREEDY_ROUNDS = 50


def weighted(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights in proportion to the members' accuracies; equal where none is right.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].

    Returns:
        float64 [members], none negative, summing to 1.

    References:
        Opitz and Shavlik, Generating accurate and diverse members of a neural-network
        ensemble. NIPS 1995.
    """
    accuracies = np.array(
        [1 - classification.error(scores, labels) for scores in logits]
    )
    return _normalised(accuracies if accuracies.any() else np.ones(len(logits)))


def greedy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights by ensemble selection: members are added one by one, also repeatedly.

    The first are those that are best alone, as many of them as are best together. Then
    each of `GREEDY_ROUNDS` rounds adds the member with which the mean of the
    probabilities has the least NLL. Of all these collections the best one counts.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].

    Returns:
        float64 [members], none negative, summing to 1.

    References:
        Caruana, Niculescu-Mizil, Crew, Ksikes, Ensemble selection from libraries of
        models. ICML 2004, sections 2.1 and 2.2 (without the bags of members of its
        section 2.3; the measure is NLL).
    """
    log_of_labels = label_log_probabilities(logits, labels)
    members = len(log_of_labels)
    ranked = np.argsort(-log_of_labels.mean(axis=1), kind="stable")
    # An example's common factor changes no choice: its best member's becomes 1.
    of_labels = np.exp(log_of_labels - log_of_labels.max(axis=0))
    sizes = np.arange(1, members + 1)
    together = _nll(np.cumsum(of_labels[ranked], axis=0) / sizes[:, None])
    counts = np.zeros(members)
    counts[ranked[: sizes[together.argmin()]]] = 1

    best, least = counts.copy(), together.min()
    total = counts @ of_labels
    for _ in range(GREEDY_ROUNDS):
        nlls = _nll((total + of_labels) / (counts.sum() + 1))
        chosen = nlls.argmin()
        counts[chosen] += 1
        total = total + of_labels[chosen]
        if nlls[chosen] < least:
            best, least = counts.copy(), nlls[chosen]
    return _normalised(best)


def super_learner(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights under which the labels are the most likely, see `metrics.mixture`.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].

    Returns:
        float64 [members], none negative, summing to 1.

    References:
        van der Laan, Polley, Hubbard, Super learner. Statistical Applications in
        Genetics and Molecular Biology, 2007.
    """
    return fit_mixture(label_log_probabilities(logits, labels))


# Combinations that `predict` and the configs may name, given a calibration split.
FITS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "weighted": weighted,
    "greedy": greedy,
    "super_learner": super_learner,
}


def _nll(of_labels: np.ndarray) -> np.ndarray:
    """NLL [...] of likelihoods [..., examples] of the true classes."""
    return -np.mean(classification.log_probabilities(of_labels), axis=-1)


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()
