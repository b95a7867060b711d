"""Ready-made ensembles as data: the paper's V5, and others made by stated rules.

Every ensemble is a dict of architectures by name. MotherNets (MLSys 2020) describes its
larger ensembles without giving all of their sizes; the rules that fill in for these are
this project's choice.
"""

import dataclasses
from collections.abc import Iterator

from mothernets_jax.architectures import (
    Architecture,
    densenet,
    mlp,
    resnet,
    scale_width,
    vgg,
    wide_resnet,
)
from mothernets_jax.architectures.plain import Plain
from mothernets_jax.architectures.residual_units import ResidualUnit
from mothernets_jax.architectures.resnet import ResNet

_V5_BLOCKS = {
    "V13": "(3:64)x2 | (3:128)x2 | (3:256)x2 | (3:512)x2 | (3:512)x2",
    "V16": (
        "(3:64)x2 | (3:128)x2 | (3:256)x2 (1:256) | (3:512)x2 (1:512) "
        "| (3:512)x2 (1:512)"
    ),
    "V16A": (
        "(3:128)x2 | (3:128)x2 | (3:128)x2 (1:256) | (3:512)x2 (1:512) "
        "| (3:256)x2 (1:512)"
    ),
    "V16B": "(3:64)x2 | (3:128)x2 | (3:256)x3 | (3:512)x3 | (3:512)x3",
    "V19": "(3:64)x2 | (3:128)x2 | (3:256)x4 | (3:512)x4 | (3:512)x4",
}
# Units of each stage, and the kind of unit, by depth (He et al. 2016a, table 1).
_RESNETS = {
    18: ((2, 2, 2, 2), "basic"),
    34: ((3, 4, 6, 3), "basic"),
    50: ((3, 4, 6, 3), "bottleneck"),
    101: ((3, 4, 23, 3), "bottleneck"),
    152: ((3, 8, 36, 3), "bottleneck"),
}
_STAGE_WIDTHS = (64, 128, 256, 512)


def v5(width: float = 1.0) -> dict[str, Architecture]:
    """The paper's V5: five variants of VGG-13, VGG-16 and VGG-19.

    Args:
        width: factor on every layer's number of filters; 1.0 for the paper's sizes.

    References:
        MotherNets (MLSys 2020), the authors' table of the VGG ensemble. The global
        mean and the linear head after the blocks are this project's choice.
    """
    return {name: scale_width(vgg(b), width) for name, b in _V5_BLOCKS.items()}


def resnet_of_depth(depth: int, *, stem: str = "cifar", inner: float = 1.0) -> ResNet:
    """ResNet-18, -34, -50, -101 or -152.

    Args:
        depth: 18, 34, 50, 101 or 152.
        stem: `cifar`, one 3x3 convolution for small images, or `imagenet`, a 7x7
            convolution and a max-pool, each of stride 2.
        inner: factor on the channels inside the units; 1.0 for the published networks.

    Raises:
        ValueError: the depth is none of these.

    References:
        He et al. 2016a, table 1.
    """
    if depth not in _RESNETS:
        known = ", ".join(map(str, _RESNETS))
        raise ValueError(f"depth is {depth}: expected one of {known}")
    counts, unit = _RESNETS[depth]
    outer = 4 if unit == "bottleneck" else 1
    stages = [
        (outer * width, [(3, round(inner * width))] * count)
        for width, count in zip(_STAGE_WIDTHS, counts, strict=True)
    ]
    return resnet(stages, unit=unit, stem=stem, stem_filters=64)  # type: ignore[arg-type]


def r10(width: float = 1.0) -> dict[str, Architecture]:
    """Ten residual networks: two variants each of ResNet-18, 34, 50, 101 and 152.

    Variant A is the published network with the stem for small images; variant B has a
    quarter more channels inside each unit (this project's choice). Basic and bottleneck
    units cannot be connected, so that there are at least two clusters.

    Args:
        width: factor on every layer's number of channels.
    """
    return {
        f"R{depth}{variant}": scale_width(resnet_of_depth(depth, inner=inner), width)
        for depth in _RESNETS
        for variant, inner in (("A", 1.0), ("B", 1.25))
    }


def d5(width: float = 1.0) -> dict[str, Architecture]:
    """Five DenseNets: 40 layers with growth 12 or 24, 100 layers with 12, 16 or 24.

    Each has three blocks of equally many layers without bottlenecks or compression,
    after Huang et al. 2017 (this project's reading of the paper's DenseNet ensemble).

    Args:
        width: factor on every layer's number of channels.
    """
    networks = {
        f"D{depth}k{growth}": densenet([[(3, growth)] * ((depth - 4) // 3)] * 3)
        for depth, growth in ((40, 12), (40, 24), (100, 12), (100, 16), (100, 24))
    }
    return {name: scale_width(network, width) for name, network in networks.items()}


def v25(width: float = 1.0) -> dict[str, Architecture]:
    """25 variants of VGG-16: the first 25 of `v100`.

    Args:
        width: factor on every layer's number of filters.
    """
    return _first(_vgg_variants(), 25, width)


def v100(width: float = 1.0) -> dict[str, Architecture]:
    """100 variants of VGG-16, each with one layer changed.

    Variant i, counted from 0, changes convolution i mod 13 in way i mod 3: a quarter
    more filters, a filter larger by 2 pixels, or both. Each time that all 39
    combinations have been used, another quarter and another 2 pixels are added (this
    project's choice; the paper gives no sizes).

    Args:
        width: factor on every layer's number of filters.
    """
    return _first(_vgg_variants(), 100, width)


def r25(width: float = 1.0) -> dict[str, Architecture]:
    """25 variants of ResNet-34 for small images, each with one unit changed.

    Variant i, counted from 0, changes unit i mod 16 in way i mod 3: a quarter more
    channels inside the unit, filters larger by 2 pixels, or both (this project's
    choice).

    Args:
        width: factor on every layer's number of channels.
    """
    return _first(_resnet_variants(), 25, width)


def w5(width: float = 1.0) -> dict[str, Architecture]:
    """Five Wide ResNets of 16 to 28 layers (this project's choice).

    Args:
        width: factor on every layer's number of channels.
    """
    shapes = ((16, 4), (16, 6), (22, 4), (22, 6), (28, 4))
    return {f"W{d}x{w}": scale_width(wide_resnet(d, w), width) for d, w in shapes}


def m5(width: float = 1.0) -> dict[str, Architecture]:
    """Five multilayer perceptrons of 2 to 4 hidden layers (this project's choice).

    Args:
        width: factor on every layer's number of units.
    """
    hidden = {
        "M2": (512, 512),
        "M2W": (1024, 512),
        "M3": (512, 512, 512),
        "M3W": (768, 512, 768),
        "M4": (512, 512, 512, 512),
    }
    return {n: scale_width(mlp(u, batch_norm=True), width) for n, u in hidden.items()}


def _first(
    variants: Iterator[tuple[str, Architecture]], count: int, width: float
) -> dict[str, Architecture]:
    return {
        name: scale_width(network, width)
        for _, (name, network) in zip(range(count), variants, strict=False)
    }


def _changes(units: int) -> Iterator[tuple[int, int, float, int]]:
    """Yields (number, unit, factor on its width, growth of its filter) without end."""
    ways, number = ((0.25, 0), (0.0, 2), (0.25, 2)), 0
    while True:
        times = 1 + number // (units * len(ways))
        wider, larger = ways[number % len(ways)]
        yield number + 1, number % units, 1 + times * wider, times * larger
        number += 1


def _vgg_variants() -> Iterator[tuple[str, Plain]]:
    blocks = vgg(_V5_BLOCKS["V16B"]).blocks
    for number, layer, factor, larger in _changes(sum(map(len, blocks))):
        pairs, position = [], 0
        for block in blocks:
            pairs.append([])
            for conv in block:
                changed = position == layer
                size = conv.filter_size + (larger if changed else 0)
                filters = conv.filters * (factor if changed else 1)
                pairs[-1].append((size, round(filters)))
                position += 1
        yield f"V{number}", vgg(pairs)


def _resnet_variants() -> Iterator[tuple[str, ResNet]]:
    network = resnet_of_depth(34)
    for number, place, factor, larger in _changes(sum(map(len, network.stages))):
        position, stages = 0, []
        for stage in network.stages:
            units = []
            for unit in stage:
                if position == place:
                    size = unit.filter_size + larger
                    unit = ResidualUnit(size, round(unit.inner * factor))
                units.append(unit)
                position += 1
            stages.append(tuple(units))
        yield f"R{number}", dataclasses.replace(network, stages=tuple(stages))
