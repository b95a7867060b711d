"""Hatch a member from its trained MotherNet: grow the pytree, keep the function.

What each layer grows from, and between which channels, `walk` finds; here it grows, by
the algebra of `channels`.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import (
    Norm,
    Weight,
)
from mothernets_jax.arguments import check_architecture, check_images, check_values
from mothernets_jax.channels import (
    Split,
    draw_shares,
    grow_vector,
    identity_map,
    restrict,
)
from mothernets_jax.costs import norm_positions
from mothernets_jax.layers import NORM_EPSILON
from mothernets_jax.models import (
    Moments,
    Variables,
    check_key,
    check_variables,
    measured_moments,
)
from mothernets_jax.moments import estimated_moments
from mothernets_jax.trees import named_key
from mothernets_jax.walk import Origin, Walk, grown_kernel, kernel_shape, walk_along
from mothernets_jax.wording import shown


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
    as identities, new residual units add nothing, and what new dense layers append is
    not heard. Pure; can be jitted with `mother`, `member` and `split` static. Computes
    in the dtype of the variables.

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
        ValueError: the member cannot be grown from the mother, variables of another
            network, no batch of finite images, too few of them for the statistics of a
            normalisation, or an unknown split.

    References:
        MotherNets (MLSys 2020), section on hatching; Net2Net; Network Morphism.
    """
    if split not in ("random", "equal"):
        raise ValueError(f"split is {shown(split)}: expected 'random' or 'equal'")
    if isinstance(noise, float | int) and not 0 <= noise < math.inf:
        raise ValueError(f"noise is {noise}: expected 0 or more")
    for role, architecture in (("mother", mother), ("member", member)):
        check_architecture(architecture, f"the {role}")
    check_variables(mother, variables)
    check_key(key)
    if images is not None:
        check_images(images)
        _check_finite(images)
    params, dtype = variables["params"], jax.tree.leaves(variables["params"])[0].dtype
    walk = walk_along(params, mother, member, named_key(key, "copies"))
    shares = draw_shares(
        named_key(key, "shares"),
        {
            name: (origin.incoming, origin.outgoing.source.shape[0])
            for name, origin in walk.origins.items()
            if origin.layer is not None
        },
        split,
        dtype,
    )
    weights = [op for op in member.operations() if isinstance(op, Weight)]
    fresh = _draw_fresh(named_key(key, "fresh"), weights, walk.origins, dtype)
    grown = {
        weight.name: _grow_layer(
            weight,
            walk.origins[weight.name],
            shares.get(weight.name),
            fresh.get(weight.name),
            dtype,
        )
        for weight in weights
    }
    grown_norms = _grow_norms(variables, mother, member, walk, images, dtype)
    hatched = {
        "params": grown | {name: scale for name, (scale, _) in grown_norms.items()},
        "batch_stats": {name: stats for name, (_, stats) in grown_norms.items()},
    }
    return perturb(hatched, named_key(key, "noise"), noise)


def _check_finite(images: jax.Array) -> None:
    """Raises ValueError for numbers that are not finite, unless they are traced."""
    try:
        finite = bool(jnp.isfinite(images).all())
    except jax.errors.TracerBoolConversionError:
        return
    if not finite:
        raise ValueError(
            "images hold values that are no finite numbers, which would end in the "
            "statistics of every inserted layer: expected normalised images"
        )


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


def _draw_fresh(
    key: jax.Array,
    weights: list[Weight],
    origins: Mapping[str, Origin],
    dtype: jax.typing.DTypeLike,
) -> dict[str, jax.Array]:
    """He-normal kernels for the layers with fresh outputs, by name.

    From one draw, since each draw costs the compiler a third of a second.
    """
    shapes = {}
    for weight in weights:
        layer, _, outgoing = origins[weight.name]
        afresh = layer is None and weight.inserted_as == "fresh"
        appended = outgoing.source.shape[0] > outgoing.mother_channels
        if afresh or (weight.widened_by == "fresh" and appended and layer is not None):
            shape = kernel_shape(weight, origins[weight.name])
            shapes[weight.name] = jax.ShapeDtypeStruct(shape, dtype)
    if not shapes:
        return {}
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, dtype), shapes)
    flat, unravel = ravel_pytree(zeros)
    draws = unravel(jax.random.normal(key, flat.shape, dtype))
    return {
        name: draw * math.sqrt(2 / math.prod(draw.shape[:-1]))
        for name, draw in draws.items()
    }


def _grow_layer(
    weight: Weight,
    origin: Origin,
    shares: jax.Array | None,
    fresh: jax.Array | None,
    dtype: jax.typing.DTypeLike,
) -> dict:
    """A kernel, and a bias if there is one, grown between two maps."""
    layer, _, outgoing = origin
    if layer is None:
        shape = kernel_shape(weight, origin)
        grown = {"kernel": jnp.zeros(shape, dtype) if fresh is None else fresh}
        if weight.bias:
            grown["bias"] = jnp.zeros(shape[-1], dtype)
        return grown
    assert shares is not None
    grown = {"kernel": grown_kernel(weight, origin, shares, fresh)}
    if "bias" in layer:
        grown["bias"] = grow_vector(layer["bias"].astype(dtype), outgoing)
    return grown


def _grow_norms(
    variables: Variables,
    mother: Architecture,
    member: Architecture,
    walk: Walk,
    images: jax.Array | None,
    dtype: jax.typing.DTypeLike,
) -> dict[str, tuple[dict, dict]]:
    """Parameters and running statistics of the member's normalisations, by name."""
    norms = [op for op in member.operations() if isinstance(op, Norm)]
    inserted = [norm for norm in norms if norm.name not in walk.counterparts]
    if images is not None:
        positions = norm_positions(member, images.shape[1:])
        for norm in inserted:
            if norm.inserted_as == "undone":  # by statistics of these images
                check_values(norm.name, len(images) * positions[norm.name])
    moments: Mapping[str, Moments] = {}
    if any(norm.inserted_as == "undone" for norm in inserted):
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
