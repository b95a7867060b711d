"""Construct the MotherNet of a cluster, and match a member's units to it."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from mothernets_jax.architectures import Architecture, named_units
from mothernets_jax.architectures.base import Unit, smallest
from mothernets_jax.architectures.checks import check_architecture
from mothernets_jax.growth.alignment import (
    find_starts,
    fits,
    fitting_sections,
    shared_depths,
    spans,
)
from mothernets_jax.growth.best_alignment import largest_sections, size_of
from mothernets_jax.utils.messages import short_repr

Alignment = Literal["first", "best"]
ALIGNMENTS = get_args(Alignment)


class Match(NamedTuple):
    """The part of the mother that a member's unit continues.

    Attributes:
        unit: name of the mother's unit.
        first_channel: index of the first channel that is continued, among those that
            the mother's unit makes; above 0 where several units share them.
    """

    unit: str
    first_channel: int = 0


def mothernet(
    architectures: Iterable[Architecture], *, align: Alignment = "first"
) -> Architecture:
    """The largest network from which every given one can be hatched.

    By the paper's rule each section has as many units as the member with the fewest
    there, and each unit takes the smallest of every size over the members. In plain
    networks its width is also no larger than that of the units inserted behind it: they
    must carry every channel of the MotherNet, across the borders of blocks and into the
    dense head.

    Args:
        architectures: the members' architectures, at least one.
        align: rule by which units are matched: `"first"` is the paper's, `"best"` makes
            the MotherNet largest (in parameters on 32x32 colour images of ten classes).

    Raises:
        ValueError: no architectures, or two that no MotherNet connects.

    References:
        MotherNets (MLSys 2020), section on constructing MotherNets. The caps for
        inserted layers are this project's: without them most random clusters of
        convolutional networks cannot be hatched.

    >>> from mothernets_jax.architectures import mlp
    >>> print(mothernet([mlp((64, 32)), mlp((48, 32, 16))]))
    mlp 48 16
    """
    if not isinstance(architectures, Iterable) or isinstance(architectures, str):
        raise ValueError(
            f"found {short_repr(architectures)}: expected several architectures, such "
            "as a list of them"
        )
    given = tuple(architectures)
    for member in given:
        check_architecture(member, "a member of a MotherNet")
    members = tuple(dict.fromkeys(given))
    if not members:
        raise ValueError("a MotherNet needs at least one architecture, found none")
    if align not in ALIGNMENTS:
        raise ValueError(f"align is {short_repr(align)}: expected 'first' or 'best'")
    for member in members[1:]:
        if reason := obstacle(members[0], member):
            raise ValueError(
                f"no MotherNet connects {short_repr(str(members[0]))} and "
                f"{short_repr(str(member))}: {reason}; put them into different clusters"
            )
    first = _first_sections(members)
    if align == "best":
        best = largest_sections(members)
        if size_of(members, best) > size_of(members, first):
            return type(members[0]).assemble(members, best)
    return type(members[0]).assemble(members, first)


def _first_sections(members: Sequence[Architecture]) -> list[list[Unit]]:
    """The units of the MotherNet by the paper's rule, section by section."""
    depths = shared_depths(members)
    largest = [fitting_sections(m, m.matched_positions(depths)) for m in members]
    return [
        [smallest(units) for units in zip(*of_members, strict=True)]
        for of_members in zip(*largest, strict=True)
    ]


def obstacle(one: Architecture, other: Architecture) -> str | None:
    """Explains why no function-preserving growth connects two networks.

    Returns:
        The reason, worded for messages; None where some MotherNet connects both.
    """
    if one.family != other.family:
        return f"one is of the family {one.family}, the other of {other.family}"
    return one.obstacle(other)


def matched_units(mother: Architecture, member: Architecture) -> dict[str, Match]:
    """Finds the member's units that continue a unit of the mother.

    Args:
        mother: architecture of the MotherNet.
        member: the architecture to grow.

    Returns:
        For each matched unit of the member, by name, the part of the mother that it
        continues. The member's other units are inserted by `hatch`.

    Raises:
        ValueError: the member cannot be hatched from the mother; the message says why.
    """
    reason = obstacle(mother, member) or _too_large(mother, member)
    starts = None if reason else find_starts(mother, member)
    if starts is None:
        reason = reason or _growth_obstacle(mother, member)
        raise ValueError(
            f"{short_repr(str(member))} cannot be hatched from "
            f"{short_repr(str(mother))}: {reason}"
        )
    units, mothers = dict(named_units(member)), dict(named_units(mother))
    matches: dict[str, Match] = {}
    for names, section in zip(mother.unit_names, spans(member, starts), strict=True):
        for name, span in zip(names, section, strict=True):
            own = [member.unit_names[number][position] for number, position in span]
            for unit, first in member.share_out(mothers[name], [units[n] for n in own]):
                matches[own[unit]] = Match(name, first)
    return matches


def _too_large(mother: Architecture, member: Architecture) -> str | None:
    """Explains which of the mother's sizes besides its units is too large, if any."""
    sizes = member.fixed_sizes()
    for what, size in mother.fixed_sizes().items():
        if size > sizes[what]:
            return f"{what} is {size} in the mother and {sizes[what]} in the member"
    return None


def _growth_obstacle(mother: Architecture, member: Architecture) -> str:
    """Explains why a connected member's units are too few or too small."""
    depths = [len(section) for section in mother.sections]
    for number, depth in enumerate(depths, start=1):
        found = len(member.sections[number - 1])
        if found < depth:
            return (
                f"section {number} has {depth} units in the mother and {found} in the "
                "member; a network can only become deeper"
            )
    largest = fitting_sections(member, member.matched_positions(depths))
    for names, units, of in zip(
        mother.unit_names, mother.sections, largest, strict=True
    ):
        for name, unit, limit in zip(names, units, of, strict=True):
            if not fits(unit, limit):
                return (
                    f"{name} is {unit} in the mother, and at most {limit} can grow "
                    "into the member's units there"
                )
    raise AssertionError("the units fit where they stand")
