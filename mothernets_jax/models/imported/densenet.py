"""DenseNets as torchvision and timm name their parts."""

import re
from collections.abc import Sequence

from mothernets_jax.architectures import densenet
from mothernets_jax.architectures.operations import Norm, Weight
from mothernets_jax.models.imported.layout import Layout, own_layout

_ENDS = {
    "stem": "features.conv0",
    "stem_norm": "features.norm0",
    "final_norm": "features.norm5",
    "head": "classifier",
}


def densenet_layout(blocks: Sequence[int], *, growth: int, stem: int) -> Layout:
    """The layout of a DenseNet for large images.

    Args:
        blocks: number of layers of each block.
        growth: number of channels that each layer appends.
        stem: number of filters of the stem.
    """
    architecture = densenet(
        [[(3, growth)] * layers for layers in blocks],
        stem="imagenet",
        stem_filters=stem,
        bottleneck=4,
        compression=0.5,
    )
    modules = {
        operation.name: _ENDS.get(operation.name) or _inside(operation.name)
        for operation in architecture.operations()
        if isinstance(operation, Weight | Norm)
    }
    return own_layout(architecture, modules)


def renamed(key: str) -> str:
    """A key as today's networks have it, from one of torchvision's stored weights.

    These keep the names of their first version, `denselayer1.norm.1.weight`.

    >>> renamed("features.denseblock1.denselayer2.norm.1.weight")
    'features.denseblock1.denselayer2.norm1.weight'
    """
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)


def _inside(name: str) -> str:
    """`features.denseblock1.denselayer2.norm1` for `block1_layer2_norm1`."""
    name = re.sub(r"^block(\d+)_layer(\d+)_", r"denseblock\1.denselayer\2.", name)
    return "features." + re.sub(r"^(transition\d+)_", r"\1.", name)
