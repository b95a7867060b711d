"""The algebra of growth, by which the channels of a mother become those of a member.

A `ChannelMap` says which channel of the mother each channel of the grown layer copies.
A layer that reads those channels gives every copy a *share* of the original's outgoing
weight. The shares of one channel's copies sum to 1 for every output, so that whatever
is read from the copies together is what was read from the original:

    K'[.., i, o] = share[i, o] * K[.., incoming.source[i], outgoing.source[o]]

Axes: `mother` and `member` channels; kernels are [height, width, in, out] or [in, out].
Everything here is pure and can be traced; sizes are static.

References:
    Net2Net (Chen et al. 2016) for copies, Network Morphism (Wei et al. 2016) for larger
    filters, MotherNets (MLSys 2020), section on hatching.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

FRESH = -1  # the source of a channel that copies nothing

Split = Literal["random", "equal"]


class ChannelMap(NamedTuple):
    """A map from each channel of the member to the mother's channel that it copies.

    Attributes:
        source: int32 [member channels], indices of the mother's channels; `FRESH` for a
            channel that copies nothing.
        mother_channels: number of the mother's channels, each with at least one copy.
    """

    source: jax.Array
    mother_channels: int


def identity_map(channels: int) -> ChannelMap:
    """The map in which every channel copies itself."""
    return ChannelMap(jnp.arange(channels), channels)


def widening_map(
    key: jax.Array, mother_channels: int, member_channels: int
) -> ChannelMap:
    """Draws a map whose first channels copy themselves, the others a random run.

    No channel gets two copies more than another, which keeps shares far from 0. A
    cyclic run from a random start is as random as any choice, since the channels of a
    trained layer stand in no order.

    Args:
        key: a typed key.
        mother_channels: number of the mother's channels, at most `member_channels`.
        member_channels: number of the member's channels.
    """
    assert member_channels >= mother_channels, (member_channels, mother_channels)
    if member_channels == mother_channels:
        return identity_map(mother_channels)
    start = jax.random.randint(key, (), 0, mother_channels)
    copies = (start + jnp.arange(member_channels - mother_channels)) % mother_channels
    source = jnp.concatenate([jnp.arange(mother_channels), copies])
    return ChannelMap(source, mother_channels)


def fresh_map(channels: int) -> ChannelMap:
    """The map in which no channel copies anything."""
    return ChannelMap(jnp.full(channels, FRESH), 0)


def appended_map(mother_channels: int, member_channels: int) -> ChannelMap:
    """The map whose first channels copy themselves, and whose others are fresh."""
    source = jnp.arange(member_channels)
    return ChannelMap(
        jnp.where(source < mother_channels, source, FRESH), mother_channels
    )


def concatenate(first: ChannelMap, second: ChannelMap) -> ChannelMap:
    """The map of two groups of channels side by side, in the mother and the member."""
    offset = first.mother_channels
    moved = jnp.where(second.source == FRESH, FRESH, second.source + offset)
    source = jnp.concatenate([first.source, moved])
    return ChannelMap(source, offset + second.mother_channels)


def restrict(channel_map: ChannelMap, mother_channels: int) -> ChannelMap:
    """The map for a reader to which the mother gives only the first channels.

    Args:
        channel_map: the map of all channels that the value has.
        mother_channels: number of channels that the mother's reader reads.
    """
    if channel_map.mother_channels == mother_channels:
        return channel_map
    heard = channel_map.source < mother_channels
    return ChannelMap(jnp.where(heard, channel_map.source, FRESH), mother_channels)


def draw_shares(
    key: jax.Array,
    readers: Mapping[str, tuple[ChannelMap, int]],
    split: Split,
    dtype: jax.typing.DTypeLike,
) -> dict[str, jax.Array]:
    """Draws each copy's share of its channel's outgoing weight, for every output.

    Args:
        key: a typed key, used by the random split.
        readers: for each layer, by name, the map of the channels that it reads and the
            number of its outputs. All shares come from one draw, since each draw costs
            the compiler a third of a second.
        split: `"random"` draws the shares of one channel's copies uniformly from all
            that sum to 1 (Dirichlet), anew for each output, so that copies part in
            training; `"equal"` gives each copy 1 / copies (Net2Net).
        dtype: dtype of the shares.

    Returns:
        [member channels, outputs] by layer, not negative; 0 for fresh channels.
    """
    shapes = {
        name: (channel_map.source.shape[0], outputs)
        for name, (channel_map, outputs) in readers.items()
    }
    # A layer that reads one copy of each channel has nothing to share.
    sharing = {n: s for n, s in shapes.items() if s[0] > readers[n][0].mother_channels}
    sizes = [math.prod(shape) for shape in sharing.values()]
    if split == "random":
        draws = jax.random.exponential(key, (sum(sizes),), dtype)
        draws = jnp.maximum(draws, jnp.finfo(dtype).tiny)  # a 0 would share out 0 / 0
    else:
        draws = jnp.ones((sum(sizes),), dtype)
    pieces = jnp.split(draws, list(itertools.accumulate(sizes))[:-1])
    shares = {name: jnp.ones(shape, dtype) for name, shape in shapes.items()}
    for (name, shape), piece in zip(sharing.items(), pieces, strict=False):
        channel_map, _ = readers[name]
        copied = channel_map.source != FRESH
        weights = jnp.where(copied[:, None], piece.reshape(shape), 0)
        source = jnp.where(copied, channel_map.source, 0)
        totals = jax.ops.segment_sum(weights, source, channel_map.mother_channels)
        shares[name] = weights / totals[source]
    return shares


def grow_kernel(
    kernel: jax.Array,
    incoming: ChannelMap,
    outgoing: ChannelMap,
    shares: jax.Array,
    fresh: jax.Array | None = None,
) -> jax.Array:
    """A kernel that computes for each copied output what the mother's computes.

    Args:
        kernel: the mother's kernel, [.., mother in, mother out].
        incoming: map of the channels that the layer reads.
        outgoing: map of the channels that the layer writes.
        shares: [member in, member out], from `draw_shares`; for a convolution with two
            leading axes of length 1.
        fresh: [.., member in, member out], the weights of fresh outputs; None where
            there are none.

    Returns:
        [.., member in, member out].
    """
    grown = shares * kernel[..., incoming.source, :][..., outgoing.source]
    return grown if fresh is None else jnp.where(outgoing.source == FRESH, fresh, grown)


def grow_vector(
    vector: jax.Array, channel_map: ChannelMap, fresh: float = 0.0
) -> jax.Array:
    """A bias, scale or running statistic of the grown layer, [member channels].

    Args:
        vector: the mother's vector, [mother channels].
        channel_map: map of the channels that the vector belongs to.
        fresh: value for fresh channels.
    """
    return jnp.where(channel_map.source == FRESH, fresh, vector[channel_map.source])


def enlarge_filter(kernel: jax.Array, filter_size: int) -> jax.Array:
    """Adds zeros around a kernel, which stays centred under `layers.same_padding`.

    Args:
        kernel: [size, size, in, out], size odd.
        filter_size: the new size in pixels, odd, at least the old one.

    Returns:
        [filter_size, filter_size, in, out].
    """
    before = (filter_size - 1) // 2 - (kernel.shape[0] - 1) // 2
    after = filter_size - kernel.shape[0] - before
    return jnp.pad(kernel, ((before, after), (before, after), (0, 0), (0, 0)))
