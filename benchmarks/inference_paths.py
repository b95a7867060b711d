"""Ways of computing an ensemble's logits: one by one, stacked, folded, in bfloat16.

Each is a function from raw images [batch, height, width, channels] to float32 logits
[members, batch, classes], in the order of the ensemble's members.
"""

import functools
from collections import Counter, defaultdict
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import (
    HEAD,
    IMAGES,
    Join,
    Map,
    Norm,
    Weight,
    read_by,
)
from mothernets_jax.ensembles.ensemble import Ensemble
from mothernets_jax.models.apply import apply
from mothernets_jax.models.layers import NORM_EPSILON, conv
from mothernets_jax.models.network import _map
from mothernets_jax.models.variables import Variables
from mothernets_jax.training.augment import normalise

Path = Callable[[np.ndarray], np.ndarray]


def one_by_one(ensemble: Ensemble, dtype: jax.typing.DTypeLike | None = None) -> Path:
    """A program a member, as the library's own, perhaps in another dtype."""
    programs = [
        (jax.jit(functools.partial(_forward, m.architecture, dtype)), m.variables)
        for m in ensemble.members.values()
    ]

    def run(images):
        found = [f(own, images, ensemble.mean, ensemble.std) for f, own in programs]
        return np.stack(jax.device_get(found))

    return run


def _forward(architecture, dtype, variables, images, mean, std):
    return apply(architecture, variables, normalise(images, mean, std), dtype=dtype)


def stacked(ensemble: Ensemble) -> Path:
    """A program for all members of one shape, over whose variables it is mapped."""
    groups: dict[Architecture, list[int]] = defaultdict(list)
    members = [*ensemble.members.values()]
    for place, member in enumerate(members):
        groups[member.architecture].append(place)
    programs = []
    for architecture, places in groups.items():
        own = [members[place].variables for place in places]
        together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *own)
        forward = functools.partial(_forward, architecture, None)
        mapped = jax.jit(jax.vmap(forward, in_axes=(0, None, None, None)))
        programs.append((mapped, together, places))

    def run(images):
        found = [f(own, images, ensemble.mean, ensemble.std) for f, own, _ in programs]
        logits = np.concatenate(jax.device_get(found))
        order = [place for _, _, places in programs for place in places]
        return logits[np.argsort(order)]

    return run


def folded(ensemble: Ensemble) -> Path:
    """A program a member, with normalisations folded into the kernels before them."""
    programs = [
        (
            jax.jit(functools.partial(_folded_forward, m.architecture)),
            fold(m.architecture, m.variables),
        )
        for m in ensemble.members.values()
    ]

    def run(images):
        found = [f(own, images, ensemble.mean, ensemble.std) for f, own in programs]
        return np.stack(jax.device_get(found))

    return run


def foldable(architecture: Architecture) -> dict[str, str]:
    """Norms whose value can be that of a convolution: what they read, by their name."""
    operations = tuple(architecture.operations())
    readers = Counter(name for own in operations for name in read_by(own))
    weights = {own.name for own in operations if isinstance(own, Weight)}
    return {
        own.name: own.reads
        for own in operations
        if isinstance(own, Norm) and own.reads in weights and readers[own.reads] == 1
    }


def fold(architecture: Architecture, variables: Variables) -> dict:
    """Kernels and biases by layer, and scale and shift of the norms that are left."""
    params, stats = variables["params"], variables["batch_stats"]
    folds, found = foldable(architecture), {}
    for own in architecture.operations():
        if isinstance(own, Weight):
            kernel = params[own.name]["kernel"]
            bias = params[own.name].get("bias", jnp.zeros(kernel.shape[-1]))
            found[own.name] = kernel, bias
        elif isinstance(own, Norm):
            deviation = jnp.sqrt(stats[own.name]["var"] + NORM_EPSILON)
            scale = params[own.name]["scale"] / deviation
            shift = params[own.name]["bias"] - stats[own.name]["mean"] * scale
            if own.name in folds:
                kernel, bias = found[folds[own.name]]
                found[folds[own.name]] = kernel * scale, bias * scale + shift
            else:
                found[own.name] = scale, shift
    return found


def _folded_forward(architecture, folded_variables, images, mean, std):
    folds = foldable(architecture)
    values = {IMAGES: normalise(images, mean, std)}
    for own in architecture.operations():
        read = [values[name] for name in read_by(own)]
        if isinstance(own, Weight):
            kernel, bias = folded_variables[own.name]
            product = (
                read[0] @ kernel
                if own.filter_size is None
                else conv(read[0], kernel, own.stride)
            )
            value = product + bias.reshape((1,) * (product.ndim - 1) + bias.shape)
        elif isinstance(own, Norm) and own.name in folds:
            (value,) = read
        elif isinstance(own, Norm):
            (value,) = read
            axes = (1,) * (value.ndim - 1) + (-1,)
            scale, shift = folded_variables[own.name]
            value = value * scale.reshape(axes) + shift.reshape(axes)
        elif isinstance(own, Map):
            value = _map(own, read[0])
        else:
            assert isinstance(own, Join)
            is_sum = own.kind == "sum"
            value = read[0] + read[1] if is_sum else jnp.concatenate(read, axis=-1)
        values[own.name] = value
    return values[HEAD]
