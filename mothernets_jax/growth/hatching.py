"""Hatch a member from its trained MotherNet: grow the pytree, keep the function.

`walk` finds the source of each layer and the channels that it grows between; here the
layers grow, by the algebra of `channels`.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import (
    check_architecture,
    check_images,
    check_values,
)
from mothernets_jax.architectures.costs import norm_positions
from mothernets_jax.architectures.operations import (
    Norm,
    Weight,
)
from mothernets_jax.growth.channels import (
    Split,
    draw_shares,
    grow_vector,
    identity_map,
    restrict,
)
from mothernets_jax.growth.moments import Moments, estimated_moments, measured_moments
from mothernets_jax.growth.walk import (
    Origin,
    Walk,
    grown_kernel,
    kernel_shape,
    walk_along,
)
from mothernets_jax.models.layers import NORM_EPSILON
from mothernets_jax.models.variables import Variables, check_key, check_variables
from mothernets_jax.utils.messages import short_repr
from mothernets_jax.utils.pytrees import named_key


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
    """Grows a member's variables, which compute exactly what its MotherNet computes.

    Wider layers copy channels, larger filters are padded with zeros, new layers start
    as identities, new residual units add nothing, and the channels that new layers of a
    DenseNet append are not read at first. The function is pure, can be jitted with
    `mother`, `member` and `split` static, and computes in the dtype of the variables.

    A run hatches its members in the same way. Given the MotherNet's variables and the
    images that the run took (the first 512 that it trains on, normalised), the run's
    noise and split, and the key

        named_key(jax.random.key(seed), method, name)

    made from its seed, with method and name as in `("mothernets", "V13_1")`, the result
    is the run's member: bit for bit on a CPU, unless this call is part of a larger
    jitted program, which may round otherwise.

    Args:
        variables: the MotherNet's `{"params": ..., "batch_stats": ...}`.
        mother: architecture of the MotherNet.
        member: the architecture to grow.
        key: a typed key; members hatched with different keys copy different channels
            with different shares, and get different noise.
        images: float [batch, height, width, channels], already normalised, on which the
            statistics of the normalisations behind inserted layers are measured; the
            function is then kept in train mode, too, on that very batch. None estimates
            the statistics from the preceding normalisation, which keeps the function in
            eval mode only.
        noise: standard deviation of Gaussian noise on every parameter, relative to that
            of each tensor's entries; 0.0 keeps the function.
        split: rule by which copies share a channel's outgoing weight: `"random"` draws
            the shares, `"equal"` gives each copy the same.

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
        raise ValueError(f"split is {short_repr(split)}: expected 'random' or 'equal'")
    if isinstance(noise, float | int) and not 0 <= noise < math.inf:
        raise ValueError(f"noise is {noise}: expected 0 or more")
    for role, architecture in (("mother", mother), ("member", member)):
        check_architecture(architecture, f"the {role}")
    check_variables(mother, variables)
    check_key(key)
    if images is not None:
        check_images(images)
        _check_finite(images)
    grown = _jitted_grow(variables, mother, member, key, images, split)
    if isinstance(noise, float | int) and noise == 0:
        return grown
    return perturb(grown, key, noise)


def grow(
    variables: Variables,
    mother: Architecture,
    member: Architecture,
    key: jax.Array,
    images: jax.Array | None,
    split: Split,
) -> Variables:
    """Grows a member's variables without noise, from arguments that were checked.

    Args:
        variables: the MotherNet's `{"params": ..., "batch_stats": ...}`.
        mother: architecture of the MotherNet.
        member: the architecture to grow.
        key: a typed key, the one that `hatch` is given.
        images: float [batch, height, width, channels], already normalised, on which
            statistics are measured; None estimates them.
        split: rule by which copies share a channel's outgoing weight, `"random"` or
            `"equal"`.

    Returns:
        The member's `{"params": ..., "batch_stats": ...}`.

    Raises:
        ValueError: the member cannot be grown from the mother.
    """
    key = named_key(key, "hatch")
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
    return {
        "params": grown | {name: scale for name, (scale, _) in grown_norms.items()},
        "batch_stats": {name: stats for name, (_, stats) in grown_norms.items()},
    }


# Jitted as in a run: operation by operation, image statistics would round otherwise.
_jitted_grow = jax.jit(grow, static_argnames=("mother", "member", "split"))


def _check_finite(images: jax.Array) -> None:
    """Raises ValueError for images that are not finite, unless they are traced."""
    try:
        finite = bool(jnp.isfinite(images).all())
    except jax.errors.TracerBoolConversionError:
        return
    if not finite:
        raise ValueError(
            "images hold values that are no finite numbers, which would end in the "
            "statistics of every inserted layer: expected normalised images"
        )


@jax.jit
def perturb(
    variables: Variables, key: jax.Array, noise: jax.typing.ArrayLike
) -> Variables:
    """Adds Gaussian noise to every parameter; running statistics stay as they are.

    This is a program of its own, since a run looks at the hatched member before it adds
    noise, and one program of both would round otherwise.

    Args:
        variables: the member's `{"params": ..., "batch_stats": ...}`.
        key: the typed key that the member was hatched with.
        noise: standard deviation of the noise, relative to that of each tensor's
            entries.
    """
    key = named_key(key, "noise")
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

    They come from one draw, since each draw costs the compiler a third of a second.
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
