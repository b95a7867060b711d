"""From an architecture to a Linen module, its initial variables and its logits.

Each operation with parameters is a submodule of its name: a `WeightLayer` (a kernel,
and a bias if asked for) or a `BatchNorm`.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax.flatten_util import ravel_pytree

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import (
    HEAD,
    IMAGES,
    Map,
    Norm,
    Operation,
    Weight,
    read_by,
)
from mothernets_jax.arguments import (
    check_architecture,
    check_images,
    check_task,
    check_values,
)
from mothernets_jax.costs import pooled_sides
from mothernets_jax.layers import BatchNorm, conv, max_pool, mean_pool, overlapping_pool
from mothernets_jax.wording import shown

Variables = dict  # {"params": ..., "batch_stats": ...}

# The collection in which a network shows what passes through it.
SHOWN = "shown"


class WeightLayer(nn.Module):
    """A convolution or a dense layer: a kernel, and a bias if asked for."""

    operation: Weight
    width: int
    dtype: jax.typing.DTypeLike | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        size, shape = self.operation.filter_size, (inputs.shape[-1], self.width)
        if size is not None:
            shape = (size, size, *shape)
        kernel = self.param("kernel", nn.initializers.zeros, shape)  # see `init`
        inputs, kernel = promote_dtype(inputs, kernel, dtype=self.dtype)
        if size is None:
            outputs = inputs @ kernel
        else:
            outputs = conv(inputs, kernel, self.operation.stride)
        if self.operation.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.width,))
            bias = bias.astype(outputs.dtype)
            outputs += bias.reshape((1,) * (outputs.ndim - 1) + bias.shape)
        return outputs


class Network(nn.Module):
    """The network of an architecture, from normalised images to logits.

    Attributes:
        architecture: what to build.
        num_classes: outputs of the linear head.
        dtype: in which hidden layers compute; None for that of the variables. The
            statistics of a batch, and the head, keep to that of the variables.
        batch_axis: the mapped axis over which a batch is divided, if it is; the
            statistics are then those of the whole batch.
        first: number of the first operation, for a part of a network.
        stop: number of the operation behind the last; None for all that follow.
    """

    architecture: Architecture
    num_classes: int
    dtype: jax.typing.DTypeLike | None = None
    batch_axis: str | None = None
    first: int = 0
    stop: int | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """Logits [batch, classes] of images [batch, height, width, channels].

        A part takes what the operation before its first makes, and returns what its
        last makes.
        """
        operations = tuple(self.architecture.operations())
        before = operations[self.first - 1].name if self.first else IMAGES
        values = {before: inputs}
        for operation in operations[self.first : self.stop]:
            read = [values[name] for name in read_by(operation)]
            values[operation.name] = value = self._run(operation, read, train)
        self.sow(SHOWN, "values", values)
        return value

    def _run(
        self, operation: Operation, read: list[jax.Array], train: bool
    ) -> jax.Array:
        if isinstance(operation, Weight):
            layer = WeightLayer(
                operation,
                self.num_classes if operation.width is None else operation.width,
                None if operation.name == HEAD else self.dtype,
                name=operation.name,
            )
            return layer(read[0])
        if isinstance(operation, Norm):
            if train:
                axis = self.batch_axis  # its parts make the whole batch
                parts = 1 if axis is None else jax.lax.axis_size(axis)
                check_values(operation.name, parts * math.prod(read[0].shape[:-1]))
            norm: Any = BatchNorm(
                use_running_average=not train,
                dtype=self.dtype,
                axis_name=self.batch_axis if train else None,
                name=operation.name,
            )
            return norm(read[0])
        if isinstance(operation, Map):
            return _map(operation, read[0])
        if operation.kind == "sum":
            return read[0] + read[1]
        return jnp.concatenate(read, axis=-1)


def _map(operation: Map, value: jax.Array) -> jax.Array:
    match operation.kind:
        case "relu":
            return nn.relu(value)
        case "halve" | "mean_pool":
            if value.shape[1:3] == pooled_sides(*value.shape[1:3]):
                return value
            return max_pool(value) if operation.kind == "halve" else mean_pool(value)
        case "max_pool":
            return overlapping_pool(value)
        case "subsample":
            return value[:, :: operation.stride, :: operation.stride]
        case "mean":
            return value.mean(axis=(1, 2))
        case "flatten":
            return value.reshape(value.shape[0], -1)


def init(
    architecture: Architecture,
    key: jax.Array,
    input_shape: tuple[int, int, int],
    num_classes: int,
) -> Variables:
    """Initial variables, `{"params": ..., "batch_stats": ...}`, in float32.

    He-normal kernels, a LeCun-normal head, zero biases, unit scales.

    Args:
        architecture: the network.
        key: a typed key from `jax.random.key`.
        input_shape: (height, width, channels) of one image.
        num_classes: outputs of the linear head.

    Raises:
        ValueError: no architecture, key or shape, or a number of classes below 1.
    """
    check_architecture(architecture)
    check_task(input_shape, num_classes)
    check_key(key)
    return _init(architecture, key, tuple(input_shape), num_classes)


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def _init(architecture, key, input_shape, num_classes):
    images = jnp.zeros((1, *input_shape))
    variables = Network(architecture, num_classes).init(key, images, train=False)
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


def check_key(key: Any) -> None:
    """Raises ValueError unless it is one random key, typed or raw."""
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    raw = dtype == jnp.uint32 and shape is not None and len(shape) == 1
    if not raw and not (typed and shape == ()):
        raise ValueError(
            f"key is {shown(key)}: expected one random key, such as jax.random.key(0)"
        )


def check_variables(architecture: Architecture, variables: Any) -> None:
    """Refuses what cannot be the variables of a network.

    Raises:
        ValueError: another structure, other layers, or another width of one.
    """
    expected = "expected {'params': ..., 'batch_stats': ...} as mn.init makes them"
    if not isinstance(variables, Mapping) or "params" not in variables:
        keys = list(variables) if isinstance(variables, Mapping) else variables
        raise ValueError(f"variables are {shown(keys)}: {expected}")
    params = variables["params"]
    layers = {
        operation.name: operation
        for operation in architecture.operations()
        if isinstance(operation, Weight | Norm)
    }
    for name in layers.keys() ^ set(params):
        there = "lack" if name in layers else "have"
        raise ValueError(
            f"the variables are not those of {shown(str(architecture))}: they {there} "
            f"the layer {name!r}. {expected.capitalize()} for this network"
        )
    for name, layer in layers.items():
        if isinstance(layer, Weight) and layer.width is not None:
            width = params[name]["kernel"].shape[-1]
            if width != layer.width:
                raise ValueError(
                    f"the variables are not those of {shown(str(architecture))}: "
                    f"{name} is {width} wide in them, expected {layer.width}"
                )


@contextlib.contextmanager
def _explained(architecture: Architecture, images: Any) -> Iterator[None]:
    """Says in our words where variables and images do not fit each other."""
    try:
        yield
    except (
        flax.errors.ScopeParamShapeError,
        flax.errors.ScopeParamNotFoundError,
        flax.errors.ScopeCollectionNotFound,
    ) as error:
        reason = str(error).partition(" (https")[0]
        raise ValueError(
            f"the variables do not fit {shown(str(architecture))} on images of "
            f"(height, width, channels) {tuple(images.shape[1:])}: {reason} "
            "Expected images of the shape that mn.init was given"
        ) from error


def abstract_variables(
    architecture: Architecture, input_shape: tuple[int, int, int], num_classes: int
) -> Variables:
    """The shapes and dtypes of `init`, computed without computing anything."""
    key = jax.random.key(0)
    return jax.eval_shape(
        lambda: _init(architecture, key, tuple(input_shape), num_classes)
    )


def apply(
    architecture: Architecture,
    variables: Variables,
    images: jax.Array,
    *,
    train: bool = False,
    dtype: jax.typing.DTypeLike | None = None,
) -> jax.Array:
    """Logits [batch, classes], in the dtype of the variables.

    Args:
        architecture: the network.
        variables: `{"params": ..., "batch_stats": ...}`.
        images: float [batch, height, width, channels], already normalised.
        train: normalise by the batch's own statistics instead of the running ones.
        dtype: in which hidden layers compute; None for that of the variables.

    Raises:
        ValueError: no batch of images, variables of another network or for images of
            another shape, or `train` with a batch normalisation that sees one value a
            channel.
    """
    check_architecture(architecture)
    check_variables(architecture, variables)
    check_images(images)
    with _explained(architecture, images):
        logits, _ = _forward(
            architecture, variables, images, train, mutable=train, dtype=dtype
        )
    return logits


def apply_and_update(
    architecture: Architecture,
    variables: Variables,
    images: jax.Array,
    *,
    dtype: jax.typing.DTypeLike | None = None,
    batch_axis: str | None = None,
    first: int = 0,
    stop: int | None = None,
) -> tuple[jax.Array, dict]:
    """The training pass: logits [batch, classes] and the new running statistics.

    Args:
        architecture: the network.
        variables: `{"params": ..., "batch_stats": ...}`; a part needs its own only.
        images: float [batch, height, width, channels], already normalised; of a part,
            what it reads.
        dtype: in which hidden layers compute; None for that of the variables.
        batch_axis: see `Network`.
        first: see `Network`.
        stop: see `Network`.
    """
    logits, state = _forward(
        architecture,
        variables,
        images,
        True,
        mutable=["batch_stats"],
        dtype=dtype,
        batch_axis=batch_axis,
        first=first,
        stop=stop,
    )
    return logits, state.get("batch_stats", {})


class Moments(NamedTuple):
    """Mean and biased variance of each channel of a value, [channels]."""

    mean: jax.Array
    variance: jax.Array


def shown_values(
    architecture: Architecture, variables: Variables, images: jax.Array
) -> dict[str, jax.Array]:
    """What each operation makes in a training pass, by its name.

    Returns:
        [batch, height, width, channels] or [batch, channels] by operation.
    """
    mutable = ["batch_stats", SHOWN]
    _, state = _forward(architecture, variables, images, True, mutable=mutable)
    (values,) = state[SHOWN]["values"]
    return values


def measured_moments(
    architecture: Architecture, variables: Variables, images: jax.Array
) -> dict[str, Moments]:
    """Of what each operation makes in a training pass, by its name.

    Raises:
        ValueError: images of another shape than the variables are for.
    """

    def moments(value: jax.Array) -> Moments:
        axes = tuple(range(value.ndim - 1))
        return Moments(value.mean(axes), value.var(axes))

    with _explained(architecture, images):
        values = shown_values(architecture, variables, images)
    return {name: moments(value) for name, value in values.items()}


def _forward(
    architecture, variables, images, train, *, mutable, **of_network
) -> tuple[Any, Any]:
    params = variables["params"]
    classes = params[HEAD]["bias"].shape[0] if HEAD in params else 0  # a part without
    network = Network(architecture, classes, **of_network)
    if not of_network.get("first"):
        images = jnp.asarray(images, jax.tree.leaves(params)[0].dtype)
    result: Any = network.apply(variables, images, train=train, mutable=mutable)
    return result if mutable else (result, {})
