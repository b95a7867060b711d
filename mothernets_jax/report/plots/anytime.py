"""The plot of growing ensembles' test errors against the cost so far."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from mothernets_jax.report.plots.series import Series
from mothernets_jax.report.plots.style import (
    LETTER,
    MUTED,
    WIDE,
    axes_within,
    clip,
    legend_below,
    legend_room,
    new_figure,
    set_cost_axis,
    set_percent_axis,
)
from mothernets_jax.utils.formatting import percent


def anytime(series: Sequence[Series], width: int) -> Figure | None:
    """Draws ensemble errors after each finished member against the cost so far.

    Args:
        series: points of each ensemble.
        width: width of the figure in pixels.

    Returns:
        The figure; None without series.
    """
    if not series:
        return None
    before = [one for one in series if one.before_flops]
    ordered = sorted(series, key=lambda one: one.errors[-1])
    columns, legend = legend_room((f"{one.label} 100.00%" for one in series), width)
    inside, top, bottom = 320, 14 + 16 * len(before), 52 + legend
    figure = new_figure(width, inside + top + bottom)
    axes = axes_within(figure, left=62, bottom=bottom, right=14, top=top)
    drawn = []
    for one in series:
        flops, errors = one.costs["train_flops"], np.array(one.errors)
        style = {"color": one.colour, "zorder": 4 if one.main else 3}
        line = axes.plot(flops, errors, one.dash, marker=one.marker, **style)[0]
        line.set(linewidth=2.6 if one.main else 1.5, markersize=5)
        size = 12 if one.main else 9
        axes.plot(flops[-1], errors[-1], one.marker, markersize=size, **style)
        spreads = np.array(one.spreads)
        if spreads.any():
            low, high = np.maximum(errors - spreads, 0), errors + spreads
            axes.fill_between(flops, low, high, color=one.colour, alpha=0.15, lw=0)
            drawn += [*low, *high]
        drawn += one.errors
    set_percent_axis(axes, "y", drawn)
    ends = [one.costs["train_flops"][-1] for one in series]
    set_cost_axis(axes, ends, ticks=7 if width >= WIDE else 3, from_zero=True)
    axes.set_xlabel("training FLOPs so far")
    axes.set_ylabel("ensemble test error")
    _draw_bars(axes, before, inside)
    handles = [Line2D([], [], color=one.colour, marker=one.marker) for one in ordered]
    for one, handle in zip(ordered, handles, strict=True):
        label = clip(one.label, (width - 120) / LETTER)
        handle.set(label=f"{label} {percent(one.errors[-1])}", linestyle=one.dash)
    legend_below(figure, handles, columns)
    return figure


def _draw_bars(axes: Axes, before: Sequence[Series], inside: int) -> None:
    """Draws, above the plot, the FLOPs before the first member of each series."""
    across = axes.get_xaxis_transform()  # x in FLOPs, y in heights of the axes
    for row, one in enumerate(before):
        y = 1 + (10 + 16 * row) / inside
        bar = Rectangle((0, y - 4 / inside), one.before_flops, 8 / inside)
        bar.set(transform=across, color=one.colour, clip_on=False)
        axes.add_patch(bar)
        note = axes.annotate("trained first", (one.before_flops, y), xycoords=across)
        note.set(position=(8, 0), anncoords="offset points", va="center", color=MUTED)
        note.set(annotation_clip=False, fontsize=11)
