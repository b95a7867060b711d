"""Construct the MotherNet of a cluster, and match a member's layers to it.

Matching is the paper's: in every section the member's first layers are matched to the
MotherNet's, position by position; what is left over at the section's end is inserted
when the member is hatched.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from mothernets_jax.architectures import Architecture, Conv, Dense, Unit, unit_names


def mothernet(
    architectures: Iterable[Architecture], *, align: Literal["first"] = "first"
) -> Architecture:
    """The largest network from which every given one can be hatched.

    In each section as many layers as the member with the fewest; each position takes
    the smallest filter over the members, and the smallest width over the members'
    layers from that position up to the next one that is matched: the layers inserted
    between must carry every channel of the MotherNet, across the borders of blocks and
    into the dense head.

    Args:
        architectures: at least one.
        align: how layers are matched; `"first"` is the paper's rule.

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
    members = tuple(dict.fromkeys(architectures))
    if not members:
        raise ValueError("a MotherNet needs at least one architecture, found none")
    if align != "first":
        raise ValueError(f"align is {align!r}: expected 'first'")
    for member in members[1:]:
        if reason := obstacle(members[0], member):
            raise ValueError(
                f"no MotherNet connects {str(members[0])!r} and {str(member)!r}: "
                f"{reason}; put them into different clusters"
            )
    depths = [
        min(len(member.sections[number]) for member in members)
        for number in range(len(members[0].sections))
    ]
    sections = tuple(
        tuple(
            _smallest_unit([_span(m, depths, number, position) for m in members])
            for position in range(depth)
        )
        for number, depth in enumerate(depths)
    )
    *blocks, dense = sections
    return Architecture(tuple(blocks), dense, members[0].batch_norm)  # type: ignore[arg-type]


def obstacle(one: Architecture, other: Architecture) -> str | None:
    """Why no function-preserving growth connects two networks; None where one does."""
    if one.family != other.family:
        return f"one is of the family {one.family}, the other of {other.family}"
    if len(one.blocks) != len(other.blocks):
        return f"they have {len(one.blocks)} and {len(other.blocks)} blocks"
    if one.batch_norm != other.batch_norm:
        return "one has batch normalisation, the other has not"
    return None


def matched_units(mother: Architecture, member: Architecture) -> dict[str, str]:
    """Which of the member's units continue a unit of the mother.

    Returns:
        The mother's unit name for each matched unit name of the member. The member's
        other units are inserted by `hatch`.

    Raises:
        ValueError: the member cannot be hatched from the mother, and why.
    """
    reason = obstacle(mother, member) or _growth_obstacle(mother, member)
    if reason:
        raise ValueError(
            f"{str(member)!r} cannot be hatched from {str(mother)!r}: {reason}"
        )
    matches: dict[str, str] = {}
    for mine, theirs in zip(unit_names(member), unit_names(mother), strict=True):
        matches.update(zip(mine, theirs, strict=False))
    return matches


def _growth_obstacle(mother: Architecture, member: Architecture) -> str | None:
    """Why a connected member's layers are too few or too small; None if they fit."""
    depths = [len(section) for section in mother.sections]
    for number, names in enumerate(unit_names(mother)):
        found = len(member.sections[number])
        if found < depths[number]:
            return (
                f"section {number + 1} has {depths[number]} layers in the mother and "
                f"{found} in the member; a network can only become deeper"
            )
        for position, name in enumerate(names):
            span = _span(member, depths, number, position)
            unit, largest = mother.sections[number][position], _smallest_unit([span])
            if (
                isinstance(unit, Conv)
                and isinstance(largest, Conv)
                and unit.filter_size > largest.filter_size
            ):
                return f"the mother's {name} has the larger filter"
            if unit.width > largest.width:
                return (
                    f"{name} hands on {unit.width} channels in the mother, and the "
                    f"member's layers from there to its next match carry only "
                    f"{largest.width}"
                )
    return None


def _span(
    member: Architecture, depths: Sequence[int], number: int, position: int
) -> tuple[Unit, ...]:
    """The member's matched unit at a place, then the inserted ones that follow it.

    Args:
        member: the network.
        depths: layers of the MotherNet in each section.
        number: the section of the matched unit.
        position: its place there.
    """
    if position + 1 < depths[number]:
        return (member.sections[number][position],)
    span = member.sections[number][position:]
    for later, depth in enumerate(depths[number + 1 :], start=number + 1):
        if depth:  # the next match is this section's first unit
            break
        span += member.sections[later]
    return span


def _smallest_unit(spans: Sequence[tuple[Unit, ...]]) -> Unit:
    """The largest unit that can stand at a place, given each member's span there."""
    width = min(unit.width for span in spans for unit in span)
    firsts = [span[0] for span in spans]
    filter_sizes = [unit.filter_size for unit in firsts if isinstance(unit, Conv)]
    return Conv(min(filter_sizes), width) if filter_sizes else Dense(width)
