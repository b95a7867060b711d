"""Which of a member's units continue which units of its MotherNet.

A MotherNet's units are matched to some of a member's, in order and section by section;
a member's other units are inserted when it is hatched. A matched unit and the inserted
ones behind it, up to the next matched one, form a *span*, and what can grow into a span
is the family's to say. Where units carry what the network has learned (in plain
networks), a span goes on across the borders of sections.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.base import Unit, sizes

# For each section, the positions of the units that are matched.
Starts = tuple[tuple[int, ...], ...]


class _Place(NamedTuple):
    """Where a unit stands."""

    section: int
    position: int


def spans(
    member: Architecture, starts: Sequence[Sequence[int]]
) -> list[list[list[_Place]]]:
    """The span of each matched unit, shaped like `starts`."""
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
    """The largest units that the member can be grown from, matched at these starts."""
    return tuple(
        tuple(
            member.fitting([member.sections[s][position] for s, position in span])
            for span in section
        )
        for section in spans(member, starts)
    )


def fits(mother: Unit, largest: Unit) -> bool:
    """Whether a unit is no larger than the largest that can be grown, in any field."""
    return all(a <= b for a, b in zip(sizes(mother), sizes(largest), strict=True))


def find_starts(mother: Architecture, member: Architecture) -> Starts | None:
    """Where the mother's units are matched in the member; None where they cannot be.

    By the family's own rule if that does, else at the first places that do.

    Args:
        mother: of the member's family, with as many sections.
        member: the network to be hatched.
    """
    depths = [len(section) for section in mother.sections]
    if all(
        depth <= len(section)
        for depth, section in zip(depths, member.sections, strict=True)
    ):
        starts = member.starts(depths)
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
    """The first places, in the order of the units, at which all fit."""
    wanted = [
        (number, unit)
        for number, section in enumerate(mother.sections)
        for unit in section
    ]
    places = _places(member)

    @functools.cache
    def following(i: int, p: int) -> tuple[int, ...] | None:
        """Places of unit i, at p, and of all units after it."""
        number, unit = wanted[i]
        last = i + 1 == len(wanted)
        candidates = [len(places)] if last else _candidates(i + 1, p + 1)
        for q in candidates:
            span = [
                member.sections[place.section][place.position]
                for place in places[p:q]
                if member.units_carry or place.section == number
            ]
            if fits(unit, member.fitting(span)):
                rest = () if last else following(i + 1, q)
                if rest is not None:
                    return (p, *rest)
        return None

    def _candidates(i: int, begin: int) -> Iterator[int]:
        number, _ = wanted[i]
        pinned = member.is_pinned(number) and (i == 0 or wanted[i - 1][0] != number)
        for p in range(begin, len(places)):
            if places[p].section == number and not (pinned and places[p].position):
                yield p

    for p in _candidates(0, 0):
        found = following(0, p)
        if found is not None:
            return tuple(
                tuple(places[p].position for p in found if places[p].section == number)
                for number in range(len(mother.sections))
            )
    return None


def _places(member: Architecture) -> list[_Place]:
    return [
        _Place(number, position)
        for number, section in enumerate(member.sections)
        for position in range(len(section))
    ]


def shared_depths(members: Sequence[Architecture]) -> list[int]:
    """Units of the shallowest member in each section."""
    sections = zip(*(member.sections for member in members), strict=True)
    return [min(map(len, section)) for section in sections]
