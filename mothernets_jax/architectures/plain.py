"""Plain networks: MLPs, and VGG-like networks of convolutional blocks.

A unit is one weight layer with its normalisation and its ReLU: a `Conv` in a block (a
block ends with a 2x2 max-pool), a `Dense` in the last section.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Self

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
    Map,
    Norm,
    Operation,
    Weight,
)
from mothernets_jax.utils.messages import short_repr


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution of stride 1, written `(filter_size:filters)`.

    Attributes:
        filter_size: side of the filters, in pixels.
        filters: number of filters.
    """

    filter_size: int
    filters: int

    def __post_init__(self):
        check_filter_size(self.filter_size)
        check_size("number of filters", self.filters)

    @property
    def width(self) -> int:
        """Number of channels that the unit hands on."""
        return self.filters

    @property
    def taps(self) -> int:
        """Number of pixels that the filter covers."""
        return self.filter_size**2

    def __str__(self) -> str:
        return f"({self.filter_size}:{self.filters})"


@dataclasses.dataclass(frozen=True)
class Dense:
    """A fully connected layer, written as its number of units.

    Attributes:
        units: number of units.
    """

    units: int

    def __post_init__(self):
        check_size("number of units", self.units)

    @property
    def width(self) -> int:
        """Number of units that the layer hands on."""
        return self.units

    @property
    def taps(self) -> int:
        """Always 1, since the layer reads no neighbouring pixels."""
        return 1

    def __str__(self) -> str:
        return str(self.units)


@dataclasses.dataclass(frozen=True)
class Plain(Architecture):
    """A network whose units follow one another. Make one by `mlp` or `vgg`.

    Attributes:
        blocks: the layers of each convolutional block; empty for an MLP, which flattens
            its input.
        dense: the hidden fully connected layers before the linear head.
        batch_norm: whether every hidden layer is followed by batch normalisation.
    """

    units_carry: ClassVar[bool] = True

    blocks: tuple[tuple[Conv, ...], ...]
    dense: tuple[Dense, ...]
    batch_norm: bool

    def __post_init__(self):
        for number, block in enumerate(self.blocks, start=1):
            if not block:
                raise ValueError(f"block {number} is empty: give it a layer, e.g. 3:64")
        if not self.blocks and not self.dense:
            raise ValueError("the network has no hidden layer: give it at least one")
        check_sections(self.sections)
        if not isinstance(self.batch_norm, bool):
            raise ValueError(
                f"batch_norm is {short_repr(self.batch_norm)}: expected True or False"
            )

    @property
    def family(self) -> str:
        """`"vgg"` for networks with convolutional blocks, else `"mlp"`."""
        return "vgg" if self.blocks else "mlp"

    @property
    def sections(self) -> tuple[tuple[Conv | Dense, ...], ...]:
        """The blocks, then the dense layers as a last section (which may be empty)."""
        return (*self.blocks, self.dense)

    @property
    def unit_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the units, shaped like `sections`.

        >>> vgg("(3:8)x2 | (3:8)", dense=(9,)).unit_names
        (('block1_conv1', 'block1_conv2'), ('block2_conv1',), ('dense1',))
        """
        blocks = (
            tuple(f"block{number}_conv{i}" for i in range(1, len(block) + 1))
            for number, block in enumerate(self.blocks, start=1)
        )
        return (*blocks, tuple(f"dense{i}" for i in range(1, len(self.dense) + 1)))

    def operations(self) -> tuple[Operation, ...]:
        """Lists the blocks with their pooling, the mean or flattening, dense, head."""
        operations: list[Operation] = []
        value = IMAGES
        *block_names, dense_names = self.unit_names
        for number, (block, names) in enumerate(
            zip(self.blocks, block_names, strict=True), start=1
        ):
            for conv, name in zip(block, names, strict=True):
                operations += self._unit(conv, name, value)
                value = operations[-1].name
            operations.append(Map(name=f"block{number}", reads=value, kind="halve"))
            value = operations[-1].name
        kind = "mean" if self.blocks else "flatten"
        operations.append(Map(name="features", reads=value, kind=kind))
        for layer, name in zip(self.dense, dense_names, strict=True):
            operations += self._unit(layer, name, operations[-1].name)
        value = operations[-1].name
        return (*operations, Weight(name=HEAD, reads=value, width=None, bias=True))

    def _unit(self, unit: Conv | Dense, name: str, value: str) -> list[Operation]:
        operations: list[Operation] = [
            Weight(
                name=name,
                reads=value,
                width=unit.width,
                filter_size=unit.filter_size if isinstance(unit, Conv) else None,
                bias=not self.batch_norm,
                unit=name,
            )
        ]
        if self.batch_norm:
            operations.append(Norm(name=f"{name}_norm", reads=name, unit=name))
        value = operations[-1].name
        relu = Map(name=f"{name}_relu", reads=value, kind="relu", unit=name)
        return [*operations, relu]

    def obstacle(self, other: Self) -> str | None:
        """Explains why no growth connects two plain networks; None where one does."""
        if len(self.blocks) != len(other.blocks):
            return f"they have {len(self.blocks)} and {len(other.blocks)} blocks"
        if self.batch_norm != other.batch_norm:
            return "one has batch normalisation, the other has not"
        return None

    @classmethod
    def assemble(cls, members: Sequence[Self], sections: Sequence[Sequence]) -> Self:
        """Makes the MotherNet of connected members that has the given units."""
        *blocks, dense = map(tuple, sections)
        return cls(tuple(blocks), dense, members[0].batch_norm)

    def largest_fitting_unit(self, span: Sequence[Conv | Dense]) -> Conv | Dense:
        """The matched unit, no wider than the inserted ones that follow it."""
        width = min(unit.width for unit in span)
        first = span[0]
        return (
            Conv(first.filter_size, width) if isinstance(first, Conv) else Dense(width)
        )

    def scaled(self, scale: Callable[[int], int]) -> Self:
        """The same network with every width mapped by a function."""
        blocks = tuple(
            tuple(Conv(conv.filter_size, scale(conv.filters)) for conv in block)
            for block in self.blocks
        )
        dense = tuple(Dense(scale(layer.units)) for layer in self.dense)
        return dataclasses.replace(self, blocks=blocks, dense=dense)

    def __str__(self) -> str:
        dense = " ".join(map(str, self.dense))
        clauses = [f"mlp {dense}"]
        if self.blocks:
            clauses = ["vgg " + " | ".join(map(text.format_units, self.blocks))]
            clauses += [f"dense {dense}"] if dense else []
        clauses += ["batch_norm"] if self.batch_norm else []
        return "; ".join(clauses)


def mlp(hidden: Iterable[int], *, batch_norm: bool = False) -> Plain:
    """A multilayer perceptron on flattened images.

    Args:
        hidden: number of units of each hidden layer, at least one layer.
        batch_norm: whether batch normalisation follows every hidden layer; without it,
            each has a bias.

    Raises:
        ValueError: no hidden layer, or a number of units that is not a positive int.

    >>> print(mlp((64, 32)))
    mlp 64 32
    """
    return Plain((), _dense_section(hidden), batch_norm)


def vgg(
    blocks: str | Sequence[Sequence[tuple[int, int]]],
    *,
    dense: Iterable[int] = (),
    batch_norm: bool = True,
) -> Plain:
    """A VGG-like network: blocks of convolutions, global mean, dense layers, head.

    A 2x2 max-pool follows each block while both sides of the image are above 1.

    Args:
        blocks: the paper's notation, `(filter size:filters) x count` and `|` between
            blocks; or a sequence of blocks, each of (filter size, filters) pairs.
        dense: number of units of each hidden dense layer between the global mean and
            the head.
        batch_norm: whether batch normalisation follows every hidden layer; without it,
            each has a bias.

    Raises:
        ValueError: unreadable notation, an empty block, an even filter size, or a size
            that is not a positive int.

    >>> print(vgg("(3:64)x2 | (3:128)x2 (1:128)", dense=(256,)))
    vgg (3:64)x2 | (3:128)x2 (1:128); dense 256; batch_norm
    """
    layers = tuple(
        tuple(Conv(*pair) for pair in block) for block in text.read_blocks(blocks)
    )
    return Plain(layers, _dense_section(dense), batch_norm)


def parse_mlp(notation: str) -> Plain:
    """Reads notation such as `mlp 64 32; batch_norm`."""
    body, clauses = text.split_clauses(notation, ("batch_norm",))
    text.check_flags(clauses, notation)
    return mlp(text.parse_numbers(body, notation), batch_norm="batch_norm" in clauses)


def parse_vgg(notation: str) -> Plain:
    """Reads notation such as `vgg (3:64)x2 | (3:128); dense 64; batch_norm`."""
    body, clauses = text.split_clauses(notation, ("dense", "batch_norm"))
    text.check_flags(clauses, notation)
    dense = text.parse_numbers(clauses.get("dense", ""), notation)
    return vgg(body, dense=dense, batch_norm="batch_norm" in clauses)


def _dense_section(units: Iterable[int]) -> tuple[Dense, ...]:
    if not isinstance(units, Iterable) or isinstance(units, str | bytes):
        raise ValueError(
            f"units are {short_repr(units)}: expected one number a layer, as (64,)"
        )
    return tuple(Dense(number) for number in units)
