"""Measures of how much the members of an ensemble differ.

Axes: [members, examples, classes].

Pairs of members are unordered; with one member there are none, and a mean over them is
None.
"""

import numpy as np

from mothernets_jax.metrics.probabilities import label_log_probabilities
from mothernets_jax.metrics.uncertainty import entropies


def disagreement(logits: np.ndarray) -> np.ndarray:
    """Share of the examples on which two members predict different classes.

    Args:
        logits: floats [members, examples, classes].

    Returns:
        float64 [members, members], symmetric, with zeros on the diagonal.

    References: Skalak, The sources of increased accuracy for two proposed boosting
    algorithms. AAAI Workshops 1996.
    """
    classes = logits.argmax(axis=-1)
    return np.stack([np.mean(classes != own, axis=1) for own in classes])


def covariance(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Covariance, over examples, of two members' probabilities of the true class.

    The sum of products is divided by the number of examples. The covariance's mean over
    pairs is the part of the ensemble's squared error that more members would not
    average away: the lower, the more diverse.

    Args:
        logits: floats [members, examples, classes].
        labels: int [examples], the true classes.

    Returns:
        float64 [members, members], symmetric, with variances on the diagonal.

    References: Ueda and Nakano, Generalization error of ensemble estimators. ICNN 1996.
    Brown, Wyatt, Tino, Managing diversity in regression ensembles. JMLR 2005.
    """
    # Less 1, which keeps what parts probabilities near 1.
    of_labels = np.expm1(label_log_probabilities(logits, labels))
    centred = of_labels - of_labels.mean(axis=1, keepdims=True)
    return centred @ centred.T / len(labels)


def mean_over_pairs(matrix: np.ndarray) -> float | None:
    """Mean of the entries above the diagonal; None where there are none.

    Args:
        matrix: floats [members, members], an entry for each pair of members.
    """
    pairs = matrix[np.triu_indices(len(matrix), k=1)]
    return float(np.mean(pairs)) if len(pairs) else None


def mutual_information(logits: np.ndarray) -> float:
    """Entropy of the members' mean prediction less the mean of their entropies.

    It is the part of the uncertainty that comes from the members' disagreement: the
    mean over examples, in nats, from 0 to log(members). For each example it is in
    `uncertainty.uncertainty`.

    Args:
        logits: floats [members, examples, classes].

    References: Depeweg et al., Decomposition of uncertainty in Bayesian deep learning.
    ICML 2018. Its use for ensembles: Malinin, Mlodozeniec, Gales, Ensemble distribution
    distillation. ICLR 2020.
    """
    total, of_members = entropies(logits)
    # Rounding alone would make it less than 0.
    return max(0.0, float(np.mean(total - of_members)))
