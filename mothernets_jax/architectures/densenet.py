"""DenseNets: layers that each read all channels before them and append their own.

A block is a row of dense layers. A transition, a 1x1 convolution and 2x2 means, leads
from mothernets_jax.utils.messages import short_repr
from each block to the next; its width is a whole number in the spec, so that a
MotherNet can take the smallest.

References: Huang et al. 2017.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Self

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


@dataclasses.dataclass(frozen=True)
class DenseLayer:
    """A layer that appends channels, written `(filter_size:growth)`."""

    filter_size: int
    growth: int

    def __post_init__(self):
        check_filter_size(self.filter_size)
        check_size("growth", self.growth)

    @property
    def width(self) -> int:
        """Its growth, by the name that all units have for it."""
        return self.growth

    def __str__(self) -> str:
        return f"({self.filter_size}:{self.growth})"


@dataclasses.dataclass(frozen=True)
class DenseNet(Architecture):
    """A DenseNet for small images. Make one by `densenet`.

    Attributes:
        blocks: the dense layers of each block.
        stem_filters: width of the 3x3 convolution in front.
        bottleneck: each layer begins with a 1x1 convolution of this many times its
            growth; 0 for none.
        transitions: widths of the transitions between the blocks.
    """

    blocks: tuple[tuple[DenseLayer, ...], ...]
    stem_filters: int
    bottleneck: int
    transitions: tuple[int, ...]

    def __post_init__(self):
        for number, block in enumerate(self.blocks, start=1):
            if not block:
                raise ValueError(f"block {number} is empty: give it a layer, e.g. 3:12")
        check_sections(self.blocks)
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
        """The blocks."""
        return self.blocks

    @property
    def unit_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the layers, shaped like `sections`."""
        return tuple(
            tuple(f"block{number}_layer{i}" for i in range(1, len(block) + 1))
            for number, block in enumerate(self.blocks, start=1)
        )

    def is_pinned(self, section: int) -> bool:
        """Never: what a new layer appends is not heard at first."""
        del section
        return False

    def operations(self) -> tuple[Operation, ...]:
        """Stem, blocks with transitions between, normalisation, global mean, head."""
        operations: list[Operation] = [
            Weight(name="stem", reads=IMAGES, width=self.stem_filters, filter_size=3)
        ]
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
        """Why no growth connects it and another of its family; None where one does."""
        if len(self.blocks) != len(other.blocks):
            return f"they have {len(self.blocks)} and {len(other.blocks)} blocks"
        if (self.bottleneck == 0) != (other.bottleneck == 0):
            return "one has bottlenecks, the other has not"
        return None

    @classmethod
    def assemble(cls, members: Sequence[Self], sections: Sequence[Sequence]) -> Self:
        """The MotherNet of connected members that has these layers."""
        transitions = zip(*(member.transitions for member in members), strict=True)
        return cls(
            tuple(map(tuple, sections)),
            min(member.stem_filters for member in members),
            min(member.bottleneck for member in members),
            tuple(map(min, transitions)),
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
        """Without bottlenecks spread evenly, since one layer may become several."""
        if self.bottleneck:
            return super().matched_positions(depths)
        return tuple(
            tuple(i * len(block) // max(1, depth) for i in range(depth))
            for block, depth in zip(self.blocks, depths, strict=True)
        )

    def largest_fitting_unit(self, span: Sequence[DenseLayer]) -> DenseLayer:
        """Without bottlenecks, a layer whose channels the span's layers share out.

        Each computes its part of them from what the one layer reads, which is exact.
        With a bottleneck the layers' inner channels would be too few.
        """
        first = span[0]
        if self.bottleneck:
            return first
        parts = [unit for unit in span if unit.filter_size >= first.filter_size]
        return DenseLayer(first.filter_size, sum(unit.growth for unit in parts))

    def share_out(
        self, mother: DenseLayer, span: Sequence[DenseLayer]
    ) -> list[tuple[int, int]]:
        """The span's layers, until all channels of the mother's layer are made."""
        if self.bottleneck:
            return super().share_out(mother, span)
        parts, first = [], 0
        for i, layer in enumerate(span):
            if layer.filter_size >= mother.filter_size and first < mother.growth:
                parts.append((i, first))
                first += layer.growth
        return parts

    def scaled(self, scale: Callable[[int], int]) -> Self:
        """The same network with every width mapped by a function."""
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
            f"stem {self.stem_filters}",
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
    stem_filters: int = 16,
    bottleneck: int = 0,
    compression: float = 1.0,
) -> DenseNet:
    """A DenseNet for small images.

    Args:
        blocks: `"(3:12)x12 | (3:12)x12"`: each layer's filter size and growth; or a
            sequence of blocks of such pairs.
        stem_filters: width of the first convolution.
        bottleneck: multiple of a layer's growth, 4 in DenseNet-BC; 0 for none.
        compression: of a transition, width after / channels before, above 0 to 1,
            rounded down; the widths are whole numbers from here on.

    Raises:
        ValueError: unreadable notation, an empty block, an even filter size, a size
            that is not a positive int, or another compression.

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
    return DenseNet(layers, stem_filters, bottleneck, tuple(transitions))


def parse_densenet(notation: str) -> DenseNet:
    """Reads `densenet (3:12)x12 | ...; stem 16; bottleneck 4; transitions 160`."""
    known = ("stem", "bottleneck", "transitions")
    body, clauses = text.split_clauses(notation, known)
    sizes = {
        name: text.parse_numbers(clauses.get(name, ""), notation) for name in known
    }
    for name in ("stem", "bottleneck"):
        if name in clauses and len(sizes[name]) != 1:
            raise ValueError(
                f"cannot read {short_repr(f'{name} {clauses[name]}')} in architecture "
                f"{short_repr(notation)}: "
                "expected one number"
            )
    stem, bottleneck = sizes["stem"] or (16,), sizes["bottleneck"] or (0,)
    network = densenet(body, stem_filters=stem[0], bottleneck=bottleneck[0])
    if "transitions" not in clauses:
        return network
    return dataclasses.replace(network, transitions=sizes["transitions"])
