"""Divide an ensemble into clusters, one MotherNet each.

The clusters maximise the number of parameters *reused*: the sum over clusters of
(members - 1) x |MotherNet|. (Inherited parameters alone would call a cluster of one
perfect, though it saves nothing.) A cluster that no MotherNet connects, or in which a
member inherits too little, is never formed.

A set of members is a bit mask: bit i is the i-th architecture of the given dict.
"""

import dataclasses
import random
from collections.abc import Callable, Iterable, Iterator, Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import check_architecture, check_task, is_whole
from mothernets_jax.growth.mothernet import Alignment, mothernet, obstacle
from mothernets_jax.growth.shared_parameters import Gain, bits, make_gain
from mothernets_jax.utils.argument_errors import Argument, ArgumentError
from mothernets_jax.utils.messages import safe_name, short_repr

EXACT_LIMIT = 12  # members up to which all divisions are searched
RESTARTS = 60  # of the search beyond that, up to 25 members

_Division = tuple[int, list[int]]  # reused parameters, and the clusters


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A MotherNet and the names of the members to hatch from it.

    Attributes:
        mothernet: architecture of the MotherNet.
        members: names of the members, in the ensemble's order.
    """

    mothernet: Architecture
    members: tuple[str, ...]


def cluster(
    architectures: Mapping[str, Architecture],
    *,
    num_clusters: int | None = None,
    min_shared: float | None = None,
    align: Alignment = "first",
    input_shape: tuple[int, int, int],
    num_classes: int,
) -> tuple[Cluster, ...]:
    """Divides an ensemble into clusters that reuse the most parameters.

    The result is deterministic: the best division for up to 12 members; beyond, the
    best of several searches by moves and swaps. With neither knob there are as few
    clusters as can be connected.

    Args:
        architectures: the ensemble's members by name.
        num_clusters: number of clusters (the paper's g); None for as few as possible.
        min_shared: smallest share of its parameters, 0 to 1, that a member must inherit
            from its MotherNet (the paper's tau), with as few clusters as allow it; None
            for any share.
        align: rule by which units are matched: `"first"` is the paper's, `"best"` makes
            each MotherNet largest. Beyond 12 members the search counts the parameters
            of `"first"`, which is faster.
        input_shape: (height, width, channels) of one image.
        num_classes: number of outputs of the linear head.

    Returns:
        Clusters in the order of their first members.

    Raises:
        ValueError: both knobs given, a knob out of range, or fewer clusters asked for
            than can be connected.
    """
    if not isinstance(architectures, Mapping):
        raise ValueError(
            f"architectures are {short_repr(architectures)}: expected them by name, as "
            "in mn.presets.v5()"
        )
    for name, architecture in architectures.items():
        check_architecture(architecture, f"the architecture {safe_name(name)}")
    check_task(input_shape, num_classes)
    names = tuple(architectures)
    if not names:
        raise ValueError("there is no architecture to cluster: give at least one")
    check_knobs(len(names), num_clusters, min_shared)
    members = tuple(architectures.values())
    few = len(names) <= EXACT_LIMIT
    gain = make_gain(
        members,
        min_shared or 0.0,
        align if few else "first",
        input_shape,
        num_classes,
    )
    everyone = (1 << len(names)) - 1
    if num_clusters in (None, 1) and gain(everyone) is not None:
        division = [everyone]  # there are no fewer
    else:
        search = _search_all if few else _search_greedily
        division = search(len(names), num_clusters, gain)
    if division is None:
        raise ArgumentError(
            Argument("num_clusters"),
            f"={num_clusters} is too few: no {num_clusters} MotherNets "
            f"connect these members ({_some_obstacle(architectures)}); ask for more "
            "clusters, or leave it out to get the fewest possible",
        )
    return tuple(
        Cluster(
            mothernet((members[i] for i in bits(mask)), align=align),
            tuple(names[i] for i in bits(mask)),
        )
        for mask in sorted(division, key=lambda mask: mask & -mask)
    )


def check_knobs(
    num_members: int, num_clusters: int | None, min_shared: float | None
) -> None:
    """Refuses values of the two knobs of `cluster` that suit no members.

    Args:
        num_members: number of the ensemble's members.
        num_clusters: number of clusters, 1 to `num_members`; None if not given.
        min_shared: smallest share of its parameters, 0 to 1, that a member must inherit
            from its MotherNet; None if not given.

    Raises:
        ValueError: both knobs given, or one out of range.
    """
    if num_clusters is not None and min_shared is not None:
        raise ArgumentError(
            Argument("num_clusters"),
            f" is {num_clusters} and ",
            Argument("min_shared"),
            f" is {min_shared}: give one of them",
        )
    if num_clusters is not None and not (
        is_whole(num_clusters) and 1 <= num_clusters <= num_members
    ):
        raise ArgumentError(
            Argument("num_clusters"),
            f" is {short_repr(num_clusters)}: expected 1 to {num_members}, the number "
            "of ensemble members",
        )
    is_share = isinstance(min_shared, int | float) and 0 <= min_shared <= 1
    if min_shared is not None and not is_share:
        raise ArgumentError(
            Argument("min_shared"),
            f" is {short_repr(min_shared)}: expected a share from 0 to 1",
        )


def _search_all(count: int, num_clusters: int | None, gain: Gain) -> list[int] | None:
    """The best division by dynamic programming over subsets; None if there is none."""
    everyone = (1 << count) - 1
    # The best divisions into some number of clusters. Each cluster holds the lowest bit
    # that remains, so that what remains after the first never holds bit 0.
    best: dict[int, _Division] = {0: (0, [])}
    remainders = range(2, everyone, 2)
    for number in range(1, (num_clusters or count) + 1):
        if num_clusters in (None, number):
            whole = _best_with_one_more(everyone, best, gain)
            if whole is not None:
                return whole[1]
        if number == 1:
            alone = {mask: gain(mask) for mask in remainders}
            best = {
                m: (reused, [m]) for m, reused in alone.items() if reused is not None
            }
        else:
            longer = {m: _best_with_one_more(m, best, gain) for m in remainders}
            best = {m: division for m, division in longer.items() if division}
    return None


def _best_with_one_more(
    mask: int, best: Mapping[int, _Division], gain: Gain
) -> _Division | None:
    """The best division of a mask into one cluster more than those in `best`."""
    lowest, most, chosen = mask & -mask, -1, None
    for rest in _subsets(mask ^ lowest):
        if rest in best:
            reused = gain(mask ^ rest)
            if reused is not None and best[rest][0] + reused > most:
                most, chosen = best[rest][0] + reused, rest
    return None if chosen is None else (most, [*best[chosen][1], mask ^ chosen])


def _search_greedily(
    count: int, num_clusters: int | None, gain: Gain
) -> list[int] | None:
    """A good division of many members: the best of several that moves cannot improve.

    The first is merged greedily. For each restart the merges see random shares of what
    they are worth, since one search alone may end a third below the best division.
    """
    draws = random.Random(0)
    # A search takes time in the square of the members, or more: fewer for many.
    restarts = RESTARTS * min(1, 25**2 / count**2)
    shares = [lambda: 1.0, *[draws.random] * round(restarts)]
    starts = [_merge(count, num_clusters, gain, share) for share in shares]
    if num_clusters is not None and len(starts[0]) > num_clusters:
        return None
    divisions = [_improve(start, gain) for start in dict.fromkeys(starts)]

    def merit(division: list[int]) -> tuple[int, int]:
        return -len(division), sum(gain(mask) or 0 for mask in division)

    return max(divisions, key=merit)


def _merge(
    count: int, num_clusters: int | None, gain: Gain, share: Callable[[], float]
) -> tuple[int, ...]:
    """Merges the best pair, again and again; each counts for a share of its worth."""
    division = [1 << i for i in range(count)]
    while num_clusters is None or len(division) > num_clusters:
        apart = [gain(mask) or 0 for mask in division]
        merges = [
            (share() * merged - apart[i] - apart[j], -i, -j)
            for i, a in enumerate(division)
            for j, b in enumerate(division[:i])
            if (merged := gain(a | b)) is not None
        ]
        if not merges:
            break
        _, i, j = max(merges)
        division[-j] |= division.pop(-i)
    return tuple(division)


def _improve(start: Iterable[int], gain: Gain) -> list[int]:
    """Moves and swaps members for as long as more is reused."""
    division = list(start)
    while (improved := _better_neighbour(division, gain)) is not None:
        division = improved
    return division


def _better_neighbour(division: list[int], gain: Gain) -> list[int] | None:
    """The first division that reuses more, by one member moved or two swapped."""
    for i, source in enumerate(division):
        for j, target in enumerate(division):
            if i == j:
                continue
            before = (gain(source) or 0) + (gain(target) or 0)
            for leaving in bits(source):
                # Moving alone (nobody comes back), or in exchange for one of target's.
                for returning in (0, *(1 << k for k in bits(target))):
                    change = (1 << leaving) | returning
                    new_source, new_target = source ^ change, target ^ change
                    if not new_source:
                        continue
                    gains = gain(new_source), gain(new_target)
                    if None not in gains and sum(filter(None, gains)) > before:
                        better = list(division)
                        better[i], better[j] = new_source, new_target
                        return better
    return None


def _subsets(mask: int) -> Iterator[int]:
    """All subsets of a mask, the whole first, the empty one last."""
    subset = mask
    while subset:
        yield subset
        subset = (subset - 1) & mask
    yield 0


def _some_obstacle(architectures: Mapping[str, Architecture]) -> str:
    (first, architecture), *others = architectures.items()
    for name, other in others:
        if reason := obstacle(architecture, other):
            return f"{first} and {name}: {reason}"
    return "they can all be connected"
