"""How uncertain the members of an ensemble are about each example, and why.

The uncertainty of the averaged prediction has two parts: that which every member has by
itself, as of an image that could be of two classes, and that which comes from the
members' differences, as of an image unlike those that trained them.

Axes: [members, examples, classes].
"""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from mothernets_jax.metrics.classification import entropy
from mothernets_jax.metrics.probabilities import label_log_probabilities


class Uncertainty(NamedTuple):
    """The uncertainty of an ensemble about each example, float64 [examples] each.

    Of a single member, the last three are 0.

    Attributes:
        entropy: entropy of the members' mean prediction, in nats, from 0 to
            log(classes): the total uncertainty.
        member_entropy: mean of the members' entropies, in nats: the part that is called
            aleatoric.
        mutual_information: `entropy` less `member_entropy`, in nats, from 0 to
            log(members): the part that is called epistemic, as more data would lessen
            it. It is the mean divergence (Kullback and Leibler's) of the members'
            predictions from their mean.
        disagreement: share of the pairs of members that predict different classes, from
            0 to 1.
        spread: standard deviation, over members, of their probabilities of the class
            that the ensemble predicts, from 0 to 0.5.

    References: the two parts: Depeweg et al., Decomposition of uncertainty in Bayesian
    deep learning. ICML 2018. Mutual information: Houlsby et al., Bayesian active
    learning for classification and preference learning. arXiv 1112.5745, 2011. Both for
    ensembles: Lakshminarayanan, Pritzel, Blundell, Simple and scalable predictive
    uncertainty estimation using deep ensembles. NIPS 2017 (the entropy, and as
    disagreement the sum of the divergences). Disagreement of pairs: Skalak, The sources
    of increased accuracy for two proposed boosting algorithms. AAAI Workshops 1996.
    """

    entropy: np.ndarray
    member_entropy: np.ndarray
    mutual_information: np.ndarray
    disagreement: np.ndarray
    spread: np.ndarray


def uncertainty(logits: np.ndarray, predicted: np.ndarray) -> Uncertainty:
    """Measures the uncertainty of equally weighted members about each example.

    Args:
        logits: floats [members, examples, classes].
        predicted: int [examples], the class that the ensemble predicts.

    Two members that are certain of different classes know nothing together:

    >>> logits = np.array([[[50.0, 0.0]], [[0.0, 50.0]]])
    >>> found = uncertainty(logits, np.array([0]))
    >>> [float(own[0].round(3)) for own in found]
    [0.693, 0.0, 0.693, 1.0, 0.5]
    """
    total, of_members = entropies(logits)
    return Uncertainty(
        total,
        of_members,
        np.maximum(total - of_members, 0),  # less by rounding alone
        disagreement_of_pairs(logits),
        spread(logits, predicted),
    )


def entropies(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The entropy of the members' mean prediction, and the mean of their entropies.

    Args:
        logits: floats [members, examples, classes].

    Returns:
        float64 [examples] each, in nats.
    """
    members, examples, classes = logits.shape
    mean, mean_entropy = np.zeros((examples, classes)), np.zeros(examples)
    for own in logits:  # one at a time: all of them in float64 might not fit
        probabilities = softmax(own.astype(np.float64), axis=1)
        mean += probabilities / members
        mean_entropy += entropy(probabilities) / members
    return entropy(mean), mean_entropy


def disagreement_of_pairs(logits: np.ndarray) -> np.ndarray:
    """Share of the pairs of members that predict different classes, for each example.

    Its mean over examples is that of `diversity.disagreement` over pairs.

    Args:
        logits: floats [members, examples, classes].

    Returns:
        float64 [examples]; 0 for a single member.
    """
    members, examples, classes = logits.shape
    votes = np.zeros((examples, classes))
    for own in logits:
        votes[np.arange(examples), own.argmax(axis=1)] += 1
    # Of the ordered pairs, those that differ; each member votes like itself.
    differing = members**2 - np.square(votes).sum(axis=1)
    return differing / max(1, members * (members - 1))


def spread(logits: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Standard deviation, over members, of the probability of a class.

    The sum of squares is divided by the number of members.

    Args:
        logits: floats [members, examples, classes].
        predicted: int [examples], the class of each example.

    Returns:
        float64 [examples].
    """
    # Less 1, which keeps what parts probabilities near 1.
    return np.expm1(label_log_probabilities(logits, predicted)).std(axis=0)
