"""Ready-made ensembles as data: the paper's V5, and others made by stated rules.

Every ensemble is a dict of architectures by name. The authors of MotherNets (MLSys
2020) describe their larger ensembles without giving all of their sizes; the rules that
fill in for these are this project's choice.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

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
from mothernets_jax.utils.messages import short_repr

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
        raise ValueError(f"depth is {short_repr(depth)}: expected one of {known}")
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
    """25 variants of VGG-16, each with one layer changed (this project's choice).

    Variant i, counted from 0, changes convolution i mod 13 in way i mod 3: a quarter
    more filters, a filter larger by 2 pixels, or both. `v100` follows another list.

    Args:
        width: factor on every layer's number of filters.
    """
    ways = (_MORE, _LARGER, _BOTH)
    changes = [{number % 13 + 1: ways[number % 3]} for number in range(25)]
    return {
        f"V{number}": scale_width(_changed_vgg16(each), width)
        for number, each in enumerate(changes, start=1)
    }


def v100(width: float = 1.0) -> dict[str, Architecture]:
    """VGG-16 and 99 variants of it, each with one or two layers changed.

    V0 is VGG-16 itself, with 13 convolutions of size 3; it is the MotherNet of all, as
    none is smaller anywhere. Which layers V1 to V99 change, and how, is the list of the
    authors' group: more filters (V1 to V12), a larger filter (V13 to V19, V27 to V29),
    both (V20 to V26, V30 to V32, V43 to V50), twice as many more filters (V33 to V42),
    or more filters in two layers (V51 to V99). Some occur twice there, V43 as V20, say,
    and are kept as replicas: 88 are different.

    The list tells that an increase of filters is proportional to the layer's width, but
    not its size, nor how much larger a larger filter is: a quarter, and 2 pixels, are
    this project's choice.

    Args:
        width: factor on every layer's number of filters.

    References:
        The group's browser demo of the paper's first version (arXiv 1809.04270v1), from
        which the list was read.
    """
    changes = [{}, *_v100_changes()]
    return {
        f"V{number}": scale_width(_changed_vgg16(each), width)
        for number, each in enumerate(changes)
    }


def r25(width: float = 1.0) -> dict[str, Architecture]:
    """ResNet-18, -34, -50, -101 and -152 for small images, each in five forms.

    A is the published network; B has twice the filters in its odd layers, C in its even
    ones; D has 2 more filters in its odd layers, E in its even ones. This list is the
    authors' group's. That a layer is a residual unit, counted from 1 through the
    network, and its filters are the channels inside it, is this project's reading: what
    a unit adds to its input has to stay as wide as that. Basic and bottleneck units
    cannot be connected, so that there are at least two clusters.

    Args:
        width: factor on every layer's number of channels. Forms D and E have 2 more
            filters than that at every width.

    References:
        The group's browser demo of the paper's first version (arXiv 1809.04270v1), from
        which the list was read.
    """
    forms = {"A": (0, 1, 0), "B": (1, 2, 0), "C": (0, 2, 0), "D": (1, 1, 2)}
    forms["E"] = (0, 1, 2)
    return {
        f"R{depth}{form}": _with_wider_units(
            scale_width(resnet_of_depth(depth), width), *change
        )
        for depth in _RESNETS
        for form, change in forms.items()
    }


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


class _Change(NamedTuple):
    """A change of a convolution.

    Attributes:
        wider: quarters of its filters that it has more.
        larger: pixels that its filter is larger by.
    """

    wider: int = 0
    larger: int = 0


_MORE, _LARGER, _BOTH, _TWICE_MORE = (
    _Change(1),
    _Change(0, 2),
    _Change(1, 2),
    _Change(2),
)


def _v100_changes() -> Iterator[dict[int, _Change]]:
    """Yields what V1 to V99 change, by the number of the convolution, from 1."""
    for change, first, last in (
        (_MORE, 1, 12),
        (_LARGER, 1, 7),
        (_BOTH, 1, 7),
        (_LARGER, 8, 10),
        (_BOTH, 8, 10),
        (_TWICE_MORE, 3, 12),
        (_BOTH, 1, 8),
    ):
        for layer in range(first, last + 1):
            yield {layer: change}
    for layer, first, last in (
        (1, 2, 12),
        (2, 3, 12),
        (3, 4, 12),
        (4, 5, 11),
        (4, 9, 12),
        (5, 6, 11),
        (5, 9, 9),
        (6, 7, 7),
    ):
        for other in range(first, last + 1):
            yield {layer: _MORE, other: _MORE}


def _changed_vgg16(changes: Mapping[int, _Change]) -> Plain:
    """VGG-16 with 13 convolutions of size 3, some changed, by their numbers from 1."""
    pairs, number = [], 0
    for block in vgg(_V5_BLOCKS["V16B"]).blocks:
        pairs.append([])
        for conv in block:
            number += 1
            wider, larger = changes.get(number, _Change())
            filters = conv.filters + wider * conv.filters // 4
            pairs[-1].append((conv.filter_size + larger, filters))
    return vgg(pairs)


def _with_wider_units(
    network: Architecture, parity: int, factor: int, more: int
) -> ResNet:
    """A ResNet with more channels inside every other unit.

    Args:
        network: the ResNet to change.
        parity: 1 for odd units, 0 for even ones, counted from 1 through the network.
        factor: factor on the channels inside these units.
        more: number of channels added to that.
    """
    assert isinstance(network, ResNet)
    number, stages = 0, []
    for stage in network.stages:
        units = []
        for unit in stage:
            number += 1
            changed = number % 2 == parity
            inner = unit.inner * factor + more if changed else unit.inner
            units.append(ResidualUnit(unit.filter_size, inner))
        stages.append(tuple(units))
    return dataclasses.replace(network, stages=tuple(stages))
