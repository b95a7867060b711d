"""The plot of every member's test error, and of the ensembles' test errors."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from matplotlib.figure import Figure

from mothernets_jax.report.plots.style import (
    FAINT,
    INK,
    axes_within,
    clip,
    method_label,
    method_styles,
    new_figure,
    set_percent_axis,
)
from mothernets_jax.utils.formatting import percent


def member_errors(methods: dict[str, dict], width: int) -> Figure | None:
    """Draws every member's own error, one row a method, and the ensembles' errors.

    Args:
        methods: the entry `methods` of `results.json`.
        width: width of the figure in pixels.
    """
    styles = method_styles(methods)
    alone = {n: [r["error"] for r in m["members"].values()] for n, m in methods.items()}
    together = {n: m["ensemble"]["average"]["error"] for n, m in methods.items()}
    figure = new_figure(width, 96 * len(methods) + 52)
    axes = axes_within(figure, left=14, bottom=48, right=14, top=4)
    set_percent_axis(axes, "x", [*chain(*alone.values()), *together.values()])
    low, _ = axes.get_xlim()
    axes.set_ylim(len(methods) - 0.45, -0.55)
    for row, name in enumerate(methods):
        colour, marker = styles[name]
        axes.axhline(row, color=FAINT, linewidth=1)
        across = axes.transData.transform([(e, row) for e in alone[name]])[:, 0]
        offsets = _swarm(across.tolist(), 9.0)
        dots = axes.plot(alone[name], row + offsets, marker)[0]
        dots.set(color=colour, markersize=8, alpha=0.8, markeredgecolor="white")
        dots.set_markeredgewidth(0.5)
        error = together[name]
        axes.plot(error, row, "D", color=INK, markersize=9, markeredgecolor="white")
        title = axes.text(low, row - 0.38, clip(method_label(name), width / 10))
        title.set(weight="bold", fontsize=12.5, va="center")
        share = axes.transLimits.transform(axes.transScale.transform((error, row)))[0]
        side = "left" if share < 0.2 else "right" if share > 0.8 else "center"
        note = axes.text(error, row + 0.34, f"ensemble {percent(error)}", ha=side)
        note.set(fontsize=11, va="center")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test error")
    return figure


def _swarm(across: Sequence[float], near: float) -> np.ndarray:
    """Offsets in rows, at most 0.22, that part dots that are nearly at one place."""
    offsets, taken = np.zeros(len(across)), {}
    for i in np.argsort(across, kind="stable"):
        column = round(across[i] / near)
        count = taken[column] = taken.get(column, 0) + 1
        offsets[i] = (-1) ** count * (count // 2)
    return 0.22 * offsets / max(np.abs(offsets).max(initial=0), 2.5)
