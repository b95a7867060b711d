"""The learning curves of a run: every network's error after every epoch."""

import math
from itertools import chain, cycle
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mothernets_jax.report.plots.style import (
    INK,
    MUTED,
    WIDE,
    clip,
    method_styles,
    set_root_scale,
    small_multiples,
)

_CHAINED = ("snapshot-", "fge-")  # stages that go on where the one before them ended
_BRANCHED = ("star-", "prune_and_tune-")  # where the method's first network ended


class Curve(NamedTuple):
    """A network's error after each epoch of a stage.

    The curve of a network that goes on from another starts at the other's last point.

    Attributes:
        name: name of the network.
        epochs: epochs done, counted from the start of the network's first ancestor.
        errors: shares of wrong images, 0 to 1, as many as epochs; NaN where unknown.
        shared: whether the network was trained before the members, as a MotherNet is.
    """

    name: str
    epochs: list[int]
    errors: list[float]
    shared: bool


def metric_of(methods: dict[str, dict]) -> str:
    """Name of the learning curves' error: of the validation split, if there is one."""
    stages = chain(*(method["stages"] for method in methods.values()))
    histories = chain(*(stage["history"].values() for stage in stages))
    errors = chain(*(history["validation_error"] for history in histories))
    return (
        "validation error" if any(e is not None for e in errors) else "training error"
    )


def curves_of(method: dict, clusters: list[dict], metric: str) -> list[Curve]:
    """The curve of every network in every stage of a method.

    Args:
        method: the method's entry in `results.json`.
        clusters: clusters of the run's plan.
        metric: result of `metric_of`.
    """
    key = "validation_error" if metric == "validation error" else "train_error"
    parents = {m["name"]: c["name"] for c in clusters for m in c["members"]}
    ends: dict[str, tuple[int, float]] = {}  # by network: its last epoch, and error
    planned = {*method["members"], *method.get("left_out", ())}
    curves = []
    for stage in method["stages"]:
        for name, history in stage["history"].items():
            errors = [math.nan if error is None else error for error in history[key]]
            if not errors:
                continue
            start = ends.get(name) or ends.get(parents.get(name, ""))
            if stage["name"].startswith(_CHAINED) and ends:
                start = list(ends.values())[-1]
            if stage["name"].startswith(_BRANCHED) and ends:
                start = next(iter(ends.values()))
            first = start[0] if start else 0
            epochs = [*range(first + 1, first + 1 + len(errors))]
            if start:
                epochs, errors = [first, *epochs], [start[1], *errors]
            ends[name] = epochs[-1], errors[-1]
            curves.append(Curve(name, epochs, errors, shared=name not in planned))
    return curves


def learning_curves(
    curves: dict[str, list[Curve]], metric: str, width: int
) -> Figure | None:
    """Draws every network's error after every epoch, one panel a method.

    Args:
        curves: the networks' curves by the method's name.
        metric: result of `metric_of`.
        width: width of the figure in pixels.

    Returns:
        The figure; None without curves.
    """
    styles = method_styles(curves)
    curves = {name: lines for name, lines in curves.items() if lines}
    if not curves:
        return None
    columns = 3 if width >= WIDE else 1
    figure, panels = small_multiples(
        [*curves], width, columns=columns, height=290, edge=54, bottom=48
    )
    everything = list(chain(*curves.values()))
    top = np.nanmax([0.0, *chain(*(curve.errors for curve in everything))])
    ticks = (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1)
    top = max(1.1 * top, 0.012)  # room for a tick above 0 where all errors are 0
    ticks = [tick for tick in ticks if tick < top]
    for place, (method, axes) in enumerate(panels.items()):
        _draw_curves(axes, curves[method], styles[method][0])
        set_root_scale(axes, "y")
        first = place % columns == 0
        axes.set_yticks(ticks, [f"{100 * t:g}%" if first else "" for t in ticks])
        axes.set_ylim(0, top)
        axes.set_xlim(0, 1.03 * max(curve.epochs[-1] for curve in everything))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlabel("epochs")
        if first:
            axes.set_ylabel(metric)
    return figure


def _draw_curves(axes: Axes, curves: list[Curve], colour: str) -> None:
    """Draws members in the method's colour, networks trained before in dark ink."""
    dashes = cycle(("-", "--", ":", "-."))
    shared = [curve for curve in curves if curve.shared]
    members = [curve for curve in curves if not curve.shared]
    for i, curve in enumerate(members):
        line = axes.plot(curve.epochs, curve.errors, color=colour)[0]
        line.set(
            linewidth=1.3, alpha=0.6 if i else 0.9, label="members" if i == 0 else None
        )
        axes.plot(curve.epochs[-1], curve.errors[-1], "o", color=colour, markersize=4)
    for i, curve in enumerate(shared):
        line = axes.plot(curve.epochs, curve.errors, next(dashes), color=INK)[0]
        line.set(linewidth=2, label=clip(curve.name, 18) if i < 4 else None)
        axes.plot(curve.epochs[-1], curve.errors[-1], "o", color=INK, markersize=6)
    if shared:
        axes.legend(loc="upper right", fontsize=11, labelcolor=MUTED)
