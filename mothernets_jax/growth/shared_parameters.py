"""Parameters that a cluster reuses, (members - 1) x |MotherNet|, for any members.

Clustering asks for thousands of sets. By the paper's alignment, what a member offers
depends on the MotherNet's depths alone, so that the MotherNet of a set is the
elementwise minimum of rows that are computed once. Most sets share theirs with others,
and its parameters are counted once.

A set of members is a bit mask: bit i is the i-th member.
"""

import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.base import Unit, sizes
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.growth.alignment import fitting_sections
from mothernets_jax.growth.mothernet import Alignment, mothernet, obstacle

# From a set of members to the parameters reused; None where it cannot be a cluster.
Gain = Callable[[int], int | None]


def make_gain(
    members: Sequence[Architecture],
    min_shared: float,
    align: Alignment,
    input_shape: tuple[int, int, int],
    num_classes: int,
) -> Gain:
    """Makes the function that counts the parameters reused by a cluster.

    Args:
        members: architectures of the ensemble's members.
        min_shared: smallest share of its parameters, 0 to 1, that a member must
            inherit.
        align: rule by which units are matched: `"first"` is the paper's, `"best"` makes
            the MotherNet largest.
        input_shape: (height, width, channels) of one image.
        num_classes: number of outputs of the linear head.

    Returns:
        A function that takes a set of members, not empty, as a bit mask. It returns the
        number of reused parameters; None where no MotherNet connects the members, or
        where one of them would inherit too little.
    """

    def count(architecture: Architecture) -> int:
        return num_params(architecture, input_shape, num_classes)

    # Members of one architecture are told by the first of them.
    first_alike = [members.index(member) for member in members]
    own = [count(member) for member in members]
    connected = [
        sum(1 << j for j, other in enumerate(members) if not obstacle(member, other))
        for member in members
    ]

    @functools.cache
    def best_size(distinct: frozenset[int]) -> int:
        return count(mothernet((members[i] for i in distinct), align="best"))

    first_size = _size_by_rows(members, count)

    @functools.cache
    def gain(mask: int) -> int | None:
        chosen = bits(mask)
        if mask & ~connected[chosen[0]]:
            return None
        distinct = frozenset(first_alike[i] for i in chosen)
        shared = best_size(distinct) if align == "best" else first_size(distinct)
        if shared < min_shared * max(own[i] for i in distinct):
            return None
        return (len(chosen) - 1) * shared

    return gain


def bits(mask: int) -> list[int]:
    """The positions of a mask's set bits, lowest first."""
    return [i for i, digit in enumerate(bin(mask)[:1:-1]) if digit == "1"]


def _size_by_rows(
    members: Sequence[Architecture], count: Callable[[Architecture], int]
) -> Callable[[frozenset[int]], int]:
    """Makes the function that counts a MotherNet's parameters by the paper's rule.

    It takes the indices of any connected members. Besides units, a MotherNet takes
    nothing in which they differ but their fixed sizes, so that one of those with equal
    fixed sizes stands for all.
    """
    own_depths = [tuple(map(len, member.sections)) for member in members]
    first_framed = [
        next(
            j
            for j, other in enumerate(members)
            if not obstacle(member, other)
            and member.fixed_sizes() == other.fixed_sizes()
        )
        for member in members
    ]
    counted: dict[tuple, int] = {}

    @functools.cache
    def fitting(i: int, depths: tuple[int, ...]) -> tuple[tuple[Unit, ...], ...]:
        return fitting_sections(members[i], members[i].matched_positions(depths))

    @functools.cache
    def row(i: int, depths: tuple[int, ...]) -> np.ndarray:
        units = itertools.chain(*fitting(i, depths))
        return np.asarray([*itertools.chain(*map(sizes, units))], np.int64)

    def size(chosen: frozenset[int]) -> int:
        all_depths = {own_depths[i] for i in chosen}
        depths = tuple(map(min, zip(*all_depths, strict=True)))
        rows = [row(i, depths) for i in chosen]
        smallest = tuple(np.minimum.reduce(rows).tolist())
        frames = frozenset(first_framed[i] for i in chosen)
        key = depths, smallest, frames
        if key not in counted:
            entries = iter(smallest)
            sections = [
                [type(u)(*itertools.islice(entries, len(sizes(u)))) for u in units]
                for units in fitting(min(chosen), depths)
            ]
            framed = [members[i] for i in frames]
            counted[key] = count(type(framed[0]).assemble(framed, sections))
        return counted[key]

    return size
