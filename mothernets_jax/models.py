"""From an architecture to a Linen module, its initial variables and its logits.

A unit is a submodule named by `architectures.unit_names`; its layers are `layer` (a
kernel, and a bias where nothing normalises) and `norm`.
"""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax.flatten_util import ravel_pytree

from mothernets_jax.architectures import (
    HEAD_NAME,
    Architecture,
    Conv,
    Unit,
    unit_names,
)
from mothernets_jax.costs import pooled_sides
from mothernets_jax.layers import BatchNorm, conv, max_pool

Variables = dict  # {"params": ..., "batch_stats": ...}

# The collection in which a network shows what each unit hands on, and under this name
# what the dense section receives.
OUTPUTS = "outputs"
FEATURES_NAME = "features"


class WeightLayer(nn.Module):
    """A convolution or a dense layer: a kernel, and a bias if asked for."""

    unit: Unit
    use_bias: bool
    dtype: jax.typing.DTypeLike | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        unit, shape = self.unit, (inputs.shape[-1], self.unit.width)
        if isinstance(unit, Conv):
            shape = (unit.filter_size, unit.filter_size, *shape)
        kernel = self.param("kernel", nn.initializers.zeros, shape)  # see `init`
        inputs, kernel = promote_dtype(inputs, kernel, dtype=self.dtype)
        is_conv = isinstance(unit, Conv)
        outputs = conv(inputs, kernel) if is_conv else inputs @ kernel
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.unit.width,))
            bias = bias.astype(outputs.dtype)
            outputs += bias.reshape((1,) * (outputs.ndim - 1) + bias.shape)
        return outputs


class PlainUnit(nn.Module):
    """A weight layer, batch normalisation if asked for, and a ReLU."""

    unit: Unit
    batch_norm: bool
    dtype: jax.typing.DTypeLike | None = None
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool) -> jax.Array:
        layer = WeightLayer(
            self.unit, use_bias=not self.batch_norm, dtype=self.dtype, name="layer"
        )
        outputs = layer(inputs)
        if self.batch_norm:
            norm = BatchNorm(
                use_running_average=not train,
                dtype=self.dtype,
                axis_name=self.batch_axis if train else None,
                name="norm",
            )
            outputs = norm(outputs)
        outputs = nn.relu(outputs)
        self.sow(OUTPUTS, "unit", outputs)
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
    """

    architecture: Architecture
    num_classes: int
    dtype: jax.typing.DTypeLike | None = None
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Logits [batch, classes] of images [batch, height, width, channels]."""
        features, names = images, unit_names(self.architecture)
        for block, block_names in zip(self.architecture.blocks, names, strict=False):
            features = self._section(features, block, block_names, train)
            if features.shape[1:3] != pooled_sides(*features.shape[1:3]):
                features = max_pool(features)
        if self.architecture.blocks:
            features = features.mean(axis=(1, 2))
        else:
            features = features.reshape(features.shape[0], -1)
        self.sow(OUTPUTS, FEATURES_NAME, features)
        features = self._section(features, self.architecture.dense, names[-1], train)
        head = nn.Dense(
            self.num_classes, kernel_init=nn.initializers.zeros, name=HEAD_NAME
        )
        return head(features)

    def _section(self, features, units, names, train):
        for unit, name in zip(units, names, strict=True):
            module = PlainUnit(
                unit,
                self.architecture.batch_norm,
                self.dtype,
                self.batch_axis,
                name=name,
            )
            features = module(features, train)
        return features


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
    """
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
        gain = 1.0 if path[0].key == HEAD_NAME else 2.0
        return draw * math.sqrt(gain / math.prod(leaf.shape[:-1]))

    return {
        "params": jax.tree_util.tree_map_with_path(initial, params, draws),
        "batch_stats": variables.get("batch_stats", {}),
    }


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
) -> jax.Array:
    """Logits [batch, classes], in the dtype of the variables.

    Args:
        architecture: the network.
        variables: `{"params": ..., "batch_stats": ...}`.
        images: float [batch, height, width, channels], already normalised.
        train: normalise by the batch's own statistics instead of the running ones.
    """
    logits, _ = _forward(architecture, variables, images, train, mutable=train)
    return logits


def apply_and_update(
    architecture: Architecture,
    variables: Variables,
    images: jax.Array,
    *,
    dtype: jax.typing.DTypeLike | None = None,
    batch_axis: str | None = None,
) -> tuple[jax.Array, dict]:
    """The training pass: logits [batch, classes] and the new running statistics.

    Args:
        architecture: the network.
        variables: `{"params": ..., "batch_stats": ...}`.
        images: float [batch, height, width, channels], already normalised.
        dtype: in which hidden layers compute; None for that of the variables.
        batch_axis: see `Network`.
    """
    logits, state = _forward(
        architecture,
        variables,
        images,
        True,
        mutable=["batch_stats"],
        dtype=dtype,
        batch_axis=batch_axis,
    )
    return logits, state.get("batch_stats", {})


def unit_outputs(
    architecture: Architecture, variables: Variables, images: jax.Array
) -> dict[str, jax.Array]:
    """What each unit hands on in a training pass, by its name.

    Returns:
        [batch, height, width, channels] or [batch, channels] by unit, before pooling,
        and under `FEATURES_NAME` what the dense section receives.
    """
    mutable = ["batch_stats", OUTPUTS]
    _, state = _forward(architecture, variables, images, True, mutable=mutable)
    (features,) = state[OUTPUTS].pop(FEATURES_NAME)
    outputs = {name: shown["unit"][0] for name, shown in state[OUTPUTS].items()}
    return {**outputs, FEATURES_NAME: features}


def _forward(
    architecture, variables, images, train, *, mutable, dtype=None, batch_axis=None
) -> tuple[Any, Any]:
    bias = variables["params"][HEAD_NAME]["bias"]
    network = Network(architecture, bias.shape[0], dtype, batch_axis)
    images = jnp.asarray(images, bias.dtype)
    result: Any = network.apply(variables, images, train=train, mutable=mutable)
    return result if mutable else (result, {})
