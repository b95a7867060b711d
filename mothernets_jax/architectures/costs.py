"""Costs of a network: its parameters and its training FLOPs, both exact.

Axes: none, since this is arithmetic on architectures; `input_shape` is (height, width,
channels) of one image.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import check_architecture, check_task
from mothernets_jax.architectures.operations import (
    IMAGES,
    Join,
    Map,
    Norm,
    Operation,
    Weight,
    read_by,
)

Shape = tuple[int, int, int]


class Cost(NamedTuple):
    """Cost of one operation on one image.

    Attributes:
        params: number of trainable parameters.
        multiply_adds: number of multiply-adds in the forward pass; 0 but for
            convolutions and dense layers.
    """

    params: int
    multiply_adds: int


def pooled_sides(height: int, width: int) -> tuple[int, int]:
    """Sides of an image after 2x2 pooling, which halves them while both are above 1."""
    if min(height, width) > 1:
        return height // 2, width // 2
    return height, width


def num_params(
    architecture: Architecture,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    stop: int | None = None,
) -> int:
    """Number of trainable parameters (running statistics are not parameters).

    Args:
        architecture: the network.
        input_shape: (height, width, channels) of one image.
        num_classes: number of outputs of the linear head.
        stop: index of the first operation that is left out; None counts all.
    """
    _check(architecture, input_shape, num_classes)
    costs = list(_costs(architecture, input_shape, num_classes))[:stop]
    return sum(cost.params for cost in costs)


def train_flops(
    architecture: Architecture,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    first: int = 0,
    stop: int | None = None,
) -> float:
    """Training FLOPs of one image: 6 x multiply-adds of convolutions and dense layers.

    The forward pass, the gradient by inputs and the gradient by weights each cost one
    multiply and one add per weight and position. Padding is counted as computed.

    Args:
        architecture: the network.
        input_shape: (height, width, channels) of one image.
        num_classes: number of outputs of the linear head.
        first: index of the first operation that is counted.
        stop: index of the first operation after it that is left out; None counts all
            that follow.
    """
    _check(architecture, input_shape, num_classes)
    costs = list(_costs(architecture, input_shape, num_classes))[first:stop]
    return 6.0 * sum(cost.multiply_adds for cost in costs)


def forward_flops(
    architecture: Architecture,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    stop: int | None = None,
) -> float:
    """FLOPs of predicting one image: a third of those of training on it.

    Args:
        architecture: the network.
        input_shape: (height, width, channels) of one image.
        num_classes: number of outputs of the linear head.
        stop: index of the first operation that is left out; None counts all.
    """
    return train_flops(architecture, input_shape, num_classes, stop=stop) / 3


def kept_values(
    architecture: Architecture, input_shape: tuple[int, int, int], num_classes: int
) -> int:
    """Values that training on one image keeps at least: what weight layers make.

    The gradients need each of them, whatever a compiler fuses or computes again.

    Args:
        architecture: the network.
        input_shape: (height, width, channels) of one image.
        num_classes: number of outputs of the linear head.

    >>> from mothernets_jax.architectures import parse
    >>> kept_values(parse("vgg (3:8) | (3:16)"), (8, 8, 1), 10)
    778
    """
    _check(architecture, input_shape, num_classes)
    shapes = _shapes(architecture, input_shape, num_classes)
    return sum(
        math.prod(shapes[operation.name])
        for operation in architecture.operations()
        if isinstance(operation, Weight)
    )


def norm_positions(
    architecture: Architecture, input_shape: tuple[int, ...]
) -> dict[str, int]:
    """Pixels of one image that each batch normalisation averages over, by its name.

    Multiplied by the images of a batch, this is the number of values behind a channel's
    statistics. It is 1 after a dense layer, and where pooling has left one pixel.

    Args:
        architecture: the network.
        input_shape: (height, width, channels) of one image.

    >>> from mothernets_jax.architectures import parse
    >>> norm_positions(parse("vgg (3:8) | (3:8); batch_norm"), (8, 6, 1))
    {'block1_conv1_norm': 48, 'block2_conv1_norm': 12}
    """
    _check(architecture, input_shape, 1)
    height, width, channels = input_shape
    shapes = _shapes(architecture, (height, width, channels), 1)
    return {
        operation.name: shapes[operation.name][0] * shapes[operation.name][1]
        for operation in architecture.operations()
        if isinstance(operation, Norm)
    }


def _check(architecture: Any, input_shape: Any, num_classes: Any) -> None:
    check_architecture(architecture)
    check_task(input_shape, num_classes)


def _costs(
    architecture: Architecture, input_shape: tuple[int, int, int], num_classes: int
) -> Iterator[Cost]:
    shapes = _shapes(architecture, input_shape, num_classes)
    for operation in architecture.operations():
        made = shapes[operation.name]
        if isinstance(operation, Weight):
            taps = (operation.filter_size or 1) ** 2
            kernel = taps * shapes[operation.reads][2] * made[2]
            bias = made[2] if operation.bias else 0
            yield Cost(kernel + bias, kernel * made[0] * made[1])
        elif isinstance(operation, Norm):
            yield Cost(2 * made[2], 0)  # a scale and a bias
        else:
            yield Cost(0, 0)


def _shapes(
    architecture: Architecture, input_shape: tuple[int, int, int], num_classes: int
) -> dict[str, Shape]:
    """(height, width, channels) of each operation's output, by the operation's name."""
    height, width, channels = input_shape
    shapes: dict[str, Shape] = {IMAGES: (height, width, channels)}
    for operation in architecture.operations():
        read = [shapes[name] for name in read_by(operation)]
        shapes[operation.name] = _shape(operation, read, num_classes)
    return shapes


def _shape(operation: Operation, read: list[Shape], num_classes: int) -> Shape:
    """(height, width, channels) of an operation's output; (1, 1, n) of flat values."""
    height, width, channels = read[0]
    match operation:
        case Weight(width=None):
            return height, width, num_classes
        case Weight(width=filters, stride=stride):
            assert filters is not None
            return math.ceil(height / stride), math.ceil(width / stride), filters
        case Map(kind="halve" | "mean_pool"):
            return *pooled_sides(height, width), channels
        case Map(kind="max_pool"):
            return math.ceil(height / 2), math.ceil(width / 2), channels
        case Map(kind="subsample", stride=stride):
            return math.ceil(height / stride), math.ceil(width / stride), channels
        case Map(kind="mean"):
            return 1, 1, channels
        case Map(kind="flatten"):
            return 1, 1, height * width * channels
        case Join(kind="concatenation"):
            return height, width, sum(shape[2] for shape in read)
    return read[0]
