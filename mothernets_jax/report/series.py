"""What plots of error against cost draw: a series of points for each method."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mothernets_jax.report.style import method_label, method_styles

MAIN_METHOD = "mothernets"  # drawn larger


class Series(NamedTuple):
    """An ensemble after one more of its members is finished, and one more.

    Attributes:
        label: what it is called.
        short: the same where there is little room.
        colour, marker, dash: how it is drawn.
        main: whether it is drawn larger.
        costs: `train_flops` so far of each point, and `seconds` where they are known.
        errors: of the members so far, averaged, on the test set.
        spreads: standard deviations of the errors over seeds; zeros for one seed.
        before_flops: training FLOPs before the first member, of a MotherNet, say.
    """

    label: str
    short: str
    colour: str
    marker: str
    dash: str
    main: bool
    costs: dict[str, list[float]]
    errors: list[float]
    spreads: list[float]
    before_flops: float


def anytime_points(method: Mapping[str, Any]) -> list[dict[str, float]]:
    """The method's anytime curve, with the `seconds` of training and hatching so far.

    The last point has those of all stages, of what was trained in vain too.

    Args:
        method: its entry in `results.json`.
    """
    seconds, clock = [], 0.0
    for stage in method["stages"]:
        clocks = stage["clocks"]
        clock += clocks["train_seconds"] + clocks["hatch_seconds"]
        if not method["members"].keys().isdisjoint(stage["members"]):
            seconds.append(clock)
    seconds[-1:] = [clock] if seconds else []
    return [
        {**point, "seconds": so_far}
        for point, so_far in zip(method["anytime"], seconds, strict=True)
    ]


def flops_before_members(method: Mapping[str, Any]) -> float:
    """FLOPs of the stages before the first of a member: a MotherNet's, a teacher's."""
    stages = itertools.takewhile(
        lambda stage: method["members"].keys().isdisjoint(stage["members"]),
        method["stages"],
    )
    return float(sum(stage["train_flops"] for stage in stages))


def make_series(
    points: Sequence[Mapping[str, float]],
    before_flops: float,
    *,
    label: str,
    short: str = "",
    look: tuple[str, str, str],
    main: bool,
    spreads: Sequence[float] = (),
) -> Series:
    """A series of the points of an anytime curve.

    Args:
        points: `error`, `train_flops` and, if they are to be drawn, `seconds` of each.
        before_flops: trained before the first member.
        label: what it is called.
        short: the same where there is little room; empty where it is short.
        look: its colour, marker and dash.
        main: whether it stands out.
        spreads: of the errors; empty for one seed.
    """
    return Series(
        label,
        short or label,
        *look,
        main,
        {
            cost: [point[cost] for point in points]
            for cost in ("train_flops", "seconds")
            if cost == "train_flops" or all(cost in point for point in points)
        },
        [point["error"] for point in points],
        list(spreads) or [0.0] * len(points),
        before_flops,
    )


def series_of(methods: Mapping[str, Mapping[str, Any]]) -> list[Series]:
    """A run's methods."""
    styles = method_styles(methods)
    return [
        make_series(
            anytime_points(method),
            flops_before_members(method),
            label=method_label(name),
            look=(*styles[name], "-"),
            main=name == MAIN_METHOD,
        )
        for name, method in methods.items()
        if method["anytime"]
    ]
