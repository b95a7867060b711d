"""A walk along a member's operations, to find the source that each one grows from.

Each operation is handed the map of the channels that reach it and hands on the map of
its own. A weight layer grows from the MotherNet's layer that it continues, or starts in
the state that its family has chosen for inserted units. See `channels` for the algebra
and `architectures.operations` for these states.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import (
    IMAGES,
    Join,
    Operation,
    Weight,
    read_by,
)
from mothernets_jax.growth.channels import (
    FRESH,
    ChannelMap,
    Growth,
    concatenate,
    enlarge_filter,
    fresh_channels_map,
    fresh_map,
    grow_kernel,
    identity_map,
    restrict,
    widened_map,
)
from mothernets_jax.growth.mothernet import Match, matched_units
from mothernets_jax.utils.pytrees import named_key


class Origin(NamedTuple):
    """The source from which a weight layer of the member grows.

    Attributes:
        layer: kernel in the mother's channels, and bias if there is one; None for a
            layer that starts afresh.
        incoming: map of the channels that the layer reads.
        outgoing: map of the channels that the layer writes.
    """

    layer: dict | None
    incoming: ChannelMap
    outgoing: ChannelMap


def kernel_shape(weight: Weight, origin: Origin) -> tuple[int, ...]:
    """Shape of the member's kernel.

    Args:
        weight: the member's layer.
        origin: the source that the layer grows from.

    Returns:
        (size, size, in, out) for a convolution, (in, out) for a dense layer.
    """
    taps = () if weight.filter_size is None else (weight.filter_size,) * 2
    return *taps, origin.incoming.source.shape[0], origin.outgoing.source.shape[0]


def he_deviation(shape: tuple[int, ...]) -> float:
    """Standard deviation of He-normal weights of a kernel, [.., in, out]."""
    return math.sqrt(2 / math.prod(shape[:-1]))


def grown_kernel(
    weight: Weight, origin: Origin, shares: jax.Array, fresh: jax.Array | None = None
) -> jax.Array:
    """A layer's kernel, [.., member in, member out], grown between its two maps.

    Args:
        weight: the member's layer.
        origin: the source that the layer grows from, which has a kernel.
        shares: [member in, member out]; the kernel takes on their dtype.
        fresh: [.., member in, member out], He-normal, the weights of fresh outputs;
            scaled to the deviation of the layer's own weights, those with which copied
            outputs read pairs; None where there are neither, or where both are 0.
    """
    layer, incoming, outgoing = origin
    assert layer is not None
    kernel = layer["kernel"].astype(shares.dtype)
    if weight.filter_size is not None:
        kernel = enlarge_filter(kernel, weight.filter_size)
    if fresh is not None and incoming.sign is not None:
        # He-normal is too large beside trained weights: pairs would drown them.
        scale = jnp.sqrt(jnp.mean(kernel**2)) / he_deviation(fresh.shape)
        fresh = jnp.where(outgoing.source == FRESH, fresh, scale * fresh)
    shares = shares.reshape((1,) * (kernel.ndim - 2) + shares.shape)
    return grow_kernel(kernel, incoming, outgoing, shares, fresh)


class Walk(NamedTuple):
    """The result of a walk along the member's operations, by their names.

    Attributes:
        maps: map of the channels of each value.
        places: name of the mother's value that each value is a copy of.
        counterparts: name of the mother's operation that an operation continues, for
            each that continues one.
        origins: source that each weight layer grows from.
    """

    maps: dict[str, ChannelMap]
    places: dict[str, str]
    counterparts: dict[str, str]
    origins: dict[str, Origin]


def walk_along(
    params: dict,
    mother: Architecture,
    member: Architecture,
    key: jax.Array,
    *,
    growth: Growth = "copies",
    starts: Mapping[str, jax.typing.ArrayLike] | None = None,
) -> Walk:
    """Follows the member's operations and the channels that they hand on.

    Args:
        params: the MotherNet's parameters, or a tree like them.
        mother: architecture of the MotherNet.
        member: the architecture to grow.
        key: a typed key, which decides which channels are copied.
        growth: what the new channels of wider layers are, see `widened_map`.
        starts: the first channel that is copied, by the name of the channels (see
            `Weight.channels`); None draws them.

    Raises:
        ValueError: the member cannot be grown from the mother.
    """
    matches = matched_units(mother, member)
    theirs = {operation.name: operation for operation in mother.operations()}
    maps, places, counterparts = {}, {IMAGES: IMAGES}, {}
    origins: dict[str, Origin] = {}
    written: dict[str, ChannelMap] = {}  # by the name of the channels
    for operation in member.operations():
        name, first = _namesake(operation, matches)
        read = read_by(operation)
        places[operation.name] = name if name in theirs else places[read[0]]
        if type(theirs.get(name)) is type(operation):
            counterparts[operation.name] = name
        if isinstance(operation, Weight):
            layer = params[name] if operation.name in counterparts else None
            if not maps:  # the first layer, always matched; images are never widened
                maps[IMAGES] = identity_map(params[name]["kernel"].shape[-2])
                maps |= {value: maps[IMAGES] for value in places}
            channels = operation.channels or operation.name
            start = None if starts is None else starts.get(channels)
            widen = functools.partial(
                _widened, operation, growth, named_key(key, channels), start
            )
            origin = _origin(
                operation, layer, first, maps[read[0]], written.get(channels), widen
            )
            origins[operation.name] = origin
            maps[operation.name] = written[channels] = origin.outgoing
        elif maps:
            maps[operation.name] = maps[read[0]]
            if isinstance(operation, Join) and operation.kind == "concatenation":
                maps[operation.name] = concatenate(*(maps[value] for value in read))
    return Walk(maps, places, counterparts, origins)


def _namesake(operation: Operation, matches: Mapping[str, Match]) -> tuple[str, int]:
    """Name of the mother's operation, and its first channel that is continued.

    The mother may have no operation of this name (as for inserted units, ""), or one of
    another kind.
    """
    if not operation.unit:
        return operation.name, 0
    if operation.unit not in matches:
        return "", 0
    unit, first_channel = matches[operation.unit]
    return unit + operation.name.removeprefix(operation.unit), first_channel


def _origin(
    weight: Weight,
    layer: dict | None,
    first: int,
    incoming: ChannelMap,
    outgoing: ChannelMap | None,
    widen: Callable[[int], ChannelMap],
) -> Origin:
    """Finds the source that a weight layer grows from.

    Args:
        weight: the member's layer.
        layer: parameters of the mother's layer that it continues; None if inserted.
        first: index of the first of that layer's channels that it makes.
        incoming: map of the channels that it reads.
        outgoing: map of the channels that it writes, if others have written them; None
            for channels of its own.
        widen: makes the map of its channels, given the number of the mother's.
    """
    if layer is None and weight.inserted_as != "identity":
        if outgoing is None and weight.widened_by == "fresh":
            outgoing = widen(0)  # that matched layers will read
        elif outgoing is None:
            assert weight.width is not None
            outgoing = fresh_map(weight.width)
        return Origin(None, incoming, outgoing)
    if layer is None:
        layer = _identity(weight, incoming.mother_channels)
    incoming = restrict(incoming, layer["kernel"].shape[-2])
    if weight.widened_by == "fresh":  # it may make a part of the mother's channels
        layer = {n: leaf[..., first:][..., : weight.width] for n, leaf in layer.items()}
    if outgoing is None:
        outgoing = widen(layer["kernel"].shape[-1])
    return Origin(layer, incoming, outgoing)


def _widened(
    weight: Weight,
    growth: Growth,
    key: jax.Array,
    start: jax.typing.ArrayLike | None,
    mother_channels: int,
) -> ChannelMap:
    """The map of the channels that a layer writes, given the number of the mother's."""
    if weight.width is None:
        return identity_map(mother_channels)
    if weight.widened_by == "fresh":
        return fresh_channels_map(growth, mother_channels, weight.width)
    return widened_map(growth, key, mother_channels, weight.width, start)


def _identity(weight: Weight, channels: int) -> dict:
    """Parameters of a layer that hands on what it reads."""
    kernel = jnp.eye(channels)
    layer = {"kernel": kernel if weight.filter_size is None else kernel[None, None]}
    return {**layer, "bias": jnp.zeros(channels)} if weight.bias else layer
