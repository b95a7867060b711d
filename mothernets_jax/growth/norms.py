"""Normalisations of a hatched member: their parameters and running statistics."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import check_values
from mothernets_jax.architectures.costs import norm_positions
from mothernets_jax.architectures.operations import Norm
from mothernets_jax.growth.channels import (
    FRESH,
    ChannelMap,
    grow_vector,
    identity_map,
    paired,
    restrict,
)
from mothernets_jax.growth.moments import Moments, estimated_moments, measured_moments
from mothernets_jax.growth.walk import Walk
from mothernets_jax.models.layers import NORM_EPSILON
from mothernets_jax.models.variables import Variables


def grow_norms(
    variables: Variables,
    mother: Architecture,
    member: Architecture,
    walk: Walk,
    images: jax.Array | None,
    dtype: jax.typing.DTypeLike,
) -> dict[str, tuple[dict, dict]]:
    """Parameters and running statistics of the member's normalisations, by name.

    Fresh channels have the scale 1, the bias 0, the mean 0 and the variance 1.

    Args:
        variables: the MotherNet's `{"params": ..., "batch_stats": ...}`.
        mother: architecture of the MotherNet.
        member: the architecture to grow.
        walk: the walk along the member's operations.
        images: float [batch, height, width, channels], already normalised, on which
            the statistics of inserted normalisations are measured; None estimates them.
        dtype: dtype of the result.

    Raises:
        ValueError: too few images for the statistics of an inserted normalisation.
    """
    norms = [op for op in member.operations() if isinstance(op, Norm)]
    inserted = [norm for norm in norms if norm.name not in walk.counterparts]
    undone = [norm.name for norm in inserted if norm.inserted_as == "undone"]
    if images is not None:  # of which the statistics undo the normalisation
        _check_values(member, undone, images)
    moments: Mapping[str, Moments] = {}
    if undone:
        moments = (
            estimated_moments(mother, variables)
            if images is None
            else measured_moments(mother, variables, images)
        )
    grown = {}
    for norm in norms:
        channel_map = walk.maps[norm.name]
        if norm not in inserted:
            name = walk.counterparts[norm.name]
            source = variables["params"][name], variables["batch_stats"][name]
        elif norm.inserted_as == "undone":
            source = _undone(moments[walk.places[norm.name]])
        else:
            size = channel_map.source.shape[0]
            channel_map, source = identity_map(size), _fresh_norm(size, dtype)
            if norm.inserted_as == "zero":
                source[0]["scale"] = jnp.zeros(size, dtype)
        channel_map = restrict(channel_map, source[0]["scale"].shape[0])
        fresh = {"scale": 1.0, "bias": 0.0}, {"mean": 0.0, "var": 1.0}
        grown[norm.name] = jax.tree.map(
            lambda leaf, value, channel_map=channel_map: grow_vector(
                leaf.astype(dtype), channel_map, value
            ),
            source,
            fresh,
        )
    return grown


def _undone(moments: Moments) -> tuple[dict, dict]:
    """A normalisation that undoes itself.

    With scale sqrt(variance + epsilon) and bias mean,
    (x - mean) / sqrt(variance + epsilon) * scale + bias = x.
    """
    mean, variance = moments
    scale = jnp.sqrt(variance + NORM_EPSILON)
    return {"scale": scale, "bias": mean}, {"mean": mean, "var": variance}


def _fresh_norm(size: int, dtype: jax.typing.DTypeLike) -> tuple[dict, dict]:
    zeros, ones = jnp.zeros(size, dtype), jnp.ones(size, dtype)
    return {"scale": ones, "bias": zeros}, {"mean": zeros, "var": ones}


def fill_statistics(
    grown: Variables,
    variables: Variables,
    member: Architecture,
    walk: Walk,
    images: jax.Array | None,
) -> Variables:
    """Gives fresh channels the running statistics that they have in the member.

    Those of the channels that continue the mother's stay as they are.

    Args:
        grown: the member's `{"params": ..., "batch_stats": ...}`, without copies.
        variables: the MotherNet's.
        member: architecture of the member.
        walk: the walk along the member's operations.
        images: float [batch, height, width, channels], already normalised, on which the
            statistics are measured in train mode; None estimates them from the
            member's parameters.

    Returns:
        The member's variables.

    Raises:
        ValueError: too few images for the statistics of a normalisation.
    """
    maps = _maps_with_fresh_channels(variables, member, walk)
    if not maps:
        return grown
    if images is None:
        moments = estimated_moments(member, grown, of_layers=True)
    else:
        _check_values(member, list(maps), images)
        moments = measured_moments(member, grown, images)
    norms = [op for op in member.operations() if isinstance(op, Norm)]
    reads = {norm.name: norm.reads for norm in norms}
    stats = dict(grown["batch_stats"])
    for name, channel_map in maps.items():
        found = moments[reads[name]]
        # Rounding may differ within a pair, and must not end in its statistics.
        found = {"mean": found.mean, "var": found.variance}
        stats[name] = {
            leaf: jnp.where(
                channel_map.source == FRESH,
                paired(found[leaf], channel_map).astype(old.dtype),
                old,
            )
            for leaf, old in stats[name].items()
        }
    return {**grown, "batch_stats": stats}


def _maps_with_fresh_channels(
    variables: Variables, member: Architecture, walk: Walk
) -> dict[str, ChannelMap]:
    """Maps of the normalisations with fresh channels; all those of a new one are."""
    maps = {}
    for norm in member.operations():
        if not isinstance(norm, Norm):
            continue
        channel_map = walk.maps[norm.name]
        if norm.name in walk.counterparts:
            stats = variables["batch_stats"][walk.counterparts[norm.name]]
            channel_map = restrict(channel_map, stats["mean"].shape[0])
        elif norm.inserted_as != "undone":
            source = jnp.full_like(channel_map.source, FRESH)
            channel_map = channel_map._replace(source=source, mother_channels=0)
        if channel_map.source.shape[0] > channel_map.mother_channels:
            maps[norm.name] = channel_map
    return maps


def _check_values(member: Architecture, names: list[str], images: jax.Array) -> None:
    """Raises ValueError where images are too few to measure statistics on."""
    positions = norm_positions(member, images.shape[1:])
    for name in names:
        check_values(name, len(images) * positions[name])
