"""The algebra of growth, by which the channels of a mother become those of a member.

A `ChannelMap` says which channel of the mother each channel of the grown layer copies.
A layer that reads those channels gives every copy a *share* of the original's outgoing
weight. The shares of one channel's copies sum to 1 for every output, so that whatever
is read from the copies together is what was read from the original:

    K'[.., i, o] = share[i, o] * K[.., incoming.source[i], outgoing.source[o]]

A channel that copies nothing is *fresh*, and no copied output reads it: its share is 0.
Or two fresh channels are a *pair*, which computes one value twice, v and v, of which
each copied output reads z v and -z v. That adds nothing, and parts in training, since
the gradients of the two have opposite signs.

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
# What the new channels of wider layers are: see `widened_map`.
Growth = Literal["copies", "pairs", "zeros"]


class ChannelMap(NamedTuple):
    """A map from each channel of the member to the mother's channel that it copies.

    Attributes:
        source: int32 [member channels], indices of the mother's channels; `FRESH` for a
            channel that copies nothing.
        mother_channels: number of the mother's channels, each with at least one copy.
        sign: int32 [member channels], 1 for the first channel of a pair and -1 for the
            second, which comes next to it; 0 for all others. None where no channels are
            pairs.
    """

    source: jax.Array
    mother_channels: int
    sign: jax.Array | None = None


def identity_map(channels: int) -> ChannelMap:
    """The map in which every channel copies itself."""
    return ChannelMap(jnp.arange(channels), channels)


def widened_map(
    growth: Growth,
    key: jax.Array,
    mother_channels: int,
    member_channels: int,
    start: jax.typing.ArrayLike | None = None,
) -> ChannelMap:
    """The map of a layer that gets wider; its first channels copy themselves.

    Args:
        growth: what the others are: `"copies"`, by `widening_map`; `"pairs"` of fresh
            channels, by `paired_map`; or `"zeros"`, fresh channels that no copied
            output reads.
        key: a typed key, which decides which channels are copied.
        mother_channels: number of the mother's channels, at most `member_channels`.
        member_channels: number of the member's channels.
        start: the first channel that is copied; None draws it.
    """
    if growth == "copies":
        return widening_map(key, mother_channels, member_channels, start)
    return fresh_channels_map(growth, mother_channels, member_channels)


def fresh_channels_map(
    growth: Growth, mother_channels: int, member_channels: int
) -> ChannelMap:
    """The map of a layer whose new channels are fresh, in pairs where growth says so.

    Args:
        growth: `"pairs"` for pairs; anything else for channels that are not read.
        mother_channels: number of the mother's channels, at most `member_channels`.
        member_channels: number of the member's channels.
    """
    if growth == "pairs":
        return paired_map(mother_channels, member_channels)
    return appended_map(mother_channels, member_channels)


def widening_map(
    key: jax.Array,
    mother_channels: int,
    member_channels: int,
    start: jax.typing.ArrayLike | None = None,
) -> ChannelMap:
    """Draws a map whose first channels copy themselves, the others a random run.

    No channel gets two copies more than another, which keeps shares far from 0. A
    cyclic run from a random start is as random as any choice, since the channels of a
    trained layer stand in no order.

    Args:
        key: a typed key.
        mother_channels: number of the mother's channels, at most `member_channels`.
        member_channels: number of the member's channels.
        start: the channel at which the run starts; None draws it.
    """
    assert member_channels >= mother_channels, (member_channels, mother_channels)
    if member_channels == mother_channels:
        return identity_map(mother_channels)
    if start is None:
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


def paired_map(mother_channels: int, member_channels: int) -> ChannelMap:
    """The map whose first channels copy themselves, and whose others are fresh pairs.

    A channel that is left over is fresh by itself.
    """
    unpaired = appended_map(mother_channels, member_channels)
    pairs = (member_channels - mother_channels) // 2
    if not pairs:
        return unpaired
    number = jnp.arange(member_channels) - mother_channels
    in_pair = (number >= 0) & (number < 2 * pairs)
    return unpaired._replace(sign=jnp.where(in_pair, 1 - 2 * (number % 2), 0))


def paired(values: jax.Array, channel_map: ChannelMap, axis: int = -1) -> jax.Array:
    """Gives the second channel of each pair what the first one has.

    Args:
        values: an array with one axis of the member's channels.
        channel_map: map of these channels.
        axis: that axis, -1 or -2.
    """
    if channel_map.sign is None:
        return values
    second = channel_map.sign == -1
    second = second if axis == -1 else second[:, None]
    return jnp.where(second, jnp.roll(values, 1, axis), values)


def concatenate(first: ChannelMap, second: ChannelMap) -> ChannelMap:
    """The map of two groups of channels side by side, in the mother and the member."""
    offset = first.mother_channels
    moved = jnp.where(second.source == FRESH, FRESH, second.source + offset)
    source = jnp.concatenate([first.source, moved])
    sign = None
    if first.sign is not None or second.sign is not None:
        sign = jnp.concatenate([_signs(first), _signs(second)])
    return ChannelMap(source, offset + second.mother_channels, sign)


def _signs(channel_map: ChannelMap) -> jax.Array:
    """The map's signs, zeros where it has none."""
    if channel_map.sign is None:
        return jnp.zeros_like(channel_map.source)
    return channel_map.sign


def restrict(channel_map: ChannelMap, mother_channels: int) -> ChannelMap:
    """The map for a reader to which the mother gives only the first channels.

    Args:
        channel_map: the map of all channels that the value has.
        mother_channels: number of channels that the mother's reader reads.
    """
    if channel_map.mother_channels == mother_channels:
        return channel_map
    heard = channel_map.source < mother_channels
    source = jnp.where(heard, channel_map.source, FRESH)
    return channel_map._replace(source=source, mother_channels=mother_channels)


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
        fresh: [.., member in, member out], the weights of fresh outputs, and those with
            which copied outputs read pairs; None where there are neither, or where both
            are 0. The second of a pair takes what is drawn for the first.

    Returns:
        [.., member in, member out].
    """
    grown = shares * kernel[..., incoming.source, :][..., outgoing.source]
    if fresh is None:
        return grown
    if incoming.sign is not None:
        drawn, sign = paired(fresh, incoming, axis=-2), incoming.sign[:, None]
        grown = jnp.where(sign == 1, drawn, jnp.where(sign == -1, -drawn, grown))
    return jnp.where(outgoing.source == FRESH, paired(fresh, outgoing), grown)


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
