"""What a family of networks has to say of itself.

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

LARGEST_SIZE = 1_000_000  # of a filter or a width
MOST_UNITS, MOST_ALL_UNITS = 250, 1_000  # in a section, and in a network

# A frozen dataclass of positive whole numbers, such as a filter's size and a width. Of
# two units, what is smaller in every field can grow into what is larger.
Unit = Any


class Architecture(abc.ABC):
    """A network without its input and output sizes; frozen and hashable.

    `str` gives its complete notation, which `parse` reads. Abstract: the families are
    `Plain`, `ResNet` and `DenseNet`.

    Attributes:
        units_carry: whether what the network has learned passes through every unit, so
            that an inserted one must be as wide as what it receives (not so where units
            only add to a stream).
    """

    units_carry: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def family(self) -> str:
        """The first word of its notation."""

    @property
    @abc.abstractmethod
    def sections(self) -> tuple[tuple[Unit, ...], ...]:
        """The units that networks of the family may have more or fewer of."""

    @property
    @abc.abstractmethod
    def unit_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the units, shaped like `sections`."""

    @abc.abstractmethod
    def operations(self) -> Iterable[Operation]:
        """From images to logits; the last one's name is `operations.HEAD`."""

    @abc.abstractmethod
    def obstacle(self, other: Self) -> str | None:
        """Why no growth connects it and another of its family; None where one does."""

    @classmethod
    @abc.abstractmethod
    def assemble(
        cls, members: Sequence[Self], sections: Sequence[Sequence[Unit]]
    ) -> Self:
        """The MotherNet of connected members that has these units.

        What a network has besides its units, such as the width of a stem, is as large
        as can be grown into each member's.
        """

    @abc.abstractmethod
    def scaled(self, scale: Callable[[int], int]) -> Self:
        """The same network with every width mapped by a function."""

    def fixed_sizes(self) -> dict[str, int]:
        """Sizes besides the units that must not be larger in a MotherNet, by name.

        All that `assemble` takes from one member and not from another it connects.
        """
        return {}

    def is_pinned(self, section: int) -> bool:
        """Whether a section's first unit is always matched to the MotherNet's first."""
        return section == 0

    def matched_positions(self, depths: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Where a MotherNet's units are matched by the paper's rule: to the first.

        Args:
            depths: units of the MotherNet in each section.

        Returns:
            For each section the positions of the units that are matched.
        """
        return tuple(tuple(range(depth)) for depth in depths)

    def largest_fitting_unit(self, span: Sequence[Unit]) -> Unit:
        """The largest unit that can grow into a matched unit and those that follow it.

        Args:
            span: the matched unit, then the others up to the next one that is matched.
        """
        return span[0]

    def share_out(self, mother: Unit, span: Sequence[Unit]) -> list[tuple[int, int]]:
        """Which units of a span continue the mother's unit.

        Args:
            mother: the unit that grows into the span.
            span: as for `largest_fitting_unit`.

        Returns:
            For each such unit its place in the span, and the first of the mother's
            channels that it makes.
        """
        del mother, span
        return [(0, 0)]


def named_units(architecture: Architecture) -> list[tuple[str, Unit]]:
    """All units in order, with their names."""
    names = itertools.chain(*architecture.unit_names)
    return list(zip(names, itertools.chain(*architecture.sections), strict=True))


def scale_width(architecture: Architecture, width: float) -> Architecture:
    """Every layer's width times `width`, rounded, at least 1."""
    is_number = isinstance(width, numbers.Real) and not isinstance(width, bool)
    if not is_number or not 0 < width <= LARGEST_SIZE:
        raise ValueError(
            f"width is {short_repr(width)}: expected a factor above 0 and up to "
            f"{LARGEST_SIZE:,}, such as 0.25"
        )
    return architecture.scaled(lambda size: max(1, round(size * float(width))))


def smallest(units: Sequence[Unit]) -> Unit:
    """The largest unit that can grow into each: the smallest of every field."""
    distinct = set(units)
    if len(distinct) == 1:
        return units[0]
    return type(units[0])(*map(min, zip(*map(sizes, distinct), strict=True)))


def sizes(unit: Unit) -> tuple[int, ...]:
    """A unit's fields. (`dataclasses.astuple` copies deeply, 20 times as slow.)"""
    return tuple(vars(unit).values())


def check_size(what: str, value: int) -> None:
    """Raises ValueError unless it is a whole number of a sane size."""
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if not is_int or not 1 <= value <= LARGEST_SIZE:
        raise ValueError(
            f"{what} is {short_repr(value)}: expected a whole number from 1 to "
            f"{LARGEST_SIZE:,}"
        )


def check_filter_size(value: int) -> None:
    """Raises ValueError unless a filter of this size has a centre."""
    check_size("filter size", value)
    if value % 2 == 0:
        raise ValueError(
            f"filter size {value} is even: filters must be odd, so that a smaller one "
            "sits in the centre of a larger one"
        )


def check_sections(sections: Sequence[Sequence[Unit]]) -> None:
    """Raises ValueError where a network has too many units to be meant."""
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
