"""What a network costs: its parameters and its training FLOPs, both exact.

Axes: none, this is arithmetic on architectures; `input_shape` is (height, width,
channels) of one image.
"""

from collections.abc import Iterator
from typing import NamedTuple

from mothernets_jax.architectures import Architecture, Conv


class WeightLayer(NamedTuple):
    """A weight layer in its place.

    Attributes:
        kernel_size: number of weights.
        positions: number of places of the output at which the kernel is applied.
        width: output channels or units.
    """

    kernel_size: int
    positions: int
    width: int


def pooled_sides(height: int, width: int) -> tuple[int, int]:
    """Sides of the image after a block: halved while both are above 1."""
    if min(height, width) > 1:
        return height // 2, width // 2
    return height, width


def weight_layers(
    architecture: Architecture, input_shape: tuple[int, int, int], num_classes: int
) -> Iterator[WeightLayer]:
    """The hidden weight layers in order, then the linear head."""
    height, width, channels = input_shape
    if not architecture.blocks:
        channels *= height * width
    for section in architecture.sections:
        for unit in section:
            if isinstance(unit, Conv):
                taps, positions = unit.filter_size**2, height * width
            else:
                taps, positions = 1, 1
            yield WeightLayer(taps * channels * unit.width, positions, unit.width)
            channels = unit.width
        height, width = pooled_sides(height, width)
    yield WeightLayer(channels * num_classes, 1, num_classes)


def num_params(
    architecture: Architecture, input_shape: tuple[int, int, int], num_classes: int
) -> int:
    """Number of trainable parameters (running statistics are not parameters).

    Args:
        architecture: the network.
        input_shape: (height, width, channels) of one image.
        num_classes: outputs of the linear head.
    """
    *hidden, head = weight_layers(architecture, input_shape, num_classes)
    # Batch normalisation has a scale and a bias per channel, a plain layer a bias.
    per_channel = 2 if architecture.batch_norm else 1
    return (
        sum(layer.kernel_size + per_channel * layer.width for layer in hidden)
        + head.kernel_size
        + head.width
    )


def train_flops(
    architecture: Architecture, input_shape: tuple[int, int, int], num_classes: int
) -> float:
    """FLOPs of training on one image: 6 x multiply-adds of convolutions and dense.

    The forward pass, the gradient by inputs and the gradient by weights cost one
    multiply and one add each per weight and position. Padding is counted as computed.

    Args:
        architecture: the network.
        input_shape: (height, width, channels) of one image.
        num_classes: outputs of the linear head.
    """
    layers = weight_layers(architecture, input_shape, num_classes)
    return 6.0 * sum(layer.kernel_size * layer.positions for layer in layers)
