"""Hatch the optimiser's state, as if the member's own gradients had made it.

Where every copy of a channel has an equal share, the gradient that reaches a copy is
the original's divided by the number of copies, while a copied channel hands on the
original's value. So the gradients of a grown layer are its MotherNet's, copied along
the inputs and divided among the copies of each output:

    m'[.., i, o] = m[.., incoming.source[i], outgoing.source[o]] / copies[o]

A momentum, their sum over past steps, grows in the same way. With random shares the
gradients of copies differ, and this is their mean over the draws. A second moment, a
mean of squared gradients, grows by the squares of the same factors; a counter of steps
is copied.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import Norm, Weight
from mothernets_jax.growth.channels import (
    FRESH,
    ChannelMap,
    Growth,
    grow_vector,
    restrict,
)
from mothernets_jax.growth.walk import (
    Origin,
    Walk,
    grown_kernel,
    kernel_shape,
    walk_along,
)
from mothernets_jax.utils.pytrees import named_key

# Kinds of an optimiser's slots, by which they are hatched. Trees like the parameters:
FIRST_MOMENT = "first moment"  # linear in the gradients
SECOND_MOMENT = "second moment"  # linear in their squares
COUNTER = "counter"  # a scalar that counts steps

_POWERS = {FIRST_MOMENT: 1, SECOND_MOMENT: 2}


def hatch_opt_state(
    opt_state: Mapping[str, Any],
    slots: Mapping[str, str],
    mother: Architecture,
    member: Architecture,
    key: jax.Array,
    *,
    growth: Growth = "copies",
    starts: Mapping[str, jax.typing.ArrayLike] | None = None,
) -> dict[str, Any]:
    """Grows a member's optimiser state from its MotherNet's.

    Args:
        opt_state: the MotherNet's optimiser state: a tree like its parameters, or a
            scalar, for each slot.
        slots: kind of each slot: `FIRST_MOMENT`, `SECOND_MOMENT` or `COUNTER`.
        mother: architecture of the MotherNet.
        member: the architecture to grow.
        key: the typed key that the member is hatched with, so that the same channels
            are copied.
        growth: what the new channels are, as the member is hatched.
        starts: the first channel that is copied, by the name of the channels, as the
            member is hatched; None draws them.

    Returns:
        For each slot, a tree like the member's parameters, or a scalar.

    Raises:
        ValueError: a slot is of another kind, or the member cannot be grown from the
            mother.
    """
    hatched = {}
    for name, value in opt_state.items():
        kind = slots.get(name)
        if kind == COUNTER:
            hatched[name] = value
        elif kind in _POWERS:
            power = _POWERS[kind]
            hatched[name] = hatch_moment(
                value, mother, member, key, power=power, growth=growth, starts=starts
            )
        else:
            raise ValueError(
                f"the optimiser's state has the slot {name!r}, whose kind is {kind!r}: "
                f"expected one of {FIRST_MOMENT!r}, {SECOND_MOMENT!r} or {COUNTER!r}, "
                "as nothing else can be hatched. Hatch without the optimiser's state"
            )
    return hatched


def hatch_moment(
    moment: dict,
    mother: Architecture,
    member: Architecture,
    key: jax.Array,
    *,
    power: int = 1,
    growth: Growth = "copies",
    starts: Mapping[str, jax.typing.ArrayLike] | None = None,
) -> dict:
    """Grows a member's moment of the gradients from its MotherNet's.

    The linear map is the one that takes the MotherNet's gradients (or, with its factors
    squared, the squares of single gradients) to the member's. It is exact where copies
    share equally and gradients are those of evaluation mode (in train mode a
    normalisation behind an inserted identity layer changes gradients, not values). The
    moment of all that is new is 0: of inserted layers, of the new taps of larger
    filters, and of fresh channels. There are two more approximations: the part that
    weight decay adds is treated like the rest, and where one layer of a DenseNet
    becomes several, each of their normalisations takes an equal part of the moment of
    the one layer's normalisation.

    Args:
        moment: the MotherNet's moment, a tree like its parameters.
        mother: architecture of the MotherNet.
        member: the architecture to grow.
        key: the typed key that the member is hatched with, so that the same channels
            are copied.
        power: power of the gradients in which the moment is linear: 1, or 2 for
            squares.
        growth: what the new channels are, as the member is hatched.
        starts: the first channel that is copied, by the name of the channels, as the
            member is hatched; None draws them.

    Returns:
        A tree like the member's parameters.

    Raises:
        ValueError: the member cannot be grown from the mother.
    """
    dtype = jax.tree.leaves(moment)[0].dtype
    key = named_key(key, "hatch", "copies")
    walk = walk_along(moment, mother, member, key, growth=growth, starts=starts)
    grown = {}
    for operation in member.operations():
        if isinstance(operation, Weight):
            origin = walk.origins[operation.name]
            continued = operation.name in walk.counterparts
            grown[operation.name] = _of_layer(
                operation, origin, continued, dtype, power
            )
        elif isinstance(operation, Norm):
            grown[operation.name] = _of_norm(operation, moment, walk, dtype, power)
    return grown


def _of_layer(
    weight: Weight,
    origin: Origin,
    continued: bool,
    dtype: jax.typing.DTypeLike,
    power: int,
) -> dict:
    layer, incoming, outgoing = origin
    if layer is None or not continued:
        shape = kernel_shape(weight, origin)
        grown = {"kernel": jnp.zeros(shape, dtype)}
        return {**grown, "bias": jnp.zeros(shape[-1], dtype)} if weight.bias else grown
    factors = _output_shares(outgoing, dtype) ** power
    shares = jnp.outer(incoming.source != FRESH, factors)
    grown = {"kernel": grown_kernel(weight, origin, shares)}
    if weight.bias:
        grown["bias"] = _divided(layer["bias"], outgoing, power)
    return grown


def _of_norm(
    norm: Norm, moment: dict, walk: Walk, dtype: jax.typing.DTypeLike, power: int
) -> dict:
    channel_map = walk.maps[norm.name]
    if norm.name not in walk.counterparts:
        zeros = jnp.zeros(channel_map.source.shape[0], dtype)
        return {"scale": zeros, "bias": zeros}
    name = walk.counterparts[norm.name]
    channel_map = restrict(channel_map, moment[name]["scale"].shape[0])
    # A dense layer that becomes several: each makes a part of its channels.
    parts = list(walk.counterparts.values()).count(name)
    return jax.tree.map(
        lambda leaf: _divided(leaf, channel_map, power) / parts**power, moment[name]
    )


def _divided(vector: jax.Array, channel_map: ChannelMap, power: int) -> jax.Array:
    """Grows the moment of a bias or a scale, [mother channels] to [member channels]."""
    shares = _output_shares(channel_map, vector.dtype) ** power
    return shares * grow_vector(vector, channel_map)


def _output_shares(channel_map: ChannelMap, dtype: jax.typing.DTypeLike) -> jax.Array:
    """1 / copies of the original of each member channel; 0 for a fresh channel."""
    copied = channel_map.source != FRESH
    source = jnp.where(copied, channel_map.source, 0)
    copies = jax.ops.segment_sum(
        copied.astype(dtype), source, max(1, channel_map.mother_channels)
    )
    return jnp.where(copied, 1 / jnp.maximum(copies[source], 1), 0).astype(dtype)
