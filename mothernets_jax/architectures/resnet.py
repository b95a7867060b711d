"""Residual networks: units that add to a stream of channels, stage by stage.

A stage is the width of its stream and a row of units. The first unit of every stage but
the first halves the image. Its shortcut is the stream itself (`identity`, of equal
width) or a 1x1 convolution of it (`projection`).

References:
    He et al. 2016a (basic and bottleneck units), He et al. 2016b and Zagoruyko and
    Komodakis 2016 (pre-activation).
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Self

from mothernets_jax.architectures import notation as text
from mothernets_jax.architectures.base import (
    Architecture,
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
from mothernets_jax.architectures.residual_units import (
    Place,
    ResidualUnit,
    post_activation_unit,
    pre_activation_unit,
)
from mothernets_jax.utils.messages import short_repr

UNITS, STEMS = ("basic", "bottleneck", "preact"), ("cifar", "imagenet")
SHORTCUTS = ("identity", "projection")


@dataclasses.dataclass(frozen=True)
class ResNet(Architecture):
    """A residual network. Make one by `resnet` or `wide_resnet`.

    Attributes:
        stages: the units of each stage.
        widths: number of channels of each stage's stream.
        shortcuts: kind of shortcut of each stage's first unit, `identity` or
            `projection`.
        unit: `basic` (two convolutions), `bottleneck` (one between two of 1x1), or
            `preact` (normalisation and ReLU before each of two convolutions).
        stem: `cifar`, one 3x3 convolution, or `imagenet`, a 7x7 convolution and a 3x3
            max-pool, each of stride 2.
        stem_filters: number of filters of the stem's convolution.
    """

    stages: tuple[tuple[ResidualUnit, ...], ...]
    widths: tuple[int, ...]
    shortcuts: tuple[str, ...]
    unit: str
    stem: str
    stem_filters: int

    def __post_init__(self):
        for number, stage in enumerate(self.stages, start=1):
            if not stage:
                raise ValueError(f"stage {number} is empty: give it a unit, as (3:64)")
        check_sections(self.stages)
        for name, known in (("unit", UNITS), ("stem", STEMS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is {short_repr(getattr(self, name))}: expected one of "
                    f"{', '.join(map(repr, known))}"
                )
        for width in self.streams:
            check_size("width of a stream", width)
        if not len(self.stages) == len(self.widths) == len(self.shortcuts):
            raise ValueError(
                f"there are {len(self.stages)} stages and {len(self.shortcuts)} "
                "shortcuts: expected one for each stage"
            )
        pairs = itertools.pairwise(self.streams)
        for number, (kind, pair) in enumerate(
            zip(self.shortcuts, pairs, strict=True), start=1
        ):
            if kind not in SHORTCUTS:
                raise ValueError(
                    f"the shortcut of stage {number} is {short_repr(kind)}: expected "
                    "'identity' or 'projection'"
                )
            if kind == "identity" and pair[0] != pair[1]:
                raise ValueError(
                    f"the shortcut of stage {number} is an identity, but the stream "
                    f"has {pair[0]} channels before and {pair[1]} after it: expected "
                    "equal widths, or a projection"
                )

    @property
    def family(self) -> str:
        """`"resnet"`."""
        return "resnet"

    @property
    def streams(self) -> tuple[int, ...]:
        """Width of the stem, then of each stage's stream."""
        return (self.stem_filters, *self.widths)

    @property
    def sections(self) -> tuple[tuple[ResidualUnit, ...], ...]:
        """The units of each stage."""
        return self.stages

    @property
    def unit_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the units, shaped like `sections`."""
        return tuple(
            tuple(f"stage{number}_unit{i}" for i in range(1, len(stage) + 1))
            for number, stage in enumerate(self.stages, start=1)
        )

    def is_pinned(self, section: int) -> bool:
        """True for every section: the first unit of a stage strides or projects."""
        del section
        return True

    def operations(self) -> tuple[Operation, ...]:
        """Lists the operations of the stem, the stages, the mean and the head."""
        operations = self._stem()
        stream = "stem"
        for number, (units, names) in enumerate(
            zip(self.stages, self.unit_names, strict=True), start=1
        ):
            projects = self.shortcuts[number - 1] == "projection"
            stream = f"stage{number}" if projects else stream
            for i, (unit, name) in enumerate(zip(units, names, strict=True)):
                stride = 2 if i == 0 and number > 1 else 1
                width = self.widths[number - 1]
                place = Place(name, stream, width, stride, projects and i == 0)
                value = operations[-1].name
                if self.unit == "preact":
                    operations += pre_activation_unit(unit, place, value)
                else:
                    bottleneck = self.unit == "bottleneck"
                    operations += post_activation_unit(
                        unit, place, value, bottleneck=bottleneck
                    )
        value = operations[-1].name
        if self.unit == "preact":
            operations += [
                Norm(name="final_norm", reads=value),
                Map(name="final_relu", reads="final_norm", kind="relu"),
            ]
            value = "final_relu"
        return (
            *operations,
            Map(name="features", reads=value, kind="mean"),
            Weight(name=HEAD, reads="features", width=None, bias=True),
        )

    def _stem(self) -> list[Operation]:
        size, stride = (3, 1) if self.stem == "cifar" else (7, 2)
        operations: list[Operation] = [
            Weight(
                name="stem",
                reads=IMAGES,
                width=self.stem_filters,
                filter_size=size,
                stride=stride,
                channels="stem",
            )
        ]
        if self.unit != "preact":
            operations += [
                Norm(name="stem_norm", reads="stem"),
                Map(name="stem_relu", reads="stem_norm", kind="relu"),
            ]
        if self.stem == "imagenet":
            value = operations[-1].name
            operations.append(Map(name="stem_pool", reads=value, kind="max_pool"))
        return operations

    def obstacle(self, other: Self) -> str | None:
        """Explains why no growth connects two ResNets; None where one does."""
        if self.unit != other.unit:
            return f"one has {self.unit} units, the other {other.unit} units"
        if self.stem != other.stem:
            return f"one has the stem {self.stem!r}, the other {other.stem!r}"
        if len(self.stages) != len(other.stages):
            return f"they have {len(self.stages)} and {len(other.stages)} stages"
        if self.unit == "preact" and self.shortcuts != other.shortcuts:
            return (
                f"their shortcuts are {' '.join(self.shortcuts)} and "
                f"{' '.join(other.shortcuts)}, and units with pre-activation cannot "
                "turn an identity into a projection"
            )
        return None

    @classmethod
    def assemble(cls, members: Sequence[Self], sections: Sequence[Sequence]) -> Self:
        """Makes the MotherNet of connected members that has the given units.

        Its shortcuts are projections where those of all members are. An identity joins
        the streams on both of its sides into one, as wide as the narrowest.
        """
        first = members[0]
        shortcuts = tuple(
            "projection" if {"projection"} == set(kinds) else "identity"
            for kinds in zip(*(member.shortcuts for member in members), strict=True)
        )
        streams = [
            min(of) for of in zip(*(member.streams for member in members), strict=True)
        ]
        for _ in streams:  # until the narrowest has come through to all that it joins
            for i, kind in enumerate(shortcuts):
                if kind == "identity":
                    streams[i] = streams[i + 1] = min(streams[i], streams[i + 1])
        return cls(
            tuple(map(tuple, sections)),
            tuple(streams[1:]),
            shortcuts,
            first.unit,
            first.stem,
            streams[0],
        )

    def fixed_sizes(self) -> dict[str, int]:
        """Sizes besides the units that must not be larger in a MotherNet, by name."""
        sizes = {"the stem's width": self.stem_filters}
        for number, width in enumerate(self.widths, start=1):
            sizes[f"the width of stage {number}'s stream"] = width
            projects = self.shortcuts[number - 1] == "projection"
            sizes[f"the number of projections in stage {number}"] = int(projects)
        return sizes

    def scaled(self, scale: Callable[[int], int]) -> Self:
        """The same network with every width mapped by a function."""
        return dataclasses.replace(
            self,
            stages=tuple(
                tuple(ResidualUnit(u.filter_size, scale(u.inner)) for u in stage)
                for stage in self.stages
            ),
            widths=tuple(map(scale, self.widths)),
            stem_filters=scale(self.stem_filters),
        )

    def __str__(self) -> str:
        stages = " | ".join(
            f"{width} {text.format_units(stage)}"
            for width, stage in zip(self.widths, self.stages, strict=True)
        )
        return (
            f"resnet {stages}; unit {self.unit}; stem {self.stem} {self.stem_filters}; "
            f"shortcuts {' '.join(self.shortcuts)}"
        )


def resnet(
    stages: str | Sequence[tuple[int, Sequence[tuple[int, int]]]],
    *,
    unit: str = "basic",
    stem: Literal["cifar", "imagenet"] = "cifar",
    shortcut: str | Sequence[str] = "auto",
    stem_filters: int | None = None,
) -> ResNet:
    """A residual network.

    Args:
        stages: `"64 (3:64)x2 | 128 (3:128)x2"`: for each stage the width of its stream,
            then each unit's filter size and inner width; or a sequence of such pairs.
        unit: `basic` (two convolutions), `bottleneck` (one between two of 1x1), or
            `preact` (normalisation and ReLU before each of two convolutions).
        stem: `cifar`, one 3x3 convolution, or `imagenet`, a 7x7 convolution and a 3x3
            max-pool, each of stride 2.
        shortcut: kind of shortcut of each stage's first unit, one kind for all stages
            or a sequence of one for each: `identity` or `projection`; `auto` takes an
            identity where the stage neither strides nor changes the width, and the
            network keeps this choice when it is scaled.
        stem_filters: number of filters of the stem; None for as many as the first
            stage's stream has, or with bottleneck units, as its first unit has inside.

    Raises:
        ValueError: unreadable notation, an empty stage, an even filter size, a size
            that is not a positive int, an unknown kind, or an identity that would
            change the width.

    >>> resnet("8 (3:8)x2 | 16 (3:16)x2").shortcuts
    ('identity', 'projection')
    """
    if isinstance(stages, str):
        read = [_parse_stage(stage, stages) for stage in stages.split("|")]
    else:
        read = [_check_stage(stage) for stage in _as_list(stages)]
    if not read:
        raise ValueError("the network has no stage: write one such as '64 (3:64)x2'")
    widths = tuple(width for width, _ in read)
    units = tuple(tuple(ResidualUnit(*p) for p in pairs) for _, pairs in read)
    if stem_filters is None:
        inside = unit == "bottleneck" and units[0]
        stem_filters = units[0][0].inner if inside else widths[0]
    if shortcut == "auto":
        streams = (stem_filters, *widths)
        kinds = tuple(
            "identity" if i == 0 and streams[i] == streams[i + 1] else "projection"
            for i in range(len(widths))
        )
    elif isinstance(shortcut, str):
        kinds = (shortcut,) * len(widths)
    else:
        kinds = tuple(_as_list(shortcut))
    return ResNet(units, widths, kinds, unit, stem, stem_filters)


def wide_resnet(depth: int, width: int) -> ResNet:
    """A Wide ResNet for small images, `WRN-depth-width`.

    Args:
        depth: published number of convolutions, with projections: 6 n + 4 for n units
            in each of the three stages.
        width: factor on the 16, 32 and 64 channels of the stages.

    Raises:
        ValueError: the depth is not 10, 16, 22, ..., or the width not a positive int.

    References:
        Zagoruyko and Komodakis 2016.

    >>> wide_resnet(28, 10).widths
    (160, 320, 640)
    """
    check_size("depth", depth)
    check_size("width", width)
    units, rest = divmod(depth - 4, 6)
    if rest or units < 1:
        raise ValueError(f"depth is {depth}: expected 10, 16, 22, 28, ... (6 n + 4)")
    stages = [(w * width, [(3, w * width)] * units) for w in (16, 32, 64)]
    return resnet(stages, unit="preact", stem_filters=16)


def parse_resnet(notation: str) -> ResNet:
    """Reads notation such as `resnet 8 (3:8)x2; unit basic; stem cifar 8`."""
    body, clauses = text.split_clauses(notation, ("unit", "stem", "shortcuts"))
    stem, _, filters = clauses.get("stem", "cifar").partition(" ")
    sizes = text.parse_numbers(filters, notation)
    if len(sizes) > 1:
        raise ValueError(
            f"cannot read {short_repr('stem ' + clauses['stem'])} in architecture "
            f"{short_repr(notation)}: expected a kind and a width, as 'stem cifar 64'"
        )
    shortcuts = clauses.get("shortcuts", "").split()
    return resnet(
        body,
        unit=clauses.get("unit", "basic"),
        stem=stem,  # type: ignore[arg-type]  # checked by ResNet
        shortcut=shortcuts or "auto",
        stem_filters=sizes[0] if sizes else None,
    )


def _parse_stage(stage: str, notation: str) -> tuple[int, list[tuple[int, int]]]:
    width, space, units = stage.strip().partition(" ")
    sizes = text.parse_numbers(width, notation) if "(" not in width else ()
    if len(sizes) != 1 or not space:
        raise ValueError(
            f"cannot read stage {short_repr(stage.strip())} of {short_repr(notation)}: "
            "expected the width of its stream and its units, as '64 (3:64)x2'"
        )
    return sizes[0], text.parse_pairs(units, notation)


def _check_stage(stage: Sequence) -> tuple[int, list[tuple[int, int]]]:
    if not isinstance(stage, tuple | list) or len(stage) != 2:
        raise ValueError(
            f"stage {short_repr(stage)} is no pair of a width and units, as (64, [(3, "
            "64)])"
        )
    return stage[0], text.read_blocks([stage[1]])[0]


def _as_list(values: Iterable) -> list:
    if not isinstance(values, Iterable) or isinstance(values, str | bytes):
        raise ValueError(
            f"found {short_repr(values)}: expected one value for each stage"
        )
    return list(values)
