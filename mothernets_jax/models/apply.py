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
    """Says in our words where variables and images do not fit each other."""
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
    """Logits [batch, classes], in the dtype of the variables.

    Args:
        architecture: the network.
        variables: `{"params": ..., "batch_stats": ...}`.
        images: float [batch, height, width, channels], already normalised.
        train: batch normalisation by the batch's own statistics instead of the running
            ones. New running statistics are dropped: to train, call `apply_train`,
            which returns them.
        dtype: in which hidden layers compute; None for that of the variables.

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
    """The training pass: logits [batch, classes] and the new running statistics.

    Args:
        architecture: the network.
        variables: `{"params": ..., "batch_stats": ...}`; a part needs its own only.
        images: float [batch, height, width, channels], already normalised; of a part,
            what it reads.
        dtype: in which hidden layers compute; None for that of the variables.
        batch_axis: see `Network`.
        first: see `Network`.
        stop: see `Network`.
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
    """What each operation makes in a training pass, by its name.

    Returns:
        [batch, height, width, channels] or [batch, channels] by operation.
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
