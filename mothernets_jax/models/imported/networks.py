"""The networks of torchvision and timm that can be taken over, by their names."""

import functools
from collections.abc import Callable
from typing import Any

from mothernets_jax.models.imported.densenet import densenet_layout
from mothernets_jax.models.imported.layout import Layout
from mothernets_jax.models.imported.resnet import resnet_layout
from mothernets_jax.models.imported.vgg import vgg_layout
from mothernets_jax.utils.messages import short_repr

_DENSENETS = {
    121: ((6, 12, 24, 16), 32, 64),
    161: ((6, 12, 36, 24), 48, 96),
    169: ((6, 12, 32, 32), 32, 64),
    201: ((6, 12, 48, 32), 32, 64),
}
_VGGS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}

LAYOUTS: dict[str, Callable[[], Layout]] = {
    **{
        f"resnet{depth}": functools.partial(resnet_layout, depth)
        for depth in (18, 34, 50, 101, 152)
    },
    **{
        f"wide_resnet{depth}_2": functools.partial(resnet_layout, depth, inner=2.0)
        for depth in (50, 101)
    },
    **{
        f"densenet{depth}": functools.partial(
            densenet_layout, blocks, growth=growth, stem=stem
        )
        for depth, (blocks, growth, stem) in _DENSENETS.items()
    },
    **{
        f"vgg{depth}_bn": functools.partial(vgg_layout, blocks)
        for depth, blocks in _VGGS.items()
    },
}


def layout_of(network: Any) -> Layout:
    """The layout of a network.

    Args:
        network: its name, `resnet18` say; with timm's tag or without, as in
            `resnet18.a1_in1k`.

    Raises:
        ValueError: no network of this name can be taken over.

    >>> len(layout_of("vgg11_bn").architecture.blocks)
    5
    """
    name = network.partition(".")[0] if isinstance(network, str) else ""
    if name not in LAYOUTS:
        raise ValueError(
            f"network is {short_repr(network)}: expected the name of a network of "
            f"torchvision or timm, one of {', '.join(LAYOUTS)}"
        )
    return LAYOUTS[name]()
