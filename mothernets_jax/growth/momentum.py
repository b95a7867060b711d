"""Hatch the optimiser's momentum: the gradients that a member would have seen.

Where every copy of a channel has an equal share, the gradient that reaches a copy is
the original's divided by the number of copies, while what a copied channel hands on is
the original's value. So the gradients of a grown layer are its MotherNet's, copied
along the inputs and divided among the copies of each output,

    m'[.., i, o] = m[.., incoming.source[i], outgoing.source[o]] / copies[o],

and a momentum, their sum over past steps, likewise. With random shares the gradients of
copies differ, and this is their mean over the draws.
"""

import jax
import jax.numpy as jnp

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import Norm, Weight
from mothernets_jax.growth.channels import FRESH, ChannelMap, grow_vector, restrict
from mothernets_jax.growth.walk import (
    Origin,
    Walk,
    grown_kernel,
    kernel_shape,
    walk_along,
)
from mothernets_jax.utils.pytrees import named_key


def hatch_momentum(
    momentum: dict, mother: Architecture, member: Architecture, key: jax.Array
) -> dict:
    """A member's momentum, from its MotherNet's.

    It is exact, the same linear map that takes the MotherNet's gradients to the
    member's, where copies share equally and gradients are those of evaluation mode (in
    train mode a normalisation behind an inserted identity layer changes gradients, not
    values). What is new has none yet: it is 0 for inserted layers, for the new taps of
    larger filters, and for fresh channels. Two more approximations: the part that
    weight decay adds is treated like the rest, and where one dense layer becomes
    several, each of their normalisations takes an equal part of its normalisation's.

    Args:
        momentum: the mother's, a tree like its parameters.
        mother: its architecture.
        member: the architecture to grow.
        key: that of `hatching.hatch`, so that the same channels are copied.

    Returns:
        A tree like the member's parameters.

    Raises:
        ValueError: the member cannot be grown from the mother.
    """
    dtype = jax.tree.leaves(momentum)[0].dtype
    copies = named_key(key, "hatch", "copies")
    walk = walk_along(momentum, mother, member, copies)
    grown = {}
    for operation in member.operations():
        if isinstance(operation, Weight):
            origin = walk.origins[operation.name]
            continued = operation.name in walk.counterparts
            grown[operation.name] = _of_layer(operation, origin, continued, dtype)
        elif isinstance(operation, Norm):
            grown[operation.name] = _of_norm(operation, momentum, walk, dtype)
    return grown


def _of_layer(
    weight: Weight, origin: Origin, continued: bool, dtype: jax.typing.DTypeLike
) -> dict:
    layer, incoming, outgoing = origin
    if layer is None or not continued:
        shape = kernel_shape(weight, origin)
        grown = {"kernel": jnp.zeros(shape, dtype)}
        return {**grown, "bias": jnp.zeros(shape[-1], dtype)} if weight.bias else grown
    shares = jnp.outer(incoming.source != FRESH, _output_shares(outgoing, dtype))
    grown = {"kernel": grown_kernel(weight, origin, shares)}
    if weight.bias:
        grown["bias"] = _divided(layer["bias"], outgoing)
    return grown


def _of_norm(
    norm: Norm, momentum: dict, walk: Walk, dtype: jax.typing.DTypeLike
) -> dict:
    channel_map = walk.maps[norm.name]
    if norm.name not in walk.counterparts:
        zeros = jnp.zeros(channel_map.source.shape[0], dtype)
        return {"scale": zeros, "bias": zeros}
    name = walk.counterparts[norm.name]
    channel_map = restrict(channel_map, momentum[name]["scale"].shape[0])
    # A dense layer that becomes several: each makes a part of its channels.
    parts = list(walk.counterparts.values()).count(name)
    return jax.tree.map(
        lambda leaf: _divided(leaf, channel_map) / parts, momentum[name]
    )


def _divided(vector: jax.Array, channel_map: ChannelMap) -> jax.Array:
    """A bias's or a scale's, [mother channels] to [member channels]."""
    shares = _output_shares(channel_map, vector.dtype)
    return shares * grow_vector(vector, channel_map)


def _output_shares(channel_map: ChannelMap, dtype: jax.typing.DTypeLike) -> jax.Array:
    """1 / copies of each member channel's original; 0 for a fresh one."""
    copied = channel_map.source != FRESH
    source = jnp.where(copied, channel_map.source, 0)
    copies = jax.ops.segment_sum(
        copied.astype(dtype), source, max(1, channel_map.mother_channels)
    )
    return jnp.where(copied, 1 / jnp.maximum(copies[source], 1), 0).astype(dtype)
