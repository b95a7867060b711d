"""What is minimised, and what is counted beside it, on one batch.

Axes: [batch, classes] logits.
"""

from typing import NamedTuple

import jax
import optax

from mothernets_jax.architectures import Architecture


class Distillation(NamedTuple):
    """How a trained network teaches others; static.

    The loss is (1 - share) of the labels' cross-entropy, plus share x temperature^2 x
    the divergence KL(teacher || student) of both softmaxes at the temperature.

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


def smoothed_cross_entropy(
    logits: jax.Array, labels: jax.Array, smoothing: jax.typing.ArrayLike
) -> jax.Array:
    """Cross-entropy against labels of which a share is spread over all classes.

    Args:
        logits: [batch, classes].
        labels: int [batch].
        smoothing: that share, 0 to below 1; may be traced.

    Returns:
        [batch].
    """
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    spread = -jax.nn.log_softmax(logits).mean(-1)
    # So written, a share of 0 changes no bit.
    return losses + smoothing * (spread - losses)


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
