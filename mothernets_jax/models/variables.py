"""Variables of a network: drawing, describing and checking them."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import (
    check_architecture,
    check_task,
)
from mothernets_jax.architectures.operations import (
    HEAD,
    Norm,
    Weight,
)
from mothernets_jax.models.network import Network
from mothernets_jax.utils.messages import short_repr

Variables = dict  # {"params": ..., "batch_stats": ...}


def init(
    architecture: Architecture,
    key: jax.Array,
    input_shape: tuple[int, int, int],
    num_classes: int,
) -> Variables:
    """Draws initial variables, `{"params": ..., "batch_stats": ...}`, in float32.

    Kernels are He-normal, the head's LeCun-normal; biases are zero and scales one.

    Args:
        architecture: the network.
        key: a typed key from `jax.random.key`.
        input_shape: (height, width, channels) of one image.
        num_classes: number of outputs of the linear head.

    Raises:
        ValueError: no architecture, no key, an input shape that is none or has its
            channels first, or a number of classes below 1.
    """
    check_architecture(architecture)
    check_task(input_shape, num_classes)
    check_key(key)
    return _init(architecture, key, tuple(input_shape), num_classes)


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def _init(architecture, key, input_shape, num_classes):
    network = Network(architecture, num_classes)
    shapes = jax.eval_shape(
        lambda: network.init(key, jnp.zeros((1, *input_shape)), train=False)
    )
    variables = jax.tree_util.tree_map_with_path(_constant, shapes)
    params = variables["params"]
    # One draw for all kernels: each draw costs the compiler a third of a second.
    flat, unravel = ravel_pytree(params)
    draws = unravel(jax.random.normal(key, flat.shape, flat.dtype))

    def initial(path, leaf, draw):
        if path[-1].key != "kernel":
            return leaf
        gain = 1.0 if path[0].key == HEAD else 2.0
        return draw * math.sqrt(gain / math.prod(leaf.shape[:-1]))

    return {
        "params": jax.tree_util.tree_map_with_path(initial, params, draws),
        "batch_stats": variables.get("batch_stats", {}),
    }


def _constant(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> jax.Array:
    """Initial scales and variances, which are 1, and all else, which is 0 or drawn."""
    value = 1 if path[-1].key in ("scale", "var") else 0
    return jnp.full(leaf.shape, value, leaf.dtype)


def check_key(key: Any) -> None:
    """Raises ValueError unless a value is one random key, typed or raw."""
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    raw = dtype == jnp.uint32 and shape is not None and len(shape) == 1
    if not raw and not (typed and shape == ()):
        raise ValueError(
            f"key is {short_repr(key)}: expected one random key, such as "
            "jax.random.key(0)"
        )


def check_variables(architecture: Architecture, variables: Any) -> None:
    """Refuses variables that cannot be those of a network.

    Args:
        architecture: the network.
        variables: expected to be `{"params": ..., "batch_stats": ...}`.

    Raises:
        ValueError: the variables have another structure, other layers, or a layer of
            another width.
    """
    expected = "expected {'params': ..., 'batch_stats': ...} as mn.init makes them"
    if not isinstance(variables, Mapping) or "params" not in variables:
        keys = list(variables) if isinstance(variables, Mapping) else variables
        raise ValueError(f"variables are {short_repr(keys)}: {expected}")
    params = variables["params"]
    layers = {
        operation.name: operation
        for operation in architecture.operations()
        if isinstance(operation, Weight | Norm)
    }
    for name in layers.keys() ^ set(params):
        there = "lack" if name in layers else "have"
        raise ValueError(
            f"the variables are not those of {short_repr(str(architecture))}: they "
            f"{there} the layer {name!r}. {expected.capitalize()} for this network"
        )
    for name, layer in layers.items():
        if isinstance(layer, Weight) and layer.width is not None:
            width = params[name]["kernel"].shape[-1]
            if width != layer.width:
                raise ValueError(
                    f"the variables are not those of {short_repr(str(architecture))}: "
                    f"{name} is {width} wide in them, expected {layer.width}"
                )


def abstract_variables(
    architecture: Architecture, input_shape: tuple[int, int, int], num_classes: int
) -> Variables:
    """Shapes and dtypes of the variables that `init` draws, without drawing them.

    Args:
        architecture: the network.
        input_shape: (height, width, channels) of one image.
        num_classes: number of outputs of the linear head.
    """
    key = jax.random.key(0)
    return jax.eval_shape(
        lambda: _init(architecture, key, tuple(input_shape), num_classes)
    )
