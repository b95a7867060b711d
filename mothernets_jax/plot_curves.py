"""The learning curves of a run: every network's error after every epoch."""

import math
from itertools import chain, cycle
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mothernets_jax.style import (
    INK,
    MUTED,
    WIDE,
    axes_within,
    clip,
    method_label,
    method_styles,
    new_figure,
)


class Curve(NamedTuple):
    """A network's error after each epoch; a hatched one starts where its mother ended.

    Attributes:
        epochs: epochs done, counted from the start of the network's first ancestor.
        shared: trained before the members, as a MotherNet is.
    """

    name: str
    epochs: list[int]
    errors: list[float]
    shared: bool


def metric_of(methods: dict[str, dict]) -> str:
    """The learning curves' error: on the validation split, where there is one."""
    stages = chain(*(method["stages"] for method in methods.values()))
    histories = chain(*(stage["history"].values() for stage in stages))
    errors = chain(*(history["validation_error"] for history in histories))
    return (
        "validation error" if any(e is not None for e in errors) else "training error"
    )


def curves_of(method: dict, clusters: list[dict], metric: str) -> list[Curve]:
    """The curve of every network in every stage of a method.

    Args:
        method: its results.
        clusters: of the run's plan.
        metric: as `metric_of` says.
    """
    key = "validation_error" if metric == "validation error" else "train_error"
    parents = {m["name"]: c["name"] for c in clusters for m in c["members"]}
    ends: dict[str, tuple[int, float]] = {}  # by network: its last epoch, and error
    curves = []
    for stage in method["stages"]:
        for name, history in stage["history"].items():
            errors = [math.nan if error is None else error for error in history[key]]
            if not errors:
                continue
            start = ends.get(name) or ends.get(parents.get(name, ""))
            first = start[0] if start else 0
            epochs = [*range(first + 1, first + 1 + len(errors))]
            if start:
                epochs, errors = [first, *epochs], [start[1], *errors]
            ends[name] = epochs[-1], errors[-1]
            curves.append(
                Curve(name, epochs, errors, shared=name not in method["members"])
            )
    return curves


def learning_curves(
    curves: dict[str, list[Curve]], metric: str, width: int
) -> Figure | None:
    """Error of every network after every epoch, one panel a method."""
    styles = method_styles(curves)
    curves = {name: lines for name, lines in curves.items() if lines}
    if not curves:
        return None
    columns = min(len(curves), 3) if width >= WIDE else 1
    rows = -(-len(curves) // columns)
    panel = (width - 54) // columns
    figure = new_figure(width, 290 * rows)
    everything = list(chain(*curves.values()))
    top = np.nanmax([0.0, *chain(*(curve.errors for curve in everything))])
    for place, (method, lines) in enumerate(curves.items()):
        row, column = divmod(place, columns)
        axes = axes_within(
            figure,
            left=54 + column * panel,
            bottom=48 + (rows - 1 - row) * 290,
            right=14 + (columns - 1 - column) * panel,
            top=32 + row * 290,
        )
        _draw_curves(axes, lines, styles[method][0])
        title = clip(method_label(method), panel / 9)
        axes.set_title(title, loc="left", weight="bold", fontsize=12.5)
        # A root scale opens the region near zero, where the networks end.
        axes.set_yscale("function", functions=(_root, np.square))
        ticks = (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1)
        ticks = [tick for tick in ticks if tick < 1.1 * top]
        axes.set_yticks(ticks, ["" if column else f"{100 * t:g}%" for t in ticks])
        axes.set_ylim(0, 1.1 * top or 0.01)
        axes.set_xlim(0, 1.03 * max(curve.epochs[-1] for curve in everything))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlabel("epochs")
        if column == 0:
            axes.set_ylabel(metric)
    return figure


def _draw_curves(axes: Axes, curves: list[Curve], colour: str) -> None:
    """Members in the method's colour, what was trained before them in dark ink."""
    dashes = cycle(("-", "--", ":", "-."))
    shared = [curve for curve in curves if curve.shared]
    members = [curve for curve in curves if not curve.shared]
    for i, curve in enumerate(members):
        line = axes.plot(curve.epochs, curve.errors, color=colour)[0]
        line.set(
            linewidth=1.3, alpha=0.6 if i else 0.9, label="members" if i == 0 else None
        )
    for i, curve in enumerate(shared):
        line = axes.plot(curve.epochs, curve.errors, next(dashes), color=INK)[0]
        line.set(linewidth=2, label=clip(curve.name, 18) if i < 4 else None)
        axes.plot(curve.epochs[-1], curve.errors[-1], "o", color=INK, markersize=6)
    if shared:
        axes.legend(loc="upper right", fontsize=11, labelcolor=MUTED)


def _root(errors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(errors, 0))
