"""The interface that every family of networks implements.

A network is a row of *sections*, each a row of *units*; MotherNets are constructed,
matched and hatched section by section and unit by unit, whatever the units are. A
family is a frozen dataclass that extends `Architecture`.
"""

import abc
import itertools
import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Self

from mothernets_jax.architectures.operations import Operation
from mothernets_jax.utils.messages import short_repr

LARGEST_SIZE = 1_000_000  # of filters and widths
MOST_UNITS, MOST_ALL_UNITS = 250, 1_000  # in a section, and in a network

# A frozen dataclass of positive whole numbers, such as a filter's size and a width. A
# unit can grow into another that is at least as large in every field.
Unit = Any


class Architecture(abc.ABC):
    """A network without its input and output sizes; frozen and hashable.

    `str` gives its complete notation, which `parse` reads. Abstract: the families are
    `Plain`, `ResNet` and `DenseNet`.

    Attributes:
        units_carry: whether all that the network computes passes through every unit, so
            that an inserted unit must be at least as wide as what it receives; False
            where units only add to a stream.
    """

    units_carry: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def family(self) -> str:
        """First word of the network's notation."""

    @property
    @abc.abstractmethod
    def sections(self) -> tuple[tuple[Unit, ...], ...]:
        """The units, which differ in number and size in a family, by section."""

    @property
    @abc.abstractmethod
    def unit_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the units, shaped like `sections`."""

    @abc.abstractmethod
    def operations(self) -> Iterable[Operation]:
        """Lists the operations from images to logits, the last of name `HEAD`."""

    @abc.abstractmethod
    def obstacle(self, other: Self) -> str | None:
        """Explains why no growth connects the network and another of its family.

        Args:
            other: a network of the same family.

        Returns:
            The reason, worded for messages; None where some MotherNet connects both.
        """

    @classmethod
    @abc.abstractmethod
    def assemble(
        cls, members: Sequence[Self], sections: Sequence[Sequence[Unit]]
    ) -> Self:
        """Makes the MotherNet of connected members that has the given units.

        All that it has besides its units, such as the width of a stem, is as large as
        can grow into every member's.

        Args:
            members: networks between which there is no `obstacle`, at least one.
            sections: the MotherNet's units, section by section.
        """

    @abc.abstractmethod
    def scaled(self, scale: Callable[[int], int]) -> Self:
        """The same network with every width mapped by a function.

        Args:
            scale: takes a width, returns the new one.
        """

    def fixed_sizes(self) -> dict[str, int]:
        """Sizes besides the units that must not be larger in a MotherNet, by name.

        Connected networks in which these are equal differ in nothing but their units.
        """
        return {}

    def is_pinned(self, section: int) -> bool:
        """Tells whether a section's first unit is always matched to the mother's first.

        Args:
            section: number of the section, from 0.
        """
        return section == 0

    def matched_positions(self, depths: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Positions of the units that are matched by the paper's rule: the first ones.

        Args:
            depths: number of the MotherNet's units in each section.

        Returns:
            For each section, the positions of the matched units, from 0.
        """
        return tuple(tuple(range(depth)) for depth in depths)

    def largest_fitting_unit(self, span: Sequence[Unit]) -> Unit:
        """The largest unit that can grow into a matched unit and those that follow it.

        Args:
            span: the matched unit, then the inserted ones before the next matched one.
        """
        return span[0]

    def share_out(self, mother: Unit, span: Sequence[Unit]) -> list[tuple[int, int]]:
        """Finds the units of a span that continue the mother's unit.

        Args:
            mother: the unit that grows into the span.
            span: the matched unit, then the inserted ones before the next matched one.

        Returns:
            For each unit that continues it, its position in the span and the first of
            the mother's channels that it makes, both from 0.
        """
        del mother, span
        return [(0, 0)]


def named_units(architecture: Architecture) -> list[tuple[str, Unit]]:
    """Lists a network's units in order, as (name, unit)."""
    names = itertools.chain(*architecture.unit_names)
    return list(zip(names, itertools.chain(*architecture.sections), strict=True))


def scale_width(architecture: Architecture, width: float) -> Architecture:
    """The same network with every width multiplied, rounded, and at least 1.

    Args:
        architecture: the network.
        width: factor on every width, above 0.

    Raises:
        ValueError: the factor is not a number above 0, or is too large.
    """
    is_number = isinstance(width, numbers.Real) and not isinstance(width, bool)
    if not is_number or not 0 < width <= LARGEST_SIZE:
        raise ValueError(
            f"width is {short_repr(width)}: expected a factor above 0 and up to "
            f"{LARGEST_SIZE:,}, such as 0.25"
        )
    return architecture.scaled(lambda size: max(1, round(size * float(width))))


def smallest(units: Sequence[Unit]) -> Unit:
    """The largest unit that can grow into all given ones: the least of every field."""
    distinct = set(units)
    if len(distinct) == 1:
        return units[0]
    return type(units[0])(*map(min, zip(*map(sizes, distinct), strict=True)))


def sizes(unit: Unit) -> tuple[int, ...]:
    """A unit's fields in order. (`dataclasses.astuple` copies, 20 times as slow.)"""
    return tuple(vars(unit).values())


def check_size(what: str, value: int) -> None:
    """Raises ValueError unless a size is a whole number from 1 to `LARGEST_SIZE`.

    Args:
        what: name of the size, for the message.
        value: the value to check.
    """
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if not is_int or not 1 <= value <= LARGEST_SIZE:
        raise ValueError(
            f"{what} is {short_repr(value)}: expected a whole number from 1 to "
            f"{LARGEST_SIZE:,}"
        )


def check_filter_size(value: int) -> None:
    """Raises ValueError unless a filter size is odd, so that filters have a centre."""
    check_size("filter size", value)
    if value % 2 == 0:
        raise ValueError(
            f"filter size {value} is even: filters must be odd, so that a smaller one "
            "sits in the centre of a larger one"
        )


def check_sections(sections: Sequence[Sequence[Unit]]) -> None:
    """Raises ValueError where a section, or the whole network, has too many units."""
    most, all_of_them = max(map(len, sections)), sum(map(len, sections))
    if most > MOST_UNITS:
        raise ValueError(
            f"the network has {most:,} layers in a row without pooling: expected at "
            f"most {MOST_UNITS:,}"
        )
    if all_of_them > MOST_ALL_UNITS:
        raise ValueError(
            f"the network has {all_of_them:,} layers: expected at most "
            f"{MOST_ALL_UNITS:,}"
        )
