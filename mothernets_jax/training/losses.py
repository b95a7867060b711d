"""What is minimised, and what is counted beside it, on one batch.

Axes: [batch, classes] logits.
"""

from typing import NamedTuple

import jax
import numpy as np
import optax

from mothernets_jax.architectures import Architecture


class Distillation(NamedTuple):
    """How a trained network teaches others; static.

    The loss is (1 - share) of the labels' cross-entropy, plus share x temperature^2 x
    the divergence KL(teacher || student) of both softmaxes at the temperature. Class
    weights apply to the labels' part alone: the divergence has no label, and is least
    where the student answers as its teacher, which was trained with the weights.

    Attributes:
        teacher: the trained network's name.
        architecture: the teacher's.
        temperature: that softens both predictions.
        share: of the loss that is the teacher's, 0 to 1.

    References: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural
    Network".
    """

    teacher: str
    architecture: Architecture
    temperature: float
    share: float


def balanced_class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights of the classes with which all of them count the same in a loss.

    A class's weight is examples / (classes x examples of the class), so that the mean
    weight of the examples is 1, and a loss keeps its size.

    Args:
        labels: int [examples], each class at least once.
        num_classes: number of classes.

    Returns:
        float32 [classes].

    References: King and Zeng 2001, "Logistic Regression in Rare Events Data";
    scikit-learn's `class_weight="balanced"`.

    >>> balanced_class_weights(np.array([0, 0, 0, 1]), 2).round(3).tolist()
    [0.667, 2.0]
    """
    counts = np.bincount(labels, minlength=num_classes)
    assert counts.min() > 0, "a class without examples has no weight"
    return (len(labels) / (num_classes * counts)).astype(np.float32)


def smoothed_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    smoothing: jax.typing.ArrayLike,
    class_weights: jax.Array | None = None,
) -> jax.Array:
    """Cross-entropy against labels of which a share is spread over all classes.

    The mean of weighted losses over a batch is their sum divided by the number of
    examples, not by the sum of their weights: its expectation is then the weighted loss
    over the whole data set, whichever examples a batch happens to hold.

    Args:
        logits: [batch, classes].
        labels: int [batch].
        smoothing: that share, 0 to below 1; may be traced.
        class_weights: [classes], a factor on the loss of each example by its label's
            class; None for no factor, and for the program that has none.

    Returns:
        [batch].
    """
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    spread = -jax.nn.log_softmax(logits).mean(-1)
    # So written, a share of 0 changes no bit.
    losses = losses + smoothing * (spread - losses)
    return losses if class_weights is None else losses * class_weights[labels]


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of the batch whose highest logit is its label's."""
    return (logits.argmax(-1) == labels).mean(dtype=logits.dtype)


def distilled(
    losses: jax.Array,
    logits: jax.Array,
    taught: jax.Array,
    distillation: Distillation,
) -> jax.Array:
    """The losses of a taught network, [batch].

    Args:
        losses: against the labels, [batch].
        logits: [batch, classes].
        taught: the teacher's logits, [batch, classes].
        distillation: how it teaches.
    """
    _, _, temperature, share = distillation
    predicted = jax.nn.log_softmax(logits / temperature)
    target = jax.nn.log_softmax(taught / temperature)
    divergence = optax.losses.kl_divergence_with_log_targets(predicted, target)
    return (1 - share) * losses + share * temperature**2 * divergence
