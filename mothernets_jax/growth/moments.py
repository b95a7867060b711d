"""Moments of the values in a network: measured on images, or estimated."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import (
    Join,
    Map,
    Norm,
    Weight,
)
from mothernets_jax.models.apply import intermediates, misfits_explained
from mothernets_jax.models.variables import Variables


class Moments(NamedTuple):
    """Moments of each channel of a value.

    Attributes:
        mean: mean of each channel, [channels].
        variance: biased variance of each channel, [channels].
    """

    mean: jax.Array
    variance: jax.Array


def estimated_moments(
    architecture: Architecture, variables: Variables, *, of_layers: bool = False
) -> dict[str, Moments]:
    """Estimates the moments of values from the parameters of normalisations.

    A normalised channel is taken for a Gaussian whose mean and standard deviation are
    the normalisation's bias and |scale|. The terms of a sum are taken for independent,
    and pooling is left out.

    Args:
        architecture: the network.
        variables: the network's `{"params": ..., "batch_stats": ...}`.
        of_layers: whether weight layers have moments, too. What they read is taken for
            independent, borders are left out, and where nothing is known of what a
            layer reads, as of images, it has mean 0 and variance 1.

    Returns:
        Moments of each operation's output, by the operation's name, without those that
        only the images decide.
    """
    found: dict[str, Moments] = {}
    for operation in architecture.operations():
        match operation:
            case Norm(name=name):
                norm = variables["params"][name]
                found[name] = Moments(norm["bias"], norm["scale"] ** 2)
            case Weight(name=name) if of_layers:
                read = found.get(operation.reads)
                found[name] = _of_layer(variables["params"][name], read)
            case Map(kind="relu") if operation.reads in found:
                found[operation.name] = _rectified(found[operation.reads])
            case Map(kind=kind) if operation.reads in found and kind != "flatten":
                found[operation.name] = found[operation.reads]
            case Join(reads=(one, other)) if one in found and other in found:
                join = jnp.add if operation.kind == "sum" else _side_by_side
                found[operation.name] = jax.tree.map(join, found[one], found[other])
    return found


def _side_by_side(one: jax.Array, other: jax.Array) -> jax.Array:
    return jnp.concatenate([one, other])


def _of_layer(layer: dict, read: Moments | None) -> Moments:
    """Moments of what a layer makes; None for inputs of mean 0 and variance 1."""
    kernel = layer["kernel"]
    taps = tuple(range(kernel.ndim - 2))
    sums, squares = kernel.sum(taps), (kernel**2).sum(taps)
    if read is None:
        read = Moments(jnp.zeros_like(sums[:, 0]), jnp.ones_like(sums[:, 0]))
    mean = read.mean @ sums
    return Moments(mean + layer.get("bias", 0), read.variance @ squares)


def _rectified(moments: Moments) -> Moments:
    """Moments of max(x, 0) for a Gaussian x, channel by channel.

    With z = mean / deviation, phi and Phi the normal density and distribution:
    E max(x, 0) = mean Phi(z) + deviation phi(z),
    E max(x, 0)^2 = (mean^2 + deviation^2) Phi(z) + mean deviation phi(z).
    """
    mean, variance = moments
    deviation = jnp.sqrt(variance)
    z = mean / jnp.maximum(deviation, jnp.finfo(deviation.dtype).tiny)
    density, distribution = jax.scipy.stats.norm.pdf(z), jax.scipy.stats.norm.cdf(z)
    first = mean * distribution + deviation * density
    second = (mean**2 + variance) * distribution + mean * deviation * density
    return Moments(first, jnp.maximum(second - first**2, 0))


def measured_moments(
    architecture: Architecture, variables: Variables, images: jax.Array
) -> dict[str, Moments]:
    """Measures the moments of values in a training pass.

    Args:
        architecture: the network.
        variables: the network's `{"params": ..., "batch_stats": ...}`.
        images: float [batch, height, width, channels], already normalised.

    Returns:
        Moments of the images and of each operation's output, by name.

    Raises:
        ValueError: the images have another shape than the variables are for.
    """

    def moments(value: jax.Array) -> Moments:
        axes = tuple(range(value.ndim - 1))
        return Moments(value.mean(axes), value.var(axes))

    with misfits_explained(architecture, images):
        values = intermediates(architecture, variables, images)
    return {name: moments(value) for name, value in values.items()}
