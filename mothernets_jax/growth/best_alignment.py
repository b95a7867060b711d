"""The alignment that makes the MotherNet of a cluster largest.

The paper matches the first units of every section. Given the MotherNet, though, its
members do not depend on one another. Any match will do from which a member can be
grown, and a better one holds a larger MotherNet.

For each depth of a section, every member offers *vectors*: the sizes of the largest
units that can be matched there, for each choice of its units. The MotherNet has the
elementwise minimum of one vector of each member. The candidates are the minima that no
other one equals or exceeds in every entry. In plain networks the last unit of a section
also has to pass through the units that are inserted in front of the next section's
first match; the smallest width of these is a vector's first entry.

The search is exact up to `MOST_CHOICES` choices of a section's units by a member, as
many vectors of a section, and `MOST_DEPTHS` depths; beyond, it keeps a few natural
choices, the largest vectors, and depths spread evenly.
"""

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.base import Unit, sizes
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.architectures.plain import Plain
from mothernets_jax.growth.alignment import shared_depths

MOST_CHOICES = 300
# Depths of a section that are tried; the published networks have no more.
MOST_DEPTHS = 64

# The task for which parameters are counted: small colour images, ten classes.
INPUT_SHAPE, NUM_CLASSES = (32, 32, 3), 10

# The width that may pass in front of the first matched unit, then all units' sizes.
Vector = tuple[float, ...]


class _Candidate(NamedTuple):
    """One way to fill a section of the MotherNet.

    Attributes:
        lead: largest width that may pass in front of the section's first unit; infinite
            if any may.
        units: the units of the section.
    """

    lead: float
    units: tuple[Unit, ...]


class _Row(NamedTuple):
    """Sections of a plain MotherNet from its first on; the last unit is still open.

    Attributes:
        sections: the units of each section, the last one not yet capped by what
            follows it.
        inputs: number of channels that the open unit reads.
        params: number of parameters of all units but the open one.
    """

    sections: tuple[tuple[Unit, ...], ...]
    inputs: int
    params: int


def largest_sections(members: Sequence[Architecture]) -> list[tuple[Unit, ...]]:
    """The units of the largest MotherNet of connected members, section by section."""
    depths = shared_depths(members)
    candidates = [
        list(_candidates(members, number, depth)) for number, depth in enumerate(depths)
    ]
    plain = [member for member in members if isinstance(member, Plain)]
    if plain:
        return _best_row(plain, candidates)
    return _best_each(members, candidates)


def size_of(members: Sequence[Architecture], sections: Sequence[Sequence]) -> int:
    """Number of parameters of the MotherNet that has the given units.

    Args:
        members: the architectures that the MotherNet connects.
        sections: the MotherNet's units, section by section.
    """
    return _size(type(members[0]).assemble(members, sections))


@functools.lru_cache(maxsize=10_000)  # many sets of members share a MotherNet
def _size(mother: Architecture) -> int:
    return num_params(mother, INPUT_SHAPE, NUM_CLASSES)


def _candidates(
    members: Sequence[Architecture], number: int, most: int
) -> Iterator[_Candidate]:
    """Yields all candidates that may be best in a section, at any shared depth."""
    kind, step = _kind(members, number), _fields(members, number)
    for depth in _depths(_least_depth(members, number), most):
        vectors: list[Vector] = [(math.inf,) * (1 + depth * step)]
        for member in members:
            folded = {
                tuple(map(min, one, other))
                for one in vectors
                for other in _offered(member, number, depth)
            }
            vectors = _undominated(folded)
        for lead, *entries in vectors:
            whole = list(map(int, entries))
            starts = range(0, depth * step, step or 1)
            yield _Candidate(lead, tuple(kind(*whole[i : i + step]) for i in starts))


def _depths(least: int, most: int) -> list[int]:
    """Depths from least to most: all of them, or `MOST_DEPTHS` spread evenly."""
    count = most - least + 1
    if count <= MOST_DEPTHS:
        return list(range(least, most + 1))
    return [least + i * (count - 1) // (MOST_DEPTHS - 1) for i in range(MOST_DEPTHS)]


def _least_depth(members: Sequence[Architecture], number: int) -> int:
    """Smallest depth of a section: 0 for dense layers behind blocks, else 1."""
    is_last = number == len(members[0].sections) - 1
    return 0 if members[0].units_carry and is_last and number else 1


def _kind(members: Sequence[Architecture], number: int) -> type:
    for member in members:
        for unit in member.sections[number]:
            return type(unit)
    return tuple


def _fields(members: Sequence[Architecture], number: int) -> int:
    kind = _kind(members, number)
    return len(dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else 0


@functools.cache
def _offered(member: Architecture, number: int, depth: int) -> list[Vector]:
    """The vectors of a member that may be best."""
    return _undominated(_vectors(member, number, depth))


def _vectors(member: Architecture, number: int, depth: int) -> Iterator[Vector]:
    """Yields a member's vectors of a section at a depth, by choice of its units."""
    units = member.sections[number]
    pinned = member.is_pinned(number)
    for starts in _choices(member, number, depth, pinned=pinned):
        ends = [*starts, len(units)][1:]
        largest = [
            member.largest_fitting_unit(units[start:end])
            for start, end in zip(starts, ends, strict=True)
        ]
        before = units[: starts[0]] if starts else units
        lead = math.inf
        if member.units_carry and before:
            lead = min(unit.width for unit in before)
        yield (lead, *itertools.chain(*map(sizes, largest)))


def _choices(
    member: Architecture, number: int, depth: int, *, pinned: bool
) -> Iterable[tuple[int, ...]]:
    """Choices of a section's units to match: all of them, or a few natural ones."""
    count = len(member.sections[number])
    if math.comb(count, depth) <= MOST_CHOICES:
        every = itertools.combinations(range(count), depth)
        return (c for c in every if not (pinned and c and c[0]))
    last = tuple(range(count - depth, count))
    return {
        tuple(range(depth)),
        tuple(i * count // depth for i in range(depth)),
        (0, *last[1:]) if pinned else last,
    }


def _undominated(vectors: Iterable[Vector]) -> list[Vector]:
    """The vectors that no other equals or exceeds in every entry, largest first."""
    # The lead by itself: where it is infinite, so would every sum be.
    larger_first = sorted(vectors, reverse=True, key=lambda v: (sum(v[1:]), v[0]))
    kept: list[Vector] = []
    for vector in larger_first:
        if not any(all(map(operator.ge, other, vector)) for other in kept):
            kept.append(vector)
            if len(kept) == MOST_CHOICES:
                break
    return kept


def _best_each(
    members: Sequence[Architecture], candidates: Sequence[Sequence[_Candidate]]
) -> list[tuple[Unit, ...]]:
    """The best units of each section by itself, the sizes between being fixed."""
    chosen = [section[0].units for section in candidates]
    for number, section in enumerate(candidates):

        def size(candidate: _Candidate, number: int = number) -> int:
            trial = [*chosen[:number], candidate.units, *chosen[number + 1 :]]
            return size_of(members, trial)

        chosen[number] = max(section, key=size).units
    return chosen


def _best_row(
    members: Sequence[Plain], candidates: Sequence[Sequence[_Candidate]]
) -> list[tuple[Unit, ...]]:
    """The best row of sections, where each caps the last unit before it (Viterbi).

    Later sections depend only on the open unit and the number of channels that it
    reads; of the rows that agree in both, one is the best whatever follows.
    """
    height, width, channels = INPUT_SHAPE
    flat = members[0].family == "mlp"
    per_channel = 2 if members[0].batch_norm else 1
    rows = [_Row((), channels * height * width if flat else channels, 0)]
    for section in candidates:
        best: dict[tuple, _Row] = {}
        for row, candidate in itertools.product(rows, section):
            longer = _longer(row, candidate, per_channel)
            state = longer.inputs, _open_unit(longer)
            if state not in best or longer.params > best[state].params:
                best[state] = longer
        rows = list(best.values())

    def size(row: _Row) -> int:
        last = _open_unit(row)
        head = last.width * NUM_CLASSES
        return row.params + _params(row.inputs, last, per_channel) + head

    return list(max(rows, key=size).sections)


def _longer(row: _Row, candidate: _Candidate, per_channel: int) -> _Row:
    """A row with one more section, whose lead caps the open unit."""
    sections, inputs, params = row
    unit = _open_unit(row)
    if unit is not None:
        *others, width = sizes(unit)
        unit = type(unit)(*others, int(min(width, candidate.lead)))
        sections = _with_last(sections, unit)
        if candidate.units:
            params += _params(inputs, unit, per_channel)
            inputs = unit.width
    for unit in candidate.units[:-1]:
        params += _params(inputs, unit, per_channel)
        inputs = unit.width
    return _Row((*sections, candidate.units), inputs, params)


def _open_unit(row: _Row) -> Unit:
    """The last unit of a row; None in an empty row."""
    return next((section[-1] for section in reversed(row.sections) if section), None)


def _with_last(
    sections: tuple[tuple[Unit, ...], ...], unit: Unit
) -> tuple[tuple[Unit, ...], ...]:
    """The sections with another last unit."""
    if not sections[-1]:
        return (*_with_last(sections[:-1], unit), ())
    return (*sections[:-1], (*sections[-1][:-1], unit))


def _params(inputs: int, unit: Unit, per_channel: int) -> int:
    """Number of parameters of a plain unit that reads `inputs` channels."""
    return unit.taps * inputs * unit.width + per_channel * unit.width
