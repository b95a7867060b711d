"""Ways of computing an ensemble's logits: one by one, stacked, folded, in bfloat16.

Each is a function from raw images [batch, height, width, channels] to float32 logits
[members, batch, classes], in the order of the ensemble's members.
"""

import functools
from collections import defaultdict
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
from mothernets_jax.ensembles.export.onnx_folding import fold_norms
from mothernets_jax.models.apply import apply
from mothernets_jax.models.layers import NORM_EPSILON, conv
from mothernets_jax.models.network import _map
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
    programs = []
    for member in ensemble.members.values():
        operations = member.architecture.operations()
        layers, replaced = fold_norms(operations, member.variables)
        forward = functools.partial(_folded_forward, member.architecture, replaced)
        programs.append((jax.jit(forward), (layers, member.variables)))

    def run(images):
        found = [f(own, images, ensemble.mean, ensemble.std) for f, own in programs]
        return np.stack(jax.device_get(found))

    return run


def _folded_forward(architecture, replaced, parameters, images, mean, std):
    layers, variables = parameters
    values = {IMAGES: normalise(images, mean, std)}
    for own in architecture.operations():
        read = [values[name] for name in read_by(own)]
        if isinstance(own, Weight):
            kernel, bias = layers[own.name]
            value = (
                read[0] @ kernel
                if own.filter_size is None
                else conv(read[0], kernel, own.stride)
            )
            value = value if bias is None else value + _per_channel(bias, value)
        elif isinstance(own, Norm) and own.name in replaced:
            (value,) = read
        elif isinstance(own, Norm):
            params = variables["params"][own.name]
            stats = variables["batch_stats"][own.name]
            scale = params["scale"] / jnp.sqrt(stats["var"] + NORM_EPSILON)
            shift = params["bias"] - stats["mean"] * scale
            value = read[0] * _per_channel(scale, read[0])
            value = value + _per_channel(shift, value)
        elif isinstance(own, Map):
            value = _map(own, read[0])
        else:
            assert isinstance(own, Join)
            is_sum = own.kind == "sum"
            value = read[0] + read[1] if is_sum else jnp.concatenate(read, axis=-1)
        values[own.name] = value
    return values[HEAD]


def _per_channel(values, like):
    return values.reshape((1,) * (like.ndim - 1) + values.shape)
