"""Weights of an ensemble's members, fitted on images that trained none of them.

A fit takes logits [members, examples, classes] and labels int [examples], and returns
float64 [members], none negative, summing to 1. What they weigh is probabilities. The
likelihood of the labels then depends on the members' probabilities of the true classes
alone: `of_labels`, [members, examples].
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from mothernets_jax import metrics

GREEDY_ROUNDS = 50


def weighted(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each member by its accuracy, as a share of the sum; equal where none is right.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].

    References: Opitz and Shavlik, Generating accurate and diverse members of a
    neural-network ensemble. NIPS 1995.
    """
    accuracies = np.array([1 - metrics.error(scores, labels) for scores in logits])
    return _normalised(accuracies if accuracies.any() else np.ones(len(logits)))


def greedy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Ensemble selection: members are added one by one, the same ones again at will.

    The first are the best alone, as many of them as are best together. Then each of
    `GREEDY_ROUNDS` rounds adds the member with which the mean of the probabilities has
    the least NLL. Of all these collections the best one counts.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].

    References: Caruana, Niculescu-Mizil, Crew, Ksikes, Ensemble selection from
    libraries of models. ICML 2004, sections 2.1 and 2.2 (without the bags of
    members of its section 2.3; the measure is NLL).
    """
    of_labels = metrics.label_probabilities(logits, labels)
    members = len(of_labels)
    ranked = np.argsort(_nll(of_labels), kind="stable")
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
    """The weights under which the labels are the most likely: a convex problem.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].

    References: van der Laan, Polley, Hubbard, Super learner. Statistical Applications
    in Genetics and Molecular Biology, 2007. Kim, Carbonetto, Stephens, Anitescu, A fast
    algorithm for maximum likelihood estimation of mixture proportions. JCGS 2020,
    proposition 3.2: why the sum needs no constraint.
    """
    of_labels = metrics.label_probabilities(logits, labels)
    of_labels = np.maximum(of_labels, metrics.LEAST_PROBABILITY)
    members, examples = of_labels.shape

    # Adding the sum of the weights w to their NLL makes the least point sum to 1: along
    # w the derivative of NLL(w) = -mean log(w . p) is -1, and that of the sum is sum w.
    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(weights @ of_labels, metrics.LEAST_PROBABILITY)
        gradient = 1 - of_labels @ (1 / mixed) / examples
        return float(weights.sum() - np.mean(np.log(mixed))), gradient

    found = minimize(
        objective,
        np.full(members, 1 / members),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 1)] * members,
        options={"maxiter": 10_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return _normalised(found.x)


# What `predict` and the configs may ask for where there is a calibration split.
FITS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "weighted": weighted,
    "greedy": greedy,
    "super_learner": super_learner,
}


def _nll(of_labels: np.ndarray) -> np.ndarray:
    """[...], of probabilities [..., examples] of the true classes."""
    return -np.mean(metrics.log_probabilities(of_labels), axis=-1)


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()
