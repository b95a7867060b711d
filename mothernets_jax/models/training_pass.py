"""The training pass, for training loops of one's own."""

import jax

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import check_architecture, check_images
from mothernets_jax.architectures.operations import Norm
from mothernets_jax.models.apply import apply_and_update, misfits_explained
from mothernets_jax.models.variables import Variables, check_variables


def apply_train(
    architecture: Architecture,
    variables: Variables,
    images: jax.Array,
    *,
    dtype: jax.typing.DTypeLike | None = None,
) -> tuple[jax.Array, dict]:
    """Computes logits and the running statistics after this batch, for training.

    Batch normalisation uses the batch's own mean and variance here, and the running
    ones in `apply`. A training step therefore needs both results: the gradient of a
    loss of the logits for the new parameters, and the new statistics as they are. (In
    Flax's words this is `apply(..., train=True, mutable=["batch_stats"])`.)

    Args:
        architecture: the network.
        variables: `{"params": ..., "batch_stats": ...}`, as `init` and `hatch` make.
        images: float [batch, height, width, channels], already normalised.
        dtype: dtype in which hidden layers compute; None for that of the variables.

    Returns:
        Logits [batch, classes], and the new `batch_stats`, which are `{}` for a network
        without batch normalisation.

    Raises:
        ValueError: no batch of normalised images, variables of another network or for
            images of another shape, or no running statistics among them.

    A step of gradient descent; jitted, it is all that a training loop needs:

    >>> import jax, jax.numpy as jnp, optax
    >>> import mothernets_jax as mn
    >>> network = mn.mlp((8,), batch_norm=True)
    >>> variables = mn.init(network, jax.random.key(0), (4, 4, 1), num_classes=2)
    >>> images = jax.random.normal(jax.random.key(1), (6, 4, 4, 1))
    >>> labels = jnp.array([0, 1, 0, 1, 0, 1])
    >>> def loss(params, batch_stats):
    ...     variables = {"params": params, "batch_stats": batch_stats}
    ...     logits, batch_stats = mn.apply_train(network, variables, images)
    ...     losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    ...     return losses.mean(), batch_stats
    >>> gradient = jax.grad(loss, has_aux=True)
    >>> grads, batch_stats = gradient(variables["params"], variables["batch_stats"])
    >>> params = jax.tree.map(lambda p, g: p - 0.1 * g, variables["params"], grads)
    >>> variables = {"params": params, "batch_stats": batch_stats}
    >>> mn.apply(network, variables, images).shape
    (6, 2)
    """
    check_architecture(architecture)
    check_variables(architecture, variables)
    check_images(images)
    _check_statistics(architecture, variables)
    with misfits_explained(architecture, images):
        return apply_and_update(architecture, variables, images, dtype=dtype)


def _check_statistics(architecture: Architecture, variables: Variables) -> None:
    """Refuses variables without running statistics, which would start anew each time.

    Raises:
        ValueError: the variables lack the statistics of a batch normalisation.
    """
    found = variables.get("batch_stats", {})
    for operation in architecture.operations():
        if isinstance(operation, Norm) and operation.name not in found:
            raise ValueError(
                f"the variables lack the running statistics of {operation.name!r}: "
                "expected {'params': ..., 'batch_stats': ...}, where 'batch_stats' are "
                "those of mn.init or mn.hatch, or of the step before"
            )
