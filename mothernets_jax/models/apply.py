"""Passes of a network: from normalised images to logits."""

import contextlib
from collections.abc import Iterator
from typing import Any

import flax.errors
import jax
import jax.numpy as jnp

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import (
    check_architecture,
    check_images,
)
from mothernets_jax.architectures.operations import (
    HEAD,
)
from mothernets_jax.models.network import INTERMEDIATES, Network
from mothernets_jax.models.variables import Variables, check_variables
from mothernets_jax.utils.messages import short_repr


@contextlib.contextmanager
def misfits_explained(architecture: Architecture, images: Any) -> Iterator[None]:
    """Turns Flax's errors about variables that do not fit into a clear ValueError.

    Args:
        architecture: the network that is run within this context.
        images: [batch, height, width, channels], whose shape the message tells.
    """
    try:
        yield
    except (
        flax.errors.ScopeParamShapeError,
        flax.errors.ScopeParamNotFoundError,
        flax.errors.ScopeCollectionNotFound,
    ) as error:
        reason = str(error).partition(" (https")[0]
        raise ValueError(
            f"the variables do not fit {short_repr(str(architecture))} on images of "
            f"(height, width, channels) {tuple(images.shape[1:])}: {reason} "
            "Expected images of the shape that mn.init was given"
        ) from error


def apply(
    architecture: Architecture,
    variables: Variables,
    images: jax.Array,
    *,
    train: bool = False,
    dtype: jax.typing.DTypeLike | None = None,
) -> jax.Array:
    """Computes logits [batch, classes], in the dtype of the variables.

    Args:
        architecture: the network.
        variables: `{"params": ..., "batch_stats": ...}`.
        images: float [batch, height, width, channels], already normalised.
        train: whether batch normalisation uses the batch's own statistics instead of
            the running ones. New running statistics are dropped: to train, call
            `apply_train`, which returns them.
        dtype: dtype in which hidden layers compute; None for that of the variables.

    Raises:
        ValueError: no batch of normalised images, variables of another network or for
            images of another shape, or `train` with a batch normalisation that sees one
            value a channel.
    """
    check_architecture(architecture)
    check_variables(architecture, variables)
    check_images(images)
    with misfits_explained(architecture, images):
        logits, _ = _forward(
            architecture, variables, images, train, mutable=train, dtype=dtype
        )
    return logits


def apply_and_update(
    architecture: Architecture,
    variables: Variables,
    images: jax.Array,
    *,
    dtype: jax.typing.DTypeLike | None = None,
    batch_axis: str | None = None,
    first: int = 0,
    stop: int | None = None,
) -> tuple[jax.Array, dict]:
    """Runs the training pass of a network, or of a part of it.

    Args:
        architecture: the network.
        variables: `{"params": ..., "batch_stats": ...}`; a part of the network needs
            only its own.
        images: float [batch, height, width, channels], already normalised; for a part,
            the value that its first operation reads.
        dtype: dtype in which hidden layers compute; None for that of the variables.
        batch_axis: name of the mapped axis over which the batch is divided, the
            statistics being those of the whole batch; None for a batch in one piece.
        first: index of the part's first operation.
        stop: index of the operation behind the part's last; None for all that follow.

    Returns:
        Logits [batch, classes], or the value that the part's last operation makes; and
        the new `batch_stats`, `{}` without batch normalisation.
    """
    logits, state = _forward(
        architecture,
        variables,
        images,
        True,
        mutable=["batch_stats"],
        dtype=dtype,
        batch_axis=batch_axis,
        first=first,
        stop=stop,
    )
    return logits, state.get("batch_stats", {})


def intermediates(
    architecture: Architecture, variables: Variables, images: jax.Array
) -> dict[str, jax.Array]:
    """Computes what each operation makes in a training pass.

    Args:
        architecture: the network.
        variables: `{"params": ..., "batch_stats": ...}`.
        images: float [batch, height, width, channels], already normalised.

    Returns:
        [batch, height, width, channels] or [batch, channels] of the images and of each
        operation, by name.
    """
    mutable = ["batch_stats", INTERMEDIATES]
    _, state = _forward(architecture, variables, images, True, mutable=mutable)
    (values,) = state[INTERMEDIATES]["values"]
    return values


def _forward(
    architecture, variables, images, train, *, mutable, **of_network
) -> tuple[Any, Any]:
    params = variables["params"]
    classes = params[HEAD]["bias"].shape[0] if HEAD in params else 0  # a part without
    network = Network(architecture, classes, **of_network)
    if not of_network.get("first"):
        images = jnp.asarray(images, jax.tree.leaves(params)[0].dtype)
    result: Any = network.apply(variables, images, train=train, mutable=mutable)
    return result if mutable else (result, {})
