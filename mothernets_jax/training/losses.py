"""The loss that is minimised, and the accuracy that is counted beside it, of a batch.

Axes: logits are [batch, classes].
"""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
import optax

from mothernets_jax.architectures import Architecture
from mothernets_jax.training.step_spec import Targets


@dataclasses.dataclass(frozen=True)
class CrossEntropy:
    """The labels' cross-entropy as a loss of training, a `step_spec.Loss`."""

    @property
    def references(self) -> tuple[Architecture, ...]:
        """Empty, as this loss needs nothing but labels."""
        return ()

    def __call__(self, logits: jax.Array, targets: Targets) -> jax.Array:
        """Losses [batch] of logits [batch, classes]."""
        return cross_entropy(logits, targets)


def cross_entropy(logits: jax.Array, targets: Targets) -> jax.Array:
    """Cross-entropy [batch] of the labels, smoothed and weighted as the targets say."""
    return smoothed_cross_entropy(
        logits, targets.labels, targets.label_smoothing, targets.class_weights
    )


def balanced_class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights with which all classes count the same in a loss.

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
        smoothing: share of a label that is spread, 0 to below 1; may be traced.
        class_weights: [classes], a factor on the loss of each example by its label's
            class; None for a program without such a factor.

    Returns:
        Losses, float [batch].
    """
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    spread = -jax.nn.log_softmax(logits).mean(-1)
    # So written, a share of 0 changes no bit.
    losses = losses + smoothing * (spread - losses)
    return losses if class_weights is None else losses * class_weights[labels]


def over_labels(
    of_targets: Callable[[Targets], jax.Array], targets: Targets
) -> jax.Array:
    """A value of targets, as its mean by the shares where their labels are mixed.

    A loss with a part that has no label, such as a divergence from a teacher, keeps it:
    the shares add up to 1.

    Args:
        of_targets: the value of targets whose labels are not mixed, float [...].
        targets: the targets.

    References: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization".
    """
    partners = targets.partners
    own = of_targets(targets._replace(partners=None))
    if partners is None:
        return own
    other = of_targets(targets._replace(labels=partners.labels, partners=None))
    share = partners.own_share.astype(own.dtype)
    return share * own + (1 - share) * other


def accuracy(logits: jax.Array, targets: Targets) -> jax.Array:
    """Share of the batch whose highest logit is its label's.

    Of an image that is mixed with another, either label counts by its share: the
    highest logit is right for the share whose label it is.
    """

    def of_labels(unmixed: Targets) -> jax.Array:
        return (logits.argmax(-1) == unmixed.labels).mean(dtype=logits.dtype)

    return over_labels(of_labels, targets)
