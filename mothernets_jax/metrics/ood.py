"""Whether images of another kind are told from known ones by the predictions' doubt.

Axes: [examples, classes] probabilities of images in and out of distribution.
"""

import numpy as np
from scipy.stats import rankdata

from mothernets_jax.metrics.classification import entropy
from mothernets_jax.metrics.probabilities import remaining_probability


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Probability that an outside score is the higher of two, ties counting half.

    The area under the receiver operating characteristic, by the Mann-Whitney statistic.

    Args:
        inside: [examples], scores of images in distribution.
        outside: [other examples], of images out of distribution.
    """
    ranks = rankdata(np.concatenate([inside, outside]))[len(inside) :]
    wins = ranks.sum() - len(outside) * (len(outside) + 1) / 2
    return float(wins / (len(inside) * len(outside)))


def auroc_max_probability(inside: np.ndarray, outside: np.ndarray) -> float:
    """The same with 1 - the highest probability, the sum of the others, as score.

    Args:
        inside: [examples, classes].
        outside: [other examples, classes].

    References: Hendrycks and Gimpel, A baseline for detecting misclassified and
    out-of-distribution examples in neural networks. ICLR 2017.
    """
    return auroc(remaining_probability(inside), remaining_probability(outside))


def auroc_entropy(inside: np.ndarray, outside: np.ndarray) -> float:
    """The same with the prediction's entropy as score.

    Args:
        inside: [examples, classes].
        outside: [other examples, classes].

    References: Lakshminarayanan, Pritzel, Blundell, Simple and scalable predictive
    uncertainty estimation using deep ensembles. NIPS 2017.
    """
    return auroc(entropy(inside), entropy(outside))
