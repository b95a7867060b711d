"""Architectures as data: frozen specs, the paper's notation, names of layers.

A network is a row of *sections*, each a row of *units*. For plain networks a unit is
one weight layer with its normalisation and its ReLU: a `Conv` in a block (a block ends
with a 2x2 max-pool), a `Dense` in the last section. MotherNets are constructed,
matched and hatched section by section and position by position, whatever the units.
"""

import dataclasses
import numbers
import re
from collections.abc import Iterable, Iterator, Sequence

HEAD_NAME = "head"
LARGEST_SIZE = 1_000_000  # of a filter or a width
MOST_LAYERS = 1_000  # in a block or in the dense section


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution of stride 1, written `(filter_size:filters)`."""

    filter_size: int
    filters: int

    def __post_init__(self):
        _check_positive_int("filter size", self.filter_size)
        _check_positive_int("number of filters", self.filters)
        if self.filter_size % 2 == 0:
            raise ValueError(
                f"filter size {self.filter_size} is even: filters must be odd, so that "
                "a smaller one sits in the centre of a larger one"
            )

    @property
    def width(self) -> int:
        """Number of channels that the unit hands on."""
        return self.filters

    def __str__(self) -> str:
        return f"({self.filter_size}:{self.filters})"


@dataclasses.dataclass(frozen=True)
class Dense:
    """A fully connected layer, written as its number of units."""

    units: int

    def __post_init__(self):
        _check_positive_int("number of units", self.units)

    @property
    def width(self) -> int:
        """Number of units that the layer hands on."""
        return self.units

    def __str__(self) -> str:
        return str(self.units)


Unit = Conv | Dense


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network without its input and output sizes. Make one by `mlp` or `vgg`.

    Attributes:
        blocks: convolutional blocks; none for an MLP, which flattens its input.
        dense: the hidden fully connected layers before the linear head.
        batch_norm: whether every hidden layer is followed by batch normalisation.
    """

    blocks: tuple[tuple[Conv, ...], ...]
    dense: tuple[Dense, ...]
    batch_norm: bool

    def __post_init__(self):
        for number, block in enumerate(self.blocks, start=1):
            if not block:
                raise ValueError(f"block {number} is empty: give it a layer, e.g. 3:64")
        if not self.blocks and not self.dense:
            raise ValueError("the network has no hidden layer: give it at least one")
        most = max(map(len, self.sections))
        if most > MOST_LAYERS:
            raise ValueError(
                f"the network has {most:,} layers in a row without pooling: expected "
                f"at most {MOST_LAYERS:,}"
            )
        if not isinstance(self.batch_norm, bool):
            raise ValueError(
                f"batch_norm is {self.batch_norm!r}: expected True or False"
            )

    @property
    def family(self) -> str:
        """`"vgg"` for networks with convolutional blocks, else `"mlp"`."""
        return "vgg" if self.blocks else "mlp"

    @property
    def sections(self) -> tuple[tuple[Unit, ...], ...]:
        """The blocks, then the dense layers as a last section (which may be empty)."""
        return (*self.blocks, self.dense)

    def __str__(self) -> str:
        dense = " ".join(map(str, self.dense))
        clauses = [f"mlp {dense}"]
        if self.blocks:
            clauses = ["vgg " + " | ".join(map(_format_block, self.blocks))]
            clauses += [f"dense {dense}"] if dense else []
        clauses += ["batch_norm"] if self.batch_norm else []
        return "; ".join(clauses)


def mlp(hidden: Iterable[int], *, batch_norm: bool = False) -> Architecture:
    """A multilayer perceptron on flattened images.

    Args:
        hidden: units of each hidden layer, at least one layer.
        batch_norm: normalise after every hidden layer.

    Raises:
        ValueError: no hidden layer, or a number of units that is not a positive int.

    >>> print(mlp((64, 32)))
    mlp 64 32
    """
    return Architecture((), _dense_section(hidden), batch_norm)


def vgg(
    blocks: str | Sequence[Sequence[tuple[int, int]]],
    *,
    dense: Iterable[int] = (),
    batch_norm: bool = True,
) -> Architecture:
    """A VGG-like network: blocks of convolutions, global mean, dense layers, head.

    A 2x2 max-pool follows each block while the image's side is above 1.

    Args:
        blocks: the paper's notation, `(filter size:filters) x count` and `|` between
            blocks; or a sequence of blocks, each of (filter size, filters) pairs.
        dense: units of the hidden dense layers between the global mean and the head.
        batch_norm: normalise after every hidden layer; otherwise each has a bias.

    Raises:
        ValueError: unreadable notation, an empty block, an even filter size, a size
            that is not a positive int.

    >>> print(vgg("(3:64)x2 | (3:128)x2 (1:128)", dense=(256,)))
    vgg (3:64)x2 | (3:128)x2 (1:128); dense 256; batch_norm
    """
    if isinstance(blocks, str):
        layers = tuple(_parse_block(block, blocks) for block in blocks.split("|"))
    elif isinstance(blocks, Iterable):
        layers = tuple(_conv_block(block) for block in blocks)
    else:
        raise ValueError(f"blocks are {blocks!r}: expected text such as '(3:64)x2'")
    if not layers:
        raise ValueError("the network has no block: write one such as '(3:64)x2'")
    return Architecture(layers, _dense_section(dense), batch_norm)


def parse(notation: str) -> Architecture:
    """Reads what `str(architecture)` writes: `parse(str(a)) == a`.

    Raises:
        ValueError: unreadable notation, with the part that could not be read.

    >>> parse("mlp 64 32; batch_norm") == mlp((64, 32), batch_norm=True)
    True
    """
    if not isinstance(notation, str):
        raise ValueError(f"architecture {notation!r} is not text such as 'mlp 64 32'")
    first, *clauses = (clause.strip() for clause in notation.split(";"))
    family, _, body = first.partition(" ")
    dense, batch_norm = "", False
    for clause in clauses:
        if clause == "batch_norm":
            batch_norm = True
        elif clause.startswith("dense ") and family == "vgg" and not dense:
            dense = clause.removeprefix("dense ")
        else:
            raise ValueError(
                f"cannot read {clause!r} in architecture {notation!r}: "
                "expected 'dense UNITS ...' (vgg only) or 'batch_norm'"
            )
    if family == "mlp":
        return mlp(_parse_units(body, notation), batch_norm=batch_norm)
    if family == "vgg":
        units = _parse_units(dense, notation)
        return vgg(body, dense=units, batch_norm=batch_norm)
    raise ValueError(
        f"architecture {notation!r} starts with {family!r}: expected 'mlp' or 'vgg', "
        "as in 'mlp 64 32; batch_norm' or 'vgg (3:64)x2 | (3:128)x2; batch_norm'"
    )


def unit_names(architecture: Architecture) -> tuple[tuple[str, ...], ...]:
    """Names of the units, shaped like `architecture.sections`.

    They name the Linen submodules, hence the leaves of every variables pytree.

    >>> unit_names(vgg("(3:8)x2 | (3:8)", dense=(9,)))
    (('block1_conv1', 'block1_conv2'), ('block2_conv1',), ('dense1',))
    """
    return tuple(
        tuple(
            f"block{number}_conv{position}"
            if isinstance(unit, Conv)
            else f"dense{position}"
            for position, unit in enumerate(section, start=1)
        )
        for number, section in enumerate(architecture.sections, start=1)
    )


def named_units(architecture: Architecture) -> Iterator[tuple[str, Unit]]:
    """All units in order, with their names."""
    names = unit_names(architecture)
    for section_names, section in zip(names, architecture.sections, strict=True):
        yield from zip(section_names, section, strict=True)


def scale_width(architecture: Architecture, width: float) -> Architecture:
    """Every layer's width times `width`, rounded, at least 1."""
    is_number = isinstance(width, numbers.Real) and not isinstance(width, bool)
    if not is_number or not 0 < width <= LARGEST_SIZE:
        raise ValueError(f"width is {width!r}: expected a factor above 0, such as 0.25")

    def scaled(size: int) -> int:
        return max(1, round(size * float(width)))

    blocks = tuple(
        tuple(Conv(conv.filter_size, scaled(conv.filters)) for conv in block)
        for block in architecture.blocks
    )
    dense = tuple(Dense(scaled(layer.units)) for layer in architecture.dense)
    return dataclasses.replace(architecture, blocks=blocks, dense=dense)


def _conv_block(block: Sequence[tuple[int, int]]) -> tuple[Conv, ...]:
    if not isinstance(block, Iterable) or isinstance(block, str | bytes):
        raise ValueError(f"block {block!r} is no list of layers such as [(3, 64)]")
    layers = tuple(block)
    for layer in layers:
        if not isinstance(layer, tuple | list) or len(layer) != 2:
            raise ValueError(
                f"layer {layer!r} of block {block!r} is no pair (filter size, filters) "
                "such as (3, 64)"
            )
    return tuple(Conv(filter_size, filters) for filter_size, filters in layers)


def _dense_section(units: Iterable[int]) -> tuple[Dense, ...]:
    if not isinstance(units, Iterable) or isinstance(units, str | bytes):
        raise ValueError(f"units are {units!r}: expected one number a layer, as (64,)")
    return tuple(Dense(number) for number in units)


def _format_block(block: tuple[Conv, ...]) -> str:
    runs: list[tuple[Conv, int]] = []
    for layer in block:
        if runs and runs[-1][0] == layer:
            runs[-1] = (layer, runs[-1][1] + 1)
        else:
            runs.append((layer, 1))
    return " ".join(f"{conv}x{n}" if n > 1 else str(conv) for conv, n in runs)


_LAYER_PATTERN = r"\(\s*(\d+)\s*:\s*(\d+)\s*\)(?:\s*x\s*(\d+))?"


def _parse_block(block: str, notation: str) -> tuple[Conv, ...]:
    if not re.fullmatch(rf"\s*(?:{_LAYER_PATTERN}\s*)*", block):
        raise ValueError(
            f"cannot read block {block.strip()!r} of {notation!r}: "
            "expected layers such as '(3:64)x2 (1:64)'"
        )
    layers: list[Conv] = []
    for filter_size, filters, count in re.findall(_LAYER_PATTERN, block):
        if count and not 1 <= int(count) <= MOST_LAYERS:
            raise ValueError(
                f"a layer of {notation!r} is repeated {count} times: expected 1 to "
                f"{MOST_LAYERS:,} times; or leave it out"
            )
        layers += [Conv(int(filter_size), int(filters))] * int(count or 1)
    return tuple(layers)


def _parse_units(units: str, notation: str) -> tuple[int, ...]:
    if not all(re.fullmatch(r"\d+", number) for number in units.split()):
        raise ValueError(
            f"cannot read units {units!r} of {notation!r}: expected numbers such as "
            "'64 32'"
        )
    return tuple(map(int, units.split()))


def _check_positive_int(what: str, value: int) -> None:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if not is_int or not 1 <= value <= LARGEST_SIZE:
        raise ValueError(
            f"{what} is {value!r}: expected a whole number from 1 to {LARGEST_SIZE:,}"
        )
