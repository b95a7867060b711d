"""Plots of test errors: of the ensembles against their cost, and of every member.

Each is a function of the methods' results and a width in pixels.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mothernets_jax.style import (
    FAINT,
    INK,
    MUTED,
    WIDE,
    axes_within,
    clip,
    method_label,
    method_styles,
    new_figure,
    percent,
    quantity,
)


def error_against_cost(methods: dict[str, dict], width: int) -> Figure | None:
    """Ensemble error after each finished member against the training FLOPs so far."""
    styles = method_styles(methods)
    methods = {name: method for name, method in methods.items() if method["anytime"]}
    if not methods:
        return None
    before = {name: _flops_before_members(method) for name, method in methods.items()}
    before = {name: flops for name, flops in before.items() if flops}
    inside = max(290, 40 * len(methods))  # pixels between the x axis and the bars
    top, right = 14 + 20 * len(before), 170 if width >= WIDE else 102
    figure = new_figure(width, inside + top + 48)
    axes = axes_within(figure, left=62, bottom=48, right=right, top=top)
    for name, method in methods.items():
        colour, marker = styles[name]
        flops = [point["train_flops"] for point in method["anytime"]]
        error = [point["error"] for point in method["anytime"]]
        axes.plot(flops, error, color=colour, marker=marker, markersize=4)
        axes.plot(flops[-1], error[-1], marker, color=colour, markersize=10)
    across = axes.get_xaxis_transform()  # x in FLOPs, y in heights of the axes
    for row, (name, flops) in enumerate(before.items()):
        y = 1 + (12 + 20 * row) / inside
        bar = Rectangle((0, y - 4 / inside), flops, 8 / inside, transform=across)
        bar.set(color=styles[name][0], clip_on=False)
        axes.add_patch(bar)
        note = axes.annotate("trained first", (flops, y), xycoords=across)
        note.set(position=(8, 0), anncoords="offset points", va="center", color=MUTED)
        note.set(annotation_clip=False, fontsize=11)
    ends = [method["anytime"][-1] for method in methods.values()]
    axes.set_xlim(0, 1.05 * max(end["train_flops"] for end in ends) or 1)
    errors = [p["error"] for method in methods.values() for p in method["anytime"]]
    _set_percent_axis(axes, "y", errors)
    axes.xaxis.set_major_locator(MaxNLocator(7 if width >= WIDE else 3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda flops, _: quantity(flops)))
    axes.set_xlabel("training FLOPs so far")
    axes.set_ylabel("ensemble test error")
    axes.yaxis.set_label_coords(-46 / (width - 62 - right), 0.5)
    _label_ends(axes, methods, styles, inside, right - 24)
    return figure


def member_errors(methods: dict[str, dict], width: int) -> Figure | None:
    """Every member's own error, one row a method, and the error of the ensemble."""
    styles = method_styles(methods)
    alone = {n: [r["error"] for r in m["members"].values()] for n, m in methods.items()}
    together = {n: m["ensemble"]["average"]["error"] for n, m in methods.items()}
    figure = new_figure(width, 96 * len(methods) + 52)
    axes = axes_within(figure, left=14, bottom=48, right=14, top=4)
    _set_percent_axis(axes, "x", [*chain(*alone.values()), *together.values()])
    low, high = axes.get_xlim()
    axes.set_ylim(len(methods) - 0.45, -0.55)
    for row, name in enumerate(methods):
        colour, marker = styles[name]
        axes.axhline(row, color=FAINT, linewidth=1)
        offsets = _swarm(alone[name], 9 * (high - low) / (width - 28))
        dots = axes.plot(alone[name], row + offsets, marker)[0]
        dots.set(color=colour, markersize=8, alpha=0.8, markeredgecolor="white")
        error = together[name]
        axes.plot(error, row, "D", color=INK, markersize=9, markeredgecolor="white")
        title = axes.text(low, row - 0.38, clip(method_label(name), width / 10))
        title.set(weight="bold", fontsize=12.5, va="center")
        share = (error - low) / (high - low)
        side = "left" if share < 0.2 else "right" if share > 0.8 else "center"
        note = axes.text(error, row + 0.34, f"ensemble {percent(error)}", ha=side)
        note.set(fontsize=11, va="center")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test error")
    return figure


def _set_percent_axis(axes: Axes, which: str, errors: list[float]) -> None:
    """Limits around the errors, ticks in percent, and none of them below zero."""
    low, high = min(errors), max(errors)
    margin = 0.08 * (high - low) or 0.005
    axis = getattr(axes, f"{which}axis")
    high += margin
    low = max(low - margin, -0.1 * high)
    getattr(axes, f"set_{which}lim")(low, high)
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    axis.set_ticks([tick for tick in ticks if max(0, low) <= tick <= high])
    axis.set_major_formatter(FuncFormatter(lambda e, _: f"{round(100 * e, 6):g}%"))


def _flops_before_members(method: dict) -> float:
    """FLOPs of the stages in which no member is trained: MotherNets, a teacher."""
    members = set(method["members"])
    stages = [s for s in method["stages"] if members.isdisjoint(s["members"])]
    return sum(stage["train_flops"] for stage in stages)


def _label_ends(axes: Axes, methods, styles, inside: int, room: int) -> None:
    """Names each method and its last error in the right margin, at that height."""
    ends = {name: method["anytime"][-1] for name, method in methods.items()}
    low, high = axes.get_ylim()
    order = sorted(ends, key=lambda name: ends[name]["error"])
    heights = [inside * (ends[name]["error"] - low) / (high - low) for name in order]
    for i in range(1, len(order)):  # at least 36 pixels apart, going up,
        heights[i] = max(heights[i], heights[i - 1] + 36)
    ceiling = inside - 16
    for i in reversed(range(len(order))):  # and then down again from the top
        heights[i] = min(heights[i], ceiling - 36 * (len(order) - 1 - i))
    right = axes.get_xlim()[1]
    for name, height in zip(order, heights, strict=True):
        colour, marker = styles[name]
        end = ends[name]
        y = low + (high - low) * height / inside
        line = axes.plot([end["train_flops"], right], [end["error"], y], ":")[0]
        line.set(color=colour, linewidth=1, zorder=1, clip_on=False)
        swatch = axes.plot(right, y, marker, color=colour, markersize=6)[0]
        swatch.set_clip_on(False)
        for text, offset, size in (
            (clip(method_label(name), room / 7.5), 7, 12),
            (percent(end["error"]), -8, 11),
        ):
            label = axes.annotate(text, (right, y), annotation_clip=False)
            label.set(position=(10, offset), anncoords="offset points", fontsize=size)
            label.set(va="center", color=INK if size == 12 else MUTED)


def _swarm(errors: Sequence[float], near: float) -> np.ndarray:
    """Offsets in rows, at most 0.22, that part the dots of nearly equal errors."""
    offsets, taken = np.zeros(len(errors)), {}
    for i in np.argsort(errors, kind="stable"):
        column = round(errors[i] / near)
        count = taken[column] = taken.get(column, 0) + 1
        offsets[i] = (-1) ** count * (count // 2)
    return 0.22 * offsets / max(np.abs(offsets).max(initial=0), 2.5)
