"""The residual units, as operations.

An inserted unit adds nothing to the stream, and all of it still learns.
"""

import dataclasses
from typing import NamedTuple

from mothernets_jax.architectures.base import check_filter_size, check_size
from mothernets_jax.architectures.operations import Join, Map, Norm, Operation, Weight


@dataclasses.dataclass(frozen=True)
class ResidualUnit:
    """A residual unit, written `(filter_size:inner)`.

    Attributes:
        filter_size: of both convolutions, or of a bottleneck's middle one.
        inner: channels inside the unit, which the stream never sees.
    """

    filter_size: int
    inner: int

    def __post_init__(self):
        check_filter_size(self.filter_size)
        check_size("inner width", self.inner)

    @property
    def width(self) -> int:
        """Its channels inside, by the name that all units have for it."""
        return self.inner

    def __str__(self) -> str:
        return f"({self.filter_size}:{self.inner})"


class Place(NamedTuple):
    """Where a unit stands.

    Attributes:
        name: the unit's.
        stream: the name of the stream's channels.
        width: of the stream.
        stride: of the unit.
        projects: whether its shortcut is a projection.
    """

    name: str
    stream: str
    width: int
    stride: int
    projects: bool


def post_activation_unit(
    unit: ResidualUnit, place: Place, value: str, *, bottleneck: bool
) -> list[Operation]:
    """Convolutions, each normalised, added to the shortcut before the last ReLU.

    An inserted unit's last scale is zero: it adds nothing, and still learns.
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
    """Normalisation and ReLU before each convolution; nothing after the sum.

    An inserted unit's last kernel is zero. (With a zero scale in front of it, each
    gradient in the unit would be zero for ever.)
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
