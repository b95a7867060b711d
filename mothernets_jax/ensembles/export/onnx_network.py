"""A network's operations as ONNX's operators, one to one.

Axes: ONNX's values are [batch, channels, height, width] or [batch, channels], kernels
of convolutions [out, in, height, width].
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import pooled_sides
from mothernets_jax.architectures.operations import (
    HEAD,
    IMAGES,
    Join,
    Map,
    Norm,
    Weight,
    read_by,
)
from mothernets_jax.ensembles.export.onnx_folding import Layer, fold_norms
from mothernets_jax.ensembles.export.onnx_graph import Graph
from mothernets_jax.models.layers import NORM_EPSILON, same_padding

Sides = tuple[int, int] | None


class Inputs(NamedTuple):
    """The normalised inputs in a graph, which all members read.

    Attributes:
        name: name of their value, float32 [batch, height, width, channels], or
            [batch, features] of features.
        sides: height and width of one image, in pixels.
        are_features: whether they are [batch, features].
    """

    name: str
    sides: tuple[int, int]
    are_features: bool


class Value(NamedTuple):
    """What an operation makes.

    Attributes:
        name: its name in the graph.
        sides: height and width, in pixels; None of [batch, channels].
    """

    name: str
    sides: Sides


def add_network(
    graph: Graph,
    prefix: str,
    architecture: Architecture,
    variables: Mapping[str, Any],
    inputs: Inputs,
) -> str:
    """Adds a network in evaluation mode to a graph.

    Args:
        graph: the graph, which it is added to.
        prefix: what names of the network's own values begin with, before a slash.
        architecture: the network.
        variables: the network's `{"params": ..., "batch_stats": ...}`.
        inputs: the normalised inputs.

    Returns:
        The name of its logits, float32 [batch, classes].
    """
    operations = tuple(architecture.operations())
    layers, replaced = fold_norms(operations, variables)
    values: dict[str, Value] = {}
    for operation in operations:
        name = f"{prefix}/{operation.name}"
        if operation.name in replaced:
            made = values[replaced[operation.name]]
        elif isinstance(operation, Map) and operation.kind == "flatten":
            if operation.reads == IMAGES:
                made = _flat_inputs(graph, name, inputs)
            else:
                made = _flatten(graph, name, values[operation.reads])
        else:
            read = [
                _planes(graph, inputs) if own == IMAGES else values[own]
                for own in read_by(operation)
            ]
            if isinstance(operation, Weight):
                layer = layers[operation.name]
                made = _weight(graph, name, operation, layer, read[0])
            elif isinstance(operation, Norm):
                made = _norm(graph, name, operation, variables, read[0])
            elif isinstance(operation, Map):
                made = _map(graph, name, operation, read[0])
            else:
                made = _join(graph, name, operation, read)
        values[operation.name] = made
    return values[HEAD].name


def _planes(graph: Graph, inputs: Inputs) -> Value:
    """The inputs as [batch, channels, height, width]."""
    if inputs.are_features:
        axes = graph.constant("sides_of_features", np.array([2, 3], np.int64))
        name = graph.add("Unsqueeze", "planes", inputs.name, axes)
    else:
        name = graph.add("Transpose", "planes", inputs.name, perm=(0, 3, 1, 2))
    return Value(name, inputs.sides)


def _flat_inputs(graph: Graph, name: str, inputs: Inputs) -> Value:
    """The inputs as [batch, channels of all pixels]."""
    if inputs.are_features:
        return Value(inputs.name, None)
    return Value(graph.add("Flatten", name, inputs.name, axis=1), None)


def _flatten(graph: Graph, name: str, value: Value) -> Value:
    """The channels of a value's pixels, pixel by pixel."""
    if value.sides is None:
        return value
    pixels = graph.add("Transpose", f"{name}_pixels", value.name, perm=(0, 2, 3, 1))
    return Value(graph.add("Flatten", name, pixels, axis=1), None)


def _weight(
    graph: Graph, name: str, operation: Weight, layer: Layer, value: Value
) -> Value:
    kernel, read = layer.kernel, [value.name]
    size, stride = operation.filter_size or 1, operation.stride
    if value.sides is not None:
        if operation.filter_size is None:  # a dense layer on every pixel
            kernel = kernel[None, None]
        kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    read.append(graph.constant(f"{name}/kernel", kernel))
    if layer.bias is not None:
        read.append(graph.constant(f"{name}/bias", layer.bias))
    if value.sides is None:
        return Value(graph.add("Gemm", name, *read), None)
    before, after = same_padding(size)
    made = graph.add(
        "Conv",
        name,
        *read,
        kernel_shape=(size, size),
        strides=(stride, stride),
        pads=(before, before, after, after),
    )
    return Value(made, _strided(value.sides, stride))


def _norm(
    graph: Graph, name: str, operation: Norm, variables: Mapping[str, Any], value: Value
) -> Value:
    params = variables["params"][operation.name]
    stats = variables["batch_stats"][operation.name]
    own = params["scale"], params["bias"], stats["mean"], stats["var"]
    read = [
        graph.constant(f"{name}/{what}", np.asarray(array, np.float32))
        for what, array in zip(("scale", "bias", "mean", "var"), own, strict=True)
    ]
    epsilon = NORM_EPSILON
    made = graph.add("BatchNormalization", name, value.name, *read, epsilon=epsilon)
    return Value(made, value.sides)


def _join(graph: Graph, name: str, operation: Join, values: list[Value]) -> Value:
    read, sides = [own.name for own in values], values[0].sides
    if operation.kind == "sum":
        return Value(graph.add("Add", name, *read), sides)
    return Value(graph.add("Concat", name, *read, axis=1), sides)


def _map(graph: Graph, name: str, operation: Map, value: Value) -> Value:
    if operation.kind == "relu":
        return Value(graph.add("Relu", name, value.name), value.sides)
    assert value.sides is not None
    kind, size, stride, before = "MaxPool", 1, 1, 0
    match operation.kind:
        case "mean":
            pixel = graph.add("GlobalAveragePool", f"{name}_mean", value.name)
            return Value(graph.add("Flatten", name, pixel, axis=1), None)
        case "halve" | "mean_pool":
            sides = pooled_sides(*value.sides)
            if sides == value.sides:
                return value
            kind = "MaxPool" if operation.kind == "halve" else "AveragePool"
            size = stride = 2
        case "max_pool":
            size, stride, before = 3, 2, same_padding(3)[0]
            sides = _strided(value.sides, stride)
        case "subsample":  # the maximum of one pixel
            stride = operation.stride
            sides = _strided(value.sides, stride)
            if stride == 1:
                return value
    made = graph.add(
        kind,
        name,
        value.name,
        kernel_shape=(size, size),
        strides=(stride, stride),
        pads=(before,) * 4,
    )
    return Value(made, sides)


def _strided(sides: tuple[int, int], stride: int) -> tuple[int, int]:
    """Sides of what an operation of some stride makes, with `same_padding`."""
    height, width = sides
    return -(-height // stride), -(-width // stride)
