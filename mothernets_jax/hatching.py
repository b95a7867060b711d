"""Hatch a member from its trained MotherNet: grow the pytree, keep the function.

A walk along the member's units. Each is handed the map of the channels that reach it,
grows out of the MotherNet's unit that it is matched to (or out of an identity, where
nothing is matched), and hands on the map of its own channels.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from mothernets_jax.architectures import (
    HEAD_NAME,
    Architecture,
    Conv,
    Dense,
    Unit,
    named_units,
    unit_names,
)
from mothernets_jax.channels import (
    ChannelMap,
    Split,
    draw_shares,
    enlarge_filter,
    grow_kernel,
    grow_vector,
    identity_map,
    widening_map,
)
from mothernets_jax.layers import NORM_EPSILON
from mothernets_jax.models import FEATURES_NAME, Variables, unit_outputs
from mothernets_jax.mothernet import matched_units
from mothernets_jax.trees import named_key


class Moments(NamedTuple):
    """Mean and biased variance of each of the mother's channels, [channels]."""

    mean: jax.Array
    variance: jax.Array


def hatch(
    variables: Variables,
    mother: Architecture,
    member: Architecture,
    key: jax.Array,
    *,
    images: jax.Array | None = None,
    noise: float = 0.0,
    split: Split = "random",
) -> Variables:
    """A member's variables that compute exactly what its MotherNet computes.

    Wider layers copy channels, larger filters are padded with zeros, new layers start
    as identities. Pure; can be jitted with `mother`, `member` and `split` static.
    Computes in the dtype of the variables.

    Args:
        variables: the mother's `{"params": ..., "batch_stats": ...}`.
        mother: its architecture.
        member: the architecture to grow.
        key: a typed key; members hatched with different keys copy different channels
            with different shares.
        images: normalised [batch, height, width, channels], for the statistics of the
            normalisation behind inserted layers; with them the function is kept in
            train mode, too, on that very batch. None estimates them from the preceding
            normalisation: exact in eval mode only.
        noise: see `perturb`; 0.0 keeps the function.
        split: how copies share a channel's outgoing weight, see `channels.draw_shares`.

    Returns:
        The member's `{"params": ..., "batch_stats": ...}`.

    Raises:
        ValueError: the member cannot be grown from the mother, or an unknown split.

    References:
        MotherNets (MLSys 2020), section on hatching; Net2Net; Network Morphism.
    """
    if split not in ("random", "equal"):
        raise ValueError(f"split is {split!r}: expected 'random' or 'equal'")
    matches = matched_units(mother, member)
    units = _mother_units(variables, mother, member, matches, images)
    head = variables["params"][HEAD_NAME]
    num_classes = head["bias"].shape[0]
    maps = _channel_maps(member, units, num_classes, named_key(key, "copies"))
    shares = draw_shares(
        named_key(key, "shares"),
        {
            name: (read, written.source.shape[0])
            for name, (read, written) in maps.items()
        },
        split,
        head["kernel"].dtype,
    )
    grown = {
        name: _grow_unit(unit, units[name], *maps[name], shares[name])
        for name, unit in named_units(member)
    }
    hatched = {
        "params": {
            **{name: unit["params"] for name, unit in grown.items()},
            HEAD_NAME: _grow_layer(head, *maps[HEAD_NAME], shares[HEAD_NAME]),
        },
        "batch_stats": {
            name: unit["batch_stats"]
            for name, unit in grown.items()
            if unit["batch_stats"]
        },
    }
    return perturb(hatched, named_key(key, "noise"), noise)


def perturb(variables: Variables, key: jax.Array, noise: float) -> Variables:
    """Gaussian noise on every parameter; running statistics stay as they are.

    Args:
        variables: `{"params": ..., "batch_stats": ...}`.
        key: a typed key.
        noise: standard deviation, relative to that of each tensor's entries.
    """

    if isinstance(noise, float | int) and noise == 0:
        return variables
    flat, unravel = ravel_pytree(variables["params"])
    draws = unravel(jax.random.normal(key, flat.shape, flat.dtype))
    params = jax.tree.map(
        lambda leaf, draw: leaf + jnp.asarray(noise, leaf.dtype) * jnp.std(leaf) * draw,
        variables["params"],
        draws,
    )
    return {**variables, "params": params}


def _mother_units(
    variables: Variables,
    mother: Architecture,
    member: Architecture,
    matches: dict[str, str],
    images: jax.Array | None,
) -> dict[str, Variables]:
    """What each of the member's units grows from: its match, or an identity.

    Returns:
        `{"params": ..., "batch_stats": ...}` of the mother's widths by member's unit.
    """
    params, stats = variables["params"], variables["batch_stats"]
    moments_at = _moments(mother, variables, images)
    units, place, channels = {}, "", 0  # where in the mother the walk stands
    for name, unit in named_units(member):
        if mother.blocks and isinstance(unit, Dense) and name == "dense1":
            place = FEATURES_NAME
        if name in matches:
            place = matches[name]
            units[name] = {"params": params[place], "batch_stats": stats.get(place, {})}
            channels = params[place]["layer"]["kernel"].shape[-1]
        else:
            dtype = params[HEAD_NAME]["kernel"].dtype
            units[name] = _identity_unit(unit, channels, moments_at(place), dtype)
    return units


def _channel_maps(
    member: Architecture,
    units: dict[str, Variables],
    num_classes: int,
    key: jax.Array,
) -> dict[str, tuple[ChannelMap, ChannelMap]]:
    """The maps of the channels that each unit and the head read and write."""
    kernels = {name: unit["params"]["layer"]["kernel"] for name, unit in units.items()}
    incoming = identity_map(next(iter(kernels.values())).shape[-2])
    maps = {}
    for name, unit in named_units(member):
        outgoing = widening_map(
            named_key(key, name), kernels[name].shape[-1], unit.width
        )
        maps[name] = incoming, outgoing
        incoming = outgoing
    maps[HEAD_NAME] = incoming, identity_map(num_classes)
    return maps


def _grow_unit(
    unit: Unit,
    variables: Variables,
    incoming: ChannelMap,
    outgoing: ChannelMap,
    shares: jax.Array,
) -> Variables:
    """A unit's parameters and running statistics, grown between two maps."""
    layer = dict(variables["params"]["layer"])
    if isinstance(unit, Conv):
        layer["kernel"] = enlarge_filter(layer["kernel"], unit.filter_size)
    grown = {"layer": _grow_layer(layer, incoming, outgoing, shares)}
    # What remains is a vector over the unit's channels, whatever it is.
    norm, stats = jax.tree.map(
        lambda leaf: grow_vector(leaf, outgoing),
        (variables["params"].get("norm", {}), variables["batch_stats"]),
    )
    return {"params": {**grown, "norm": norm} if norm else grown, "batch_stats": stats}


def _grow_layer(
    layer: dict, incoming: ChannelMap, outgoing: ChannelMap, shares: jax.Array
) -> dict:
    """A kernel, and a bias if there is one, grown between two maps."""
    kernel = layer["kernel"]
    shares = shares.reshape((1,) * (kernel.ndim - 2) + shares.shape)
    grown = {"kernel": grow_kernel(kernel, incoming, outgoing, shares)}
    if "bias" in layer:
        grown["bias"] = grow_vector(layer["bias"], outgoing)
    return grown


def _identity_unit(
    unit: Unit, channels: int, moments: Moments | None, dtype: jax.typing.DTypeLike
) -> Variables:
    """A unit of the mother's width that hands on what it receives, if not negative.

    Its kernel is an identity, and its normalisation undoes itself: with scale
    sqrt(variance + epsilon) and bias mean,
    (x - mean) / sqrt(variance + epsilon) * scale + bias = x.
    """
    kernel = jnp.eye(channels, dtype=dtype)
    if isinstance(unit, Conv):
        kernel = kernel[None, None]
    if moments is None:  # without normalisation a bias stands in its place
        layer = {"kernel": kernel, "bias": jnp.zeros(channels, dtype)}
        return {"params": {"layer": layer}, "batch_stats": {}}
    mean, variance = moments
    scale = jnp.sqrt(variance + NORM_EPSILON)
    norm = {"scale": scale, "bias": mean}
    return {
        "params": {"layer": {"kernel": kernel}, "norm": norm},
        "batch_stats": {"norm": {"mean": mean, "var": variance}},
    }


def _moments(
    mother: Architecture, variables: Variables, images: jax.Array | None
) -> Callable[[str], Moments | None]:
    """A function from a place in the mother to the moments of what passes there.

    Measured in one training pass on the images; without images, those of a rectified
    Gaussian whose mean and standard deviation are the preceding normalisation's bias
    and |scale|. None where the mother does not normalise.
    """
    if not mother.batch_norm:
        return lambda place: None
    if images is not None:
        outputs = unit_outputs(mother, variables, images)

        def measured(place: str) -> Moments:
            axes = tuple(range(outputs[place].ndim - 1))
            return Moments(outputs[place].mean(axes), outputs[place].var(axes))

        return measured

    last_conv = unit_names(mother)[len(mother.blocks) - 1][-1]

    def estimated(place: str) -> Moments:
        unit = last_conv if place == FEATURES_NAME else place
        norm = variables["params"][unit]["norm"]
        return _rectified_moments(norm["bias"], jnp.abs(norm["scale"]))

    return estimated


def _rectified_moments(mean: jax.Array, deviation: jax.Array) -> Moments:
    """Moments of max(x, 0) for a Gaussian x, channel by channel.

    With z = mean / deviation, phi and Phi the normal density and distribution:
    E max(x, 0) = mean Phi(z) + deviation phi(z),
    E max(x, 0)^2 = (mean^2 + deviation^2) Phi(z) + mean deviation phi(z).
    """
    z = mean / jnp.maximum(deviation, jnp.finfo(deviation.dtype).tiny)
    density, distribution = jax.scipy.stats.norm.pdf(z), jax.scipy.stats.norm.cdf(z)
    first = mean * distribution + deviation * density
    second = (mean**2 + deviation**2) * distribution + mean * deviation * density
    return Moments(first, jnp.maximum(second - first**2, 0))
