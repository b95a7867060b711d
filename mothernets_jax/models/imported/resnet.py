"""ResNets and Wide ResNets as torchvision and timm name their parts.

In both libraries a bottleneck strides in its 3x3 convolution, as it does here.
"""

import re

from mothernets_jax.architectures.operations import Norm, Weight
from mothernets_jax.architectures.resnet import ResNet
from mothernets_jax.models.imported.layout import Layout, own_layout
from mothernets_jax.presets import resnet_of_depth

_PARTS = {"projection": "downsample.0", "shortcut": "downsample.1"}
_ENDS = {"stem": "conv1", "stem_norm": "bn1", "head": "fc"}


def resnet_layout(depth: int, *, inner: float = 1.0) -> Layout:
    """The layout of a ResNet for large images.

    Args:
        depth: 18, 34, 50, 101 or 152.
        inner: factor on the channels inside the units, 2.0 in Wide ResNet-50-2.
    """
    architecture = resnet_of_depth(depth, stem="imagenet", inner=inner)
    return own_layout(architecture, _modules(architecture))


def _modules(architecture: ResNet) -> dict[str, str]:
    return {
        operation.name: _ENDS.get(operation.name) or _in_unit(operation.name)
        for operation in architecture.operations()
        if isinstance(operation, Weight | Norm)
    }


def _in_unit(name: str) -> str:
    """`layer2.0.bn1` for `stage2_unit1_norm1`."""
    found = re.fullmatch(r"stage(\d+)_unit(\d+)_(\w+)", name)
    assert found is not None, name
    stage, unit, part = found.groups()
    part = _PARTS.get(part) or part.replace("norm", "bn")
    return f"layer{stage}.{int(unit) - 1}.{part}"
