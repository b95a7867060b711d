"""DenseNets: layers that each read all channels before them and append their own.

A block is a row of dense layers. A transition, a 1x1 convolution and 2x2 means, leads
from each block to the next; its width is a whole number in the spec, so that a
MotherNet can take the smallest.

References:
    Huang et al. 2017.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal, Self

from mothernets_jax.architectures import notation as text
from mothernets_jax.architectures.base import (
    Architecture,
    check_filter_size,
    check_sections,
    check_size,
)
from mothernets_jax.architectures.operations import (
    HEAD,
    IMAGES,
    Join,
    Map,
    Norm,
    Operation,
    Weight,
)
from mothernets_jax.utils.messages import short_repr

STEMS = ("cifar", "imagenet")


@dataclasses.dataclass(frozen=True)
class DenseLayer:
    """A layer that appends channels, written `(filter_size:growth)`.

    Attributes:
        filter_size: side of the filters that make the appended channels, in pixels.
        growth: number of channels that the layer appends.
    """

    filter_size: int
    growth: int

    def __post_init__(self):
        check_filter_size(self.filter_size)
        check_size("growth", self.growth)

    @property
    def width(self) -> int:
        """The layer's growth, by the name that units of all families share."""
        return self.growth

    def __str__(self) -> str:
        return f"({self.filter_size}:{self.growth})"


@dataclasses.dataclass(frozen=True)
class DenseNet(Architecture):
    """A DenseNet. Make one by `densenet`.

    Attributes:
        blocks: the dense layers of each block.
        stem_filters: number of filters of the convolution in front.
        bottleneck: number of filters of the 1x1 convolution with which a layer begins,
            as a multiple of its growth; 0 for layers without one.
        transitions: number of filters of each transition, one between each two blocks.
        stem: `cifar`, one 3x3 convolution, or `imagenet`, a 7x7 convolution,
            normalised, and a 3x3 max-pool, each of stride 2.
    """

    blocks: tuple[tuple[DenseLayer, ...], ...]
    stem_filters: int
    bottleneck: int
    transitions: tuple[int, ...]
    stem: str = "cifar"

    def __post_init__(self):
        for number, block in enumerate(self.blocks, start=1):
            if not block:
                raise ValueError(f"block {number} is empty: give it a layer, e.g. 3:12")
        check_sections(self.blocks)
        if self.stem not in STEMS:
            raise ValueError(
                f"stem is {short_repr(self.stem)}: expected one of "
                f"{', '.join(map(repr, STEMS))}"
            )
        check_size("number of stem filters", self.stem_filters)
        if self.bottleneck != 0 or isinstance(self.bottleneck, bool):
            check_size("bottleneck", self.bottleneck)
        for width in self.transitions:
            check_size("width of a transition", width)
        if len(self.transitions) != len(self.blocks) - 1:
            raise ValueError(
                f"there are {len(self.transitions)} transitions and "
                f"{len(self.blocks)} blocks: expected one between each two blocks"
            )

    @property
    def family(self) -> str:
        """`"densenet"`."""
        return "densenet"

    @property
    def sections(self) -> tuple[tuple[DenseLayer, ...], ...]:
        """The dense layers of each block."""
        return self.blocks

    @property
    def unit_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the layers, shaped like `sections`."""
        return tuple(
            tuple(f"block{number}_layer{i}" for i in range(1, len(block) + 1))
            for number, block in enumerate(self.blocks, start=1)
        )

    def is_pinned(self, section: int) -> bool:
        """False for every section: no layer reads a new layer's channels at first."""
        del section
        return False

    def operations(self) -> tuple[Operation, ...]:
        """Lists the stem, blocks and transitions, normalisation, mean and head."""
        operations = self._stem()
        for number, (block, names) in enumerate(
            zip(self.blocks, self.unit_names, strict=True), start=1
        ):
            if number > 1:
                operations += _transition(
                    number - 1, operations[-1].name, self.transitions[number - 2]
                )
            for layer, name in zip(block, names, strict=True):
                operations += self._layer(layer, name, operations[-1].name)
        return (
            *operations,
            Norm(name="final_norm", reads=operations[-1].name),
            Map(name="final_relu", reads="final_norm", kind="relu"),
            Map(name="features", reads="final_relu", kind="mean"),
            Weight(name=HEAD, reads="features", width=None, bias=True),
        )

    def _stem(self) -> list[Operation]:
        imagenet = self.stem == "imagenet"
        size, stride = (7, 2) if imagenet else (3, 1)
        stem = Weight(
            name="stem",
            reads=IMAGES,
            width=self.stem_filters,
            filter_size=size,
            stride=stride,
        )
        if not imagenet:
            return [stem]
        return [
            stem,
            Norm(name="stem_norm", reads="stem"),
            Map(name="stem_relu", reads="stem_norm", kind="relu"),
            Map(name="stem_pool", reads="stem_relu", kind="max_pool"),
        ]

    def _layer(self, layer: DenseLayer, name: str, value: str) -> list[Operation]:
        convolutions = [(layer.filter_size, layer.growth)]
        if self.bottleneck:
            convolutions.insert(0, (1, self.bottleneck * layer.growth))
        operations, read = [], value
        for i, (filter_size, width) in enumerate(convolutions, start=1):
            norm, relu = f"{name}_norm{i}", f"{name}_relu{i}"
            operations += [
                Norm(name=norm, reads=read, unit=name, inserted_as="fresh"),
                Map(name=relu, reads=norm, kind="relu", unit=name),
                Weight(
                    name=f"{name}_conv{i}",
                    reads=relu,
                    width=width,
                    filter_size=filter_size,
                    unit=name,
                    widened_by="fresh" if i == len(convolutions) else "copies",
                    inserted_as="fresh",
                ),
            ]
            read = f"{name}_conv{i}"
        return [
            *operations,
            Join(name=name, reads=(value, read), kind="concatenation", unit=name),
        ]

    def obstacle(self, other: Self) -> str | None:
        """Explains why no growth connects two DenseNets; None where one does."""
        if len(self.blocks) != len(other.blocks):
            return f"they have {len(self.blocks)} and {len(other.blocks)} blocks"
        if self.stem != other.stem:
            return f"one has the stem {self.stem!r}, the other {other.stem!r}"
        if (self.bottleneck == 0) != (other.bottleneck == 0):
            return "one has bottlenecks, the other has not"
        return None

    @classmethod
    def assemble(cls, members: Sequence[Self], sections: Sequence[Sequence]) -> Self:
        """Makes the MotherNet of connected members that has the given layers."""
        transitions = zip(*(member.transitions for member in members), strict=True)
        return cls(
            tuple(map(tuple, sections)),
            min(member.stem_filters for member in members),
            min(member.bottleneck for member in members),
            tuple(map(min, transitions)),
            members[0].stem,
        )

    def fixed_sizes(self) -> dict[str, int]:
        """Sizes besides the units that must not be larger in a MotherNet, by name."""
        widths = {
            f"the width of transition {number}": width
            for number, width in enumerate(self.transitions, start=1)
        }
        stem = {"the stem's width": self.stem_filters}
        return {**stem, "the bottleneck": self.bottleneck, **widths}

    def matched_positions(self, depths: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Positions spread evenly, since one layer may become several.

        With bottlenecks it may not, and the first layers of each block are matched.
        """
        if self.bottleneck:
            return super().matched_positions(depths)
        return tuple(
            tuple(i * len(block) // max(1, depth) for i in range(depth))
            for block, depth in zip(self.blocks, depths, strict=True)
        )

    def largest_fitting_unit(self, span: Sequence[DenseLayer]) -> DenseLayer:
        """The largest layer that can grow into the layers of a span.

        Without bottlenecks the layers share out its channels, as far as their filters
        are large enough: each computes a part of them from what the one layer reads,
        which is exact. With a bottleneck their inner channels would be too few, and the
        matched layer itself is the largest.
        """
        first = span[0]
        if self.bottleneck:
            return first
        parts = [unit for unit in span if unit.filter_size >= first.filter_size]
        return DenseLayer(first.filter_size, sum(unit.growth for unit in parts))

    def share_out(
        self, mother: DenseLayer, span: Sequence[DenseLayer]
    ) -> list[tuple[int, int]]:
        """Finds the layers of a span that make the channels of the mother's layer.

        They are taken in order until all channels are made.
        """
        if self.bottleneck:
            return super().share_out(mother, span)
        parts, first = [], 0
        for i, layer in enumerate(span):
            if layer.filter_size >= mother.filter_size and first < mother.growth:
                parts.append((i, first))
                first += layer.growth
        return parts

    def scaled(self, scale: Callable[[int], int]) -> Self:
        """The same network with every number of channels mapped by a function."""
        return dataclasses.replace(
            self,
            blocks=tuple(
                tuple(DenseLayer(u.filter_size, scale(u.growth)) for u in block)
                for block in self.blocks
            ),
            stem_filters=scale(self.stem_filters),
            transitions=tuple(map(scale, self.transitions)),
        )

    def __str__(self) -> str:
        clauses = [
            "densenet " + " | ".join(map(text.format_units, self.blocks)),
            # The kind is written where it is not that of the first version.
            f"stem {self.stem_filters}"
            if self.stem == "cifar"
            else f"stem {self.stem} {self.stem_filters}",
        ]
        clauses += [f"bottleneck {self.bottleneck}"] if self.bottleneck else []
        if self.transitions:
            clauses.append("transitions " + " ".join(map(str, self.transitions)))
        return "; ".join(clauses)


def _transition(number: int, value: str, width: int) -> list[Operation]:
    name = f"transition{number}"
    return [
        Norm(name=f"{name}_norm", reads=value),
        Map(name=f"{name}_relu", reads=f"{name}_norm", kind="relu"),
        Weight(name=f"{name}_conv", reads=f"{name}_relu", width=width, filter_size=1),
        Map(name=name, reads=f"{name}_conv", kind="mean_pool"),
    ]


def densenet(
    blocks: str | Sequence[Sequence[tuple[int, int]]],
    *,
    stem: Literal["cifar", "imagenet"] = "cifar",
    stem_filters: int = 16,
    bottleneck: int = 0,
    compression: float = 1.0,
) -> DenseNet:
    """A DenseNet.

    Args:
        blocks: the filter size and growth of each layer, as in
            `"(3:12)x12 | (3:12)x12"`; or a sequence of blocks of such pairs.
        stem: `cifar`, one 3x3 convolution for small images, or `imagenet`, a 7x7
            convolution, normalised, and a 3x3 max-pool, each of stride 2.
        stem_filters: number of filters of the first convolution.
        bottleneck: number of filters of a layer's 1x1 convolution, as a multiple of its
            growth, 4 in DenseNet-BC; 0 for layers without one.
        compression: number of a transition's filters as a share, above 0 and up to 1,
            of the channels that it reads; rounded down, and stored as a whole number.

    Raises:
        ValueError: unreadable notation, an empty block, an even filter size, a size
            that is not a positive int, an unknown stem, or a compression out of range.

    >>> print(densenet("(3:12)x2 | (3:12)x2", bottleneck=4, compression=0.5))
    densenet (3:12)x2 | (3:12)x2; stem 16; bottleneck 4; transitions 20
    """
    layers = tuple(
        tuple(DenseLayer(*pair) for pair in block) for block in text.read_blocks(blocks)
    )
    is_number = isinstance(compression, int | float) and compression is not True
    if not is_number or not 0 < compression <= 1:
        raise ValueError(
            f"compression is {short_repr(compression)}: expected a share above 0, up "
            "to 1"
        )
    check_size("number of stem filters", stem_filters)
    channels, transitions = stem_filters, []
    for block in layers[:-1]:
        channels += sum(layer.growth for layer in block)
        channels = max(1, int(channels * compression))
        transitions.append(channels)
    return DenseNet(layers, stem_filters, bottleneck, tuple(transitions), stem)


def parse_densenet(notation: str) -> DenseNet:
    """Reads `densenet (3:12)x12 | ...; stem 16; bottleneck 4; transitions 160`.

    A stem for larger images is written `stem imagenet 64`.
    """
    known = ("stem", "bottleneck", "transitions")
    body, clauses = text.split_clauses(notation, known)
    values, stem = dict(clauses), "cifar"
    kind, _, filters = clauses.get("stem", "").partition(" ")
    if kind in STEMS:
        stem, values["stem"] = kind, filters
    sizes = {name: text.parse_numbers(values.get(name, ""), notation) for name in known}
    for name in ("stem", "bottleneck"):
        if name in clauses and len(sizes[name]) != 1:
            expected = "expected one number"
            if name == "stem":
                expected += ", or a kind and a number, as 'stem imagenet 64'"
            raise ValueError(
                f"cannot read {short_repr(f'{name} {clauses[name]}')} in architecture "
                f"{short_repr(notation)}: {expected}"
            )
    filters_of_stem, bottleneck = sizes["stem"] or (16,), sizes["bottleneck"] or (0,)
    network = densenet(
        body,
        stem=stem,  # type: ignore[arg-type]  # one of STEMS
        stem_filters=filters_of_stem[0],
        bottleneck=bottleneck[0],
    )
    if "transitions" not in clauses:
        return network
    return dataclasses.replace(network, transitions=sizes["transitions"])
