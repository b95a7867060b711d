"""Batch normalisation folded into the layer whose outputs it normalises.

With its running statistics a normalisation is y = (x - mean) s + bias for each channel,
s = scale / sqrt(var + epsilon). Where x = W u + b is read by nothing else,
y = (s W) u + (b - mean) s + bias is a layer of its own, and the normalisation is free.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.architectures.operations import Norm, Operation, Weight, read_by
from mothernets_jax.models.layers import NORM_EPSILON


class Layer(NamedTuple):
    """The parameters of a convolution or a dense layer, float32.

    Attributes:
        kernel: [height, width, in, out] of a convolution, [in, out] of a dense layer.
        bias: [out]; None for a layer without one.
    """

    kernel: np.ndarray
    bias: np.ndarray | None


def fold_norms(
    operations: Iterable[Operation], variables: Mapping[str, Any]
) -> tuple[dict[str, Layer], dict[str, str]]:
    """Folds normalisations into layers, in float64.

    Args:
        operations: the operations of a network.
        variables: the network's `{"params": ..., "batch_stats": ...}`.

    Returns:
        The parameters of all layers by name, with what was folded into them; and for
        each normalisation that was folded, the layer that makes its value instead.
        Others stay: before a layer, as in pre-activation networks, or where something
        else reads what they normalise.
    """
    operations = tuple(operations)
    readers = Counter(name for own in operations for name in read_by(own))
    params = variables["params"]
    kernels, biases, replaced = {}, {}, {}
    for operation in operations:
        if isinstance(operation, Weight):
            own = params[operation.name]
            kernels[operation.name] = np.asarray(own["kernel"], np.float64)
            if operation.bias:
                biases[operation.name] = np.asarray(own["bias"], np.float64)
        elif (
            isinstance(operation, Norm)
            and operation.reads in kernels
            and readers[operation.reads] == 1
        ):
            layer = replaced[operation.name] = operation.reads
            scale, shift = _affine(operation.name, variables)
            kernels[layer] = kernels[layer] * scale
            biases[layer] = biases.get(layer, 0) * scale + shift
    layers = {
        name: Layer(_narrow(kernel), _narrow(biases[name]) if name in biases else None)
        for name, kernel in kernels.items()
    }
    return layers, replaced


def _affine(name: str, variables: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Factor and summand of each channel, float64 [channels], of a normalisation."""
    params, stats = variables["params"][name], variables["batch_stats"][name]
    scale, bias = (np.asarray(params[own], np.float64) for own in ("scale", "bias"))
    mean, var = (np.asarray(stats[own], np.float64) for own in ("mean", "var"))
    factor = scale / np.sqrt(var + NORM_EPSILON)
    return factor, bias - mean * factor


def _narrow(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32)
