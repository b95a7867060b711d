"""VGGs with batch normalisation as torchvision and timm number their parts.

A convolution has a bias there, of which the normalisation behind it takes away whatever
it adds: the bias is folded into the running mean, which is exact. Behind the blocks
come a mean over 7x7 pixels and three dense layers on all of them; here it is a mean
over all pixels and one layer. So the head has no counterpart.
"""

from collections.abc import Sequence

from mothernets_jax.architectures import vgg
from mothernets_jax.models.imported.layout import Layout

_WIDTHS = (64, 128, 256, 512, 512)
_OTHER_HEADS = ("classifier.", "pre_logits.", "head.")


def vgg_layout(depths: Sequence[int]) -> Layout:
    """The layout of a VGG with batch normalisation.

    Args:
        depths: number of convolutions of each of the five blocks.
    """
    blocks = [
        [(3, width)] * depth for width, depth in zip(_WIDTHS, depths, strict=True)
    ]
    architecture = vgg(blocks, batch_norm=True)
    modules, folded, number = {}, {}, 0
    for names in architecture.unit_names[:-1]:
        for name in names:
            modules[name] = folded[f"{name}_norm"] = f"features.{number}"
            modules[f"{name}_norm"] = f"features.{number + 1}"
            number += 3  # and a ReLU
        number += 1  # a max-pool
    biases = ("classifier.6.bias", "head.fc.bias")
    return Layout(architecture, modules, folded, _OTHER_HEADS, biases)
