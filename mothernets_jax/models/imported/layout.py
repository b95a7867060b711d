"""The places at which another library's state dict keeps what our layers hold.

Axes: kernels are [height, width, in, out] or [in, out] here, and [out, in, height,
width] or [out, in] in PyTorch.
"""

from typing import NamedTuple

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import (
    HEAD,
    IMAGES,
    Join,
    Norm,
    Weight,
    read_by,
)

NORM_LEAVES = {
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


class Layout(NamedTuple):
    """A network of another library, and the modules that hold its parts.

    Attributes:
        architecture: the network.
        modules: name of the module that holds the parameters and statistics of each
            weight layer and normalisation, by our name; the head's is missing where
            their head has no counterpart.
        folded: name of the convolution whose bias the mean of a normalisation takes in,
            by our name of the normalisation.
        other_heads: first parts of the keys of a head that has no counterpart.
        class_biases: keys, one of which may be there, of the bias of their last layer,
            which tells the number of classes.
    """

    architecture: Architecture
    modules: dict[str, str]
    folded: dict[str, str]
    other_heads: tuple[str, ...]
    class_biases: tuple[str, ...]


def own_layout(architecture: Architecture, modules: dict[str, str]) -> Layout:
    """The layout of a network whose every layer has a counterpart.

    Args:
        architecture: the network.
        modules: name of the module of each layer, by our name.
    """
    return Layout(architecture, modules, {}, (), (f"{modules[HEAD]}.bias",))


def channel_counts(
    architecture: Architecture, channels: int, classes: int
) -> dict[str, int]:
    """Number of channels of the images and of each operation's output, by name.

    Args:
        architecture: a network that flattens nothing.
        channels: number of channels of an image.
        classes: number of outputs of the head.
    """
    counts = {IMAGES: channels}
    for operation in architecture.operations():
        read = [counts[name] for name in read_by(operation)]
        if isinstance(operation, Weight):
            made = classes if operation.width is None else operation.width
        elif isinstance(operation, Join) and operation.kind == "concatenation":
            made = sum(read)
        else:
            made = read[0]
        counts[operation.name] = made
    return counts


def expected_shapes(
    layout: Layout, channels: int, classes: int
) -> dict[str, tuple[int, ...]]:
    """Shapes of the entries that a state dict needs, by their keys.

    Args:
        layout: the network and its modules.
        channels: number of channels of an image.
        classes: number of outputs of the head.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    counts = channel_counts(layout.architecture, channels, classes)
    for operation in layout.architecture.operations():
        name, made = operation.name, counts[operation.name]
        module = layout.modules.get(name)
        if isinstance(operation, Weight) and module is not None:
            taps = (operation.filter_size,) * 2 if operation.filter_size else ()
            shapes[f"{module}.weight"] = (made, counts[operation.reads], *taps)
            if operation.bias:
                shapes[f"{module}.bias"] = (made,)
        elif isinstance(operation, Norm):
            for leaf in NORM_LEAVES.values():
                shapes[f"{module}.{leaf}"] = (made,)
            if name in layout.folded:
                shapes[f"{layout.folded[name]}.bias"] = (made,)
    return shapes
