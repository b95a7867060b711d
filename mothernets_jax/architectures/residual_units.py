"""Residual units, written out as operations.

An inserted unit adds nothing to the stream at first, and all of it still learns.
"""

import dataclasses
from typing import NamedTuple

from mothernets_jax.architectures.base import check_filter_size, check_size
from mothernets_jax.architectures.operations import Join, Map, Norm, Operation, Weight


@dataclasses.dataclass(frozen=True)
class ResidualUnit:
    """A residual unit, written `(filter_size:inner)`.

    Attributes:
        filter_size: side of the filters of both convolutions, or of a bottleneck's
            middle one, in pixels.
        inner: number of channels inside the unit, which the stream never sees.
    """

    filter_size: int
    inner: int

    def __post_init__(self):
        check_filter_size(self.filter_size)
        check_size("inner width", self.inner)

    @property
    def width(self) -> int:
        """The inner channels, by the name that units of all families share."""
        return self.inner

    def __str__(self) -> str:
        return f"({self.filter_size}:{self.inner})"


class Place(NamedTuple):
    """The place of a unit in its network.

    Attributes:
        name: name of the unit.
        stream: name of the stream's channels, see `Weight.channels`.
        width: number of the stream's channels.
        stride: stride of the unit along both sides, in pixels.
        projects: whether the unit's shortcut is a projection.
    """

    name: str
    stream: str
    width: int
    stride: int
    projects: bool


def post_activation_unit(
    unit: ResidualUnit, place: Place, value: str, *, bottleneck: bool
) -> list[Operation]:
    """Lists a unit's convolutions, each normalised, then the sum, then the last ReLU.

    An inserted unit's last scale is zero: it adds nothing, and still learns.

    Args:
        unit: sizes of the unit.
        place: the unit's place in its network.
        value: name of the value that the unit reads.
        bottleneck: whether there are three convolutions, the first and the last of
            them 1x1, instead of two.
    """
    name, stream, width, stride, projects = place
    size, inner = unit.filter_size, unit.inner
    layers = [(size, inner, stride), (size, width, 1)]
    if bottleneck:
        layers = [(1, inner, 1), (size, inner, stride), (1, width, 1)]
    operations, read = [], value
    for i, (filter_size, filters, step) in enumerate(layers, start=1):
        last = i == len(layers)
        operations += [
            Weight(
                name=f"{name}_conv{i}",
                reads=read,
                width=filters,
                filter_size=filter_size,
                stride=step,
                unit=name,
                channels=stream if last else "",
                inserted_as="fresh",
            ),
            Norm(
                name=f"{name}_norm{i}",
                reads=f"{name}_conv{i}",
                unit=name,
                inserted_as="zero" if last else "fresh",
            ),
        ]
        if not last:
            read = f"{name}_relu{i}"
            operations.append(
                Map(name=read, reads=f"{name}_norm{i}", kind="relu", unit=name)
            )
    branch, shortcut = operations[-1].name, f"{name}_shortcut"
    if projects:
        operations += [
            _projection(place, value),
            Norm(name=shortcut, reads=f"{name}_projection", unit=name),
        ]
    else:
        operations.append(_strided(place, value))
    add = Join(name=f"{name}_sum", reads=(shortcut, branch), kind="sum", unit=name)
    relu = Map(name=f"{name}_relu", reads=add.name, kind="relu", unit=name)
    return [*operations, add, relu]


def pre_activation_unit(
    unit: ResidualUnit, place: Place, value: str
) -> list[Operation]:
    """Lists a unit's convolutions, normalisation and ReLU before each, then the sum.

    An inserted unit's last kernel is zero. (With a zero scale in front of it, each
    gradient in the unit would be zero for ever.)

    Args:
        unit: sizes of the unit.
        place: the unit's place in its network.
        value: name of the value that the unit reads.
    """
    name, stream, width, stride, projects = place
    operations, read = [], value
    layers = [(unit.inner, stride), (width, 1)]
    for i, (filters, step) in enumerate(layers, start=1):
        last = i == len(layers)
        norm, relu = f"{name}_norm{i}", f"{name}_relu{i}"
        operations += [
            Norm(name=norm, reads=read, unit=name, inserted_as="fresh"),
            Map(name=relu, reads=norm, kind="relu", unit=name),
            Weight(
                name=f"{name}_conv{i}",
                reads=relu,
                width=filters,
                filter_size=unit.filter_size,
                stride=step,
                unit=name,
                channels=stream if last else "",
                inserted_as="zero" if last else "fresh",
            ),
        ]
        read = f"{name}_conv{i}"
    branch, shortcut = read, f"{name}_projection"
    if projects:
        relu = f"{name}_relu1"
        operations.append(_projection(place, relu))
    else:
        shortcut = f"{name}_shortcut"
        operations.append(_strided(place, value))
    add = Join(name=f"{name}_sum", reads=(shortcut, branch), kind="sum", unit=name)
    return [*operations, add]


def _projection(place: Place, value: str) -> Weight:
    return Weight(
        name=f"{place.name}_projection",
        reads=value,
        width=place.width,
        filter_size=1,
        stride=place.stride,
        unit=place.name,
        channels=place.stream,
    )


def _strided(place: Place, value: str) -> Map:
    return Map(
        name=f"{place.name}_shortcut",
        reads=value,
        kind="subsample",
        stride=place.stride,
        unit=place.name,
    )
