"""Alignment of a MotherNet's units with those of its members.

A MotherNet's units are matched to some of a member's, in order and section by section;
a member's other units are inserted when it is hatched. A matched unit and the inserted
ones behind it, up to the next matched one, form a *span*, and the family decides which
units can grow into a span. Where all that the network computes passes through every
unit (in plain networks), a span goes on across the borders of sections.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.base import Unit, sizes

# For each section, the positions of the units that are matched.
Starts = tuple[tuple[int, ...], ...]


class _Place(NamedTuple):
    """Section and position of a unit, both from 0."""

    section: int
    position: int


def spans(
    member: Architecture, starts: Sequence[Sequence[int]]
) -> list[list[list[_Place]]]:
    """Finds the span of each matched unit.

    Args:
        member: the network to be hatched.
        starts: for each section, the positions of the matched units.

    Returns:
        (section, position) of each unit of a span, in lists shaped like `starts`.
    """
    places = _places(member)
    matched = [
        _Place(number, position)
        for number, positions in enumerate(starts)
        for position in positions
    ]
    ends = [*matched[1:], _Place(len(member.sections), 0)]
    of_unit = {
        place: [
            other
            for other in places
            if place <= other < end
            and (member.units_carry or other.section == place.section)
        ]
        for place, end in zip(matched, ends, strict=True)
    }
    return [
        [of_unit[_Place(number, position)] for position in positions]
        for number, positions in enumerate(starts)
    ]


@functools.cache
def fitting_sections(
    member: Architecture, starts: Starts
) -> tuple[tuple[Unit, ...], ...]:
    """The largest units that a member can be grown from, given their matches.

    Args:
        member: the network to be hatched.
        starts: for each section, the positions of the matched units.

    Returns:
        The units, shaped like `starts`.
    """
    return tuple(
        tuple(
            member.largest_fitting_unit(
                [member.sections[s][position] for s, position in span]
            )
            for span in section
        )
        for section in spans(member, starts)
    )


def fits(mother: Unit, largest: Unit) -> bool:
    """Tells whether a unit is, in every field, no larger than the largest allowed."""
    return all(a <= b for a, b in zip(sizes(mother), sizes(largest), strict=True))


def find_starts(mother: Architecture, member: Architecture) -> Starts | None:
    """Finds the member's units to which the mother's units are matched.

    They are those of the family's own rule if all units fit there, else the first at
    which all fit.

    Args:
        mother: a network of the member's family with as many sections.
        member: the network to be hatched.

    Returns:
        For each section, the positions of the matched units; None where none will do.
    """
    depths = [len(section) for section in mother.sections]
    if all(
        depth <= len(section)
        for depth, section in zip(depths, member.sections, strict=True)
    ):
        starts = member.matched_positions(depths)
        largest = fitting_sections(member, starts)
        if all(
            fits(unit, of)
            for pair in zip(mother.sections, largest, strict=True)
            for unit, of in zip(*pair, strict=True)
        ):
            return starts
        return _first_starts(mother, member)
    return None


def _first_starts(mother: Architecture, member: Architecture) -> Starts | None:
    """Finds the first positions, in the order of the units, at which all fit."""
    wanted = [
        (number, unit)
        for number, section in enumerate(mother.sections)
        for unit in section
    ]
    places = _places(member)

    def holds(i: int, p: int, q: int) -> bool:
        """Tells whether unit i may stand at p, with the next matched unit at q."""
        number, unit = wanted[i]
        span = [
            member.sections[place.section][place.position]
            for place in places[p:q]
            if member.units_carry or place.section == number
        ]
        return fits(unit, member.largest_fitting_unit(span))

    def candidates(i: int, begin: int) -> Iterator[int]:
        number, _ = wanted[i]
        pinned = member.is_pinned(number) and (i == 0 or wanted[i - 1][0] != number)
        for p in range(begin, len(places)):
            if places[p].section == number and not (pinned and places[p].position):
                yield p

    # Depth first, with a stack of our own, since networks are deeper than Python's.
    found: list[int] = []  # places of the first units
    dead: set[tuple[int, int]] = set()  # units and places from which no way leads on
    untried = [candidates(0, 0)]
    while untried:
        i, p = len(found), next(untried[-1], None)
        if p is None:
            untried.pop()
            if found:
                dead.add((i - 1, found.pop()))
        elif (i, p) not in dead and (not found or holds(i - 1, found[-1], p)):
            if i + 1 < len(wanted):
                found.append(p)
                untried.append(candidates(i + 1, p + 1))
            elif holds(i, p, len(places)):
                return tuple(
                    tuple(
                        places[q].position
                        for q in (*found, p)
                        if places[q].section == n
                    )
                    for n in range(len(mother.sections))
                )
            else:
                dead.add((i, p))
    return None


def _places(member: Architecture) -> list[_Place]:
    return [
        _Place(number, position)
        for number, section in enumerate(member.sections)
        for position in range(len(section))
    ]


def shared_depths(members: Sequence[Architecture]) -> list[int]:
    """Number of units of the shallowest member in each section."""
    sections = zip(*(member.sections for member in members), strict=True)
    return [min(map(len, section)) for section in sections]
