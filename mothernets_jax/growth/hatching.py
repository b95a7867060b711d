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
)
from mothernets_jax.architectures.operations import Weight
from mothernets_jax.growth.channels import (
    Growth,
    Split,
    draw_shares,
    grow_vector,
    paired,
)
from mothernets_jax.growth.layouts import Layout, check_layout
from mothernets_jax.growth.norms import fill_statistics, grow_norms
from mothernets_jax.growth.walk import (
    Origin,
    grown_kernel,
    he_deviation,
    kernel_shape,
    walk_along,
)
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
    growth: Growth = "copies",
    layout: Layout | None = None,
) -> Variables:
    """Grows a member's variables, which compute exactly what its MotherNet computes.

    Wider layers copy channels or get fresh ones that cancel, larger filters are padded
    with zeros, new layers start as identities, new residual units add nothing, and the
    channels that new layers of a DenseNet append are not read at first, or cancel. The
    function is pure, can be jitted with `mother`, `member`, `split` and `growth`
    static, and computes in the dtype of the variables.

    A run hatches its members in the same way. Given the MotherNet's variables and the
    images that the run took (the first 512 that it trains on, normalised), the run's
    noise, split and growth, and the key

        named_key(jax.random.key(seed), method, name)

    made from its seed, with method and name as in `("mothernets", "V13_1")`, the result
    is the run's member: bit for bit on a CPU, unless this call is part of a larger
    jitted program, which may round otherwise. (With the setting `hatch.layout` of
    `"opposite"` it also takes the member's layout, from `opposite_layouts`.)

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
            the shares, `"equal"` gives each copy the same. Without copies it has no
            effect.
        growth: rule by which new channels are filled. `"copies"` copies those that the
            MotherNet has. `"pairs"` draws incoming weights v for two new channels at a
            time and outgoing weights z and -z, so that they cancel until training parts
            them; one that is left over is filled as by `"zeros"`, which draws the
            incoming weights, and outgoing ones are 0. This holds for all channels that
            get more: of layers, residual streams, and what the layers of a DenseNet
            append. v is He-normal, z Gaussian with the deviation of the layer's own
            weights. The new channels' running statistics are measured on the images, or
            estimated without them. The inner channels of new residual units are drawn
            one by one in any case.
        layout: the member's entry of `opposite_layouts`, by which the members of one
            MotherNet copy different channels and get noise in opposite pairs; None
            draws both from the key.

    Returns:
        The member's `{"params": ..., "batch_stats": ...}`.

    Raises:
        ValueError: the member cannot be grown from the mother, variables of another
            network, no batch of finite images, too few of them for the statistics of a
            normalisation, an unknown split or growth, or another member's layout.

    References:
        MotherNets (MLSys 2020), section on hatching; Net2Net; Network Morphism.
    """
    if split not in ("random", "equal"):
        raise ValueError(f"split is {short_repr(split)}: expected 'random' or 'equal'")
    if growth not in ("copies", "pairs", "zeros"):
        raise ValueError(
            f"growth is {short_repr(growth)}: expected 'copies', 'pairs' or 'zeros'"
        )
    if isinstance(noise, float | int) and not 0 <= noise < math.inf:
        raise ValueError(f"noise is {noise}: expected 0 or more")
    for role, architecture in (("mother", mother), ("member", member)):
        check_architecture(architecture, f"the {role}")
    check_layout(layout, mother, member)
    check_variables(mother, variables)
    check_key(key)
    if images is not None:
        check_images(images)
        _check_finite(images)
    starts = None if layout is None else layout.starts
    grown = _jitted_grow(variables, mother, member, key, images, split, growth, starts)
    if isinstance(noise, float | int) and noise == 0:
        return grown
    if layout is not None:
        return perturb(grown, layout.noise_key, layout.noise_sign * noise)
    return perturb(grown, key, noise)


def grow(
    variables: Variables,
    mother: Architecture,
    member: Architecture,
    key: jax.Array,
    images: jax.Array | None,
    split: Split,
    growth: Growth = "copies",
    starts: Mapping[str, jax.typing.ArrayLike] | None = None,
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
        growth: rule by which new channels are filled, `"copies"`, `"pairs"` or
            `"zeros"`.
        starts: the first channel that is copied, see `Layout.starts`; None draws it.

    Returns:
        The member's `{"params": ..., "batch_stats": ...}`.

    Raises:
        ValueError: the member cannot be grown from the mother.
    """
    key = named_key(key, "hatch")
    params, dtype = variables["params"], jax.tree.leaves(variables["params"])[0].dtype
    copies_key = named_key(key, "copies")
    walk = walk_along(params, mother, member, copies_key, growth=growth, starts=starts)
    shares = draw_shares(
        named_key(key, "shares"),
        {
            name: (origin.incoming, origin.outgoing.source.shape[0])
            for name, origin in walk.origins.items()
            if origin.layer is not None
        },
        split if growth == "copies" else "equal",  # nothing to draw for one copy
        dtype,
    )
    weights = [op for op in member.operations() if isinstance(op, Weight)]
    fresh = _draw_fresh(named_key(key, "fresh"), weights, walk.origins, growth, dtype)
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
    grown_norms = grow_norms(variables, mother, member, walk, images, dtype)
    hatched = {
        "params": grown | {name: scale for name, (scale, _) in grown_norms.items()},
        "batch_stats": {name: stats for name, (_, stats) in grown_norms.items()},
    }
    if growth == "copies":
        return hatched
    return fill_statistics(hatched, variables, member, walk, images)


# Jitted as in a run: operation by operation, image statistics would round otherwise.
_jitted_grow = jax.jit(grow, static_argnames=("mother", "member", "split", "growth"))


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
            entries; with a minus the opposite of the same noise.
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
    growth: Growth,
    dtype: jax.typing.DTypeLike,
) -> dict[str, jax.Array]:
    """He-normal kernels for the layers with fresh outputs or pairs to read, by name.

    They come from one draw, since each draw costs the compiler a third of a second.
    """
    shapes = {}
    for weight in weights:
        layer, incoming, outgoing = origins[weight.name]
        drawn = weight.inserted_as == "fresh"
        if layer is not None:
            wider = outgoing.source.shape[0] > outgoing.mother_channels
            appended = wider and (growth != "copies" or weight.widened_by == "fresh")
            drawn = appended or incoming.sign is not None
        if drawn:
            shape = kernel_shape(weight, origins[weight.name])
            shapes[weight.name] = jax.ShapeDtypeStruct(shape, dtype)
    if not shapes:
        return {}
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, dtype), shapes)
    flat, unravel = ravel_pytree(zeros)
    draws = unravel(jax.random.normal(key, flat.shape, dtype))
    return {name: draw * he_deviation(draw.shape) for name, draw in draws.items()}


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
        kernel = jnp.zeros(shape, dtype) if fresh is None else paired(fresh, outgoing)
        grown = {"kernel": kernel}
        if weight.bias:
            grown["bias"] = jnp.zeros(shape[-1], dtype)
        return grown
    assert shares is not None
    grown = {"kernel": grown_kernel(weight, origin, shares, fresh)}
    if "bias" in layer:
        grown["bias"] = grow_vector(layer["bias"].astype(dtype), outgoing)
    return grown
