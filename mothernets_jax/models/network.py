"""Flax modules of an architecture's operations.

Each operation with parameters is a submodule of its name: a `WeightLayer` (a kernel,
and a bias if asked for) or a `BatchNorm`.
"""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import (
    check_values,
)
from mothernets_jax.architectures.costs import pooled_sides
from mothernets_jax.architectures.operations import (
    HEAD,
    IMAGES,
    Map,
    Norm,
    Operation,
    Weight,
    read_by,
)
from mothernets_jax.models.layers import (
    BatchNorm,
    conv,
    max_pool,
    mean_pool,
    overlapping_pool,
)

# The collection in which a network records the values that it computes.
INTERMEDIATES = "shown"


@functools.cache  # Flax traces it anew for every layer in every pass
def _normal(gain: float) -> nn.initializers.Initializer:
    """He-normal for a gain of 2, LeCun-normal for 1; not truncated."""
    return nn.initializers.variance_scaling(gain, "fan_in", "normal")


class WeightLayer(nn.Module):
    """A convolution or a dense layer: a kernel, and a bias if asked for.

    Attributes:
        operation: description of the layer.
        width: number of channels that the layer makes.
        dtype: dtype in which the layer computes; None for that of inputs and kernel.
    """

    operation: Weight
    width: int
    dtype: jax.typing.DTypeLike | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        size, shape = self.operation.filter_size, (inputs.shape[-1], self.width)
        if size is not None:
            shape = (size, size, *shape)
        gain = 1.0 if self.operation.name == HEAD else 2.0
        kernel = self.param("kernel", _normal(gain), shape)  # `init` draws all at once
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
    """The network of an architecture as a Linen module, from images to logits.

    For whatever takes a Flax module. `init`, `apply` and `apply_train` of this package
    do the same without one, check their arguments, and draw initial variables in one
    piece (others than the module's `init`, of the same distribution, which takes longer
    to compile). Variables are interchangeable, and those of `hatch` fit, too.

    Attributes:
        architecture: architecture of the network, from `parse`, `vgg`, `mothernet`, ...
        num_classes: number of outputs of the linear head.
        dtype: dtype in which hidden layers compute; None for that of the variables. The
            statistics of a batch, and the head, keep to that of the variables.
        batch_axis: name of the mapped axis over which a batch is divided, the
            statistics being those of the whole batch; None for a batch in one piece.
        first: index of the first operation, above 0 for a part of a network.
        stop: index of the operation behind the last; None for all that follow.

    Images are floats, (pixels - mean) / std. In training the running statistics of
    batch normalisation are a mutable collection, whose new values are to be kept:

    >>> import jax
    >>> import mothernets_jax as mn
    >>> network = mn.Network(mn.parse("vgg (3:4); batch_norm"), num_classes=2)
    >>> images = jax.random.normal(jax.random.key(0), (6, 8, 8, 1))
    >>> variables = network.init(jax.random.key(1), images, train=False)
    >>> logits, updates = network.apply(
    ...     variables, images, train=True, mutable=["batch_stats"]
    ... )
    >>> variables |= updates
    >>> network.apply(variables, images, train=False).shape
    (6, 2)
    """

    architecture: Architecture
    num_classes: int
    dtype: jax.typing.DTypeLike | None = None
    batch_axis: str | None = None
    first: int = 0
    stop: int | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """Computes logits [batch, classes] of images [batch, height, width, channels].

        A part of a network takes what the operation before its first makes, and returns
        what its last makes.

        Args:
            inputs: float images, already normalised; for a part, the value it reads.
            train: whether batch normalisation uses the batch's own statistics.
        """
        operations = tuple(self.architecture.operations())
        before = operations[self.first - 1].name if self.first else IMAGES
        values = {before: inputs}
        for operation in operations[self.first : self.stop]:
            read = [values[name] for name in read_by(operation)]
            values[operation.name] = value = self._run(operation, read, train)
        if not self.is_initializing():
            self.sow(INTERMEDIATES, "values", values)
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
