"""Measures of how well the predictions' doubt tells images of another kind apart.

Axes: [examples, classes] probabilities of images in distribution, inside, and out of
it, outside.
"""

import numpy as np

from mothernets_jax.metrics.classification import entropy
from mothernets_jax.metrics.probabilities import remaining_probability


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Probability that an outside score exceeds an inside one, ties counting half.

    It is the area under the receiver operating characteristic, computed as the
    Mann-Whitney statistic.

    Args:
        inside: floats [examples], scores of images in distribution.
        outside: floats [other examples], scores of images out of distribution.
    """
    ordered = np.sort(inside)
    below, not_above = (
        np.searchsorted(ordered, outside, side) for side in ("left", "right")
    )
    wins = (below.sum() + not_above.sum()) / 2
    return float(wins / (len(inside) * len(outside)))


def auroc_max_probability(inside: np.ndarray, outside: np.ndarray) -> float:
    """AUROC with 1 minus the highest probability, the sum of the others, as score.

    Args:
        inside: floats [examples, classes], probabilities of images in distribution.
        outside: floats [other examples, classes], probabilities of images out of
            distribution.

    References: Hendrycks and Gimpel, A baseline for detecting misclassified and
    out-of-distribution examples in neural networks. ICLR 2017.
    """
    return auroc(remaining_probability(inside), remaining_probability(outside))


def auroc_entropy(inside: np.ndarray, outside: np.ndarray) -> float:
    """AUROC with the entropy of the prediction as score.

    Args:
        inside: floats [examples, classes], probabilities of images in distribution.
        outside: floats [other examples, classes], probabilities of images out of
            distribution.

    References: Lakshminarayanan, Pritzel, Blundell, Simple and scalable predictive
    uncertainty estimation using deep ensembles. NIPS 2017.
    """
    return auroc(entropy(inside), entropy(outside))
