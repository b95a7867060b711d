"""Reliability diagrams: the accuracy of ensembles against their confidence."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from mothernets_jax.report.plots.style import (
    FAINT,
    INK,
    MUTED,
    WIDE,
    method_styles,
    small_multiples,
)
from mothernets_jax.utils.formatting import percent

_BARS = 0.25  # of a panel's height, for the fullest bin's bar


def reliability_diagrams(methods: dict[str, dict], width: int) -> Figure | None:
    """Draws accuracy against confidence, a panel for each method.

    Args:
        methods: the entry `methods` of `results.json`.
        width: width of the figure in pixels.

    Returns:
        The figure; None where no method has bins of confidence.
    """
    styles = method_styles(methods)
    methods = {name: m for name, m in methods.items() if m.get("reliability")}
    if not methods:
        return None
    columns, height = (3, 320) if width >= WIDE else (2, 232)
    figure, panels = small_multiples(
        [*methods],
        width,
        columns=columns,
        height=height,
        edge=60,
        bottom=48,
        right=32,
        top=46,
    )
    for place, (name, axes) in enumerate(panels.items()):
        method, small = methods[name], width < WIDE
        _draw_diagram(axes, method["reliability"], *styles[name])
        average = method["ensemble"]["average"]
        note = f"ECE {percent(average['ece'], 1)}"
        if "calibrated" in average:
            note += f" → {percent(average['calibrated']['ece'], 1)}"
        text = axes.annotate(note, (0, 1), xycoords="axes fraction")
        text.set(position=(0, 3), anncoords="offset points", fontsize=11, color=MUTED)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MultipleLocator(0.5 if small else 0.25))
            axis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g}%"))
        axes.set_xlabel("confidence")
        if place % columns:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("accuracy")
    return figure


def _draw_diagram(axes: Axes, bins: dict, colour: str, marker: str) -> None:
    """Draws the diagonal, bars of the counts, and the bins before and after scaling."""
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
    counts = np.array(bins["count"], float)
    edges = np.linspace(0, 1, len(counts) + 1)
    heights = _BARS * counts / max(counts.max(), 1)
    bars = axes.bar(edges[:-1], heights, np.diff(edges), align="edge")
    for bar in bars:
        bar.set(color=FAINT, edgecolor="white", linewidth=1)
    after = bins.get("calibrated")
    if after:
        axes.plot(*_means(after), color=INK, linewidth=1.4, linestyle=":", zorder=4)
    line = axes.plot(*_means(bins), color=colour, marker=marker)[0]
    line.set(markersize=5, linewidth=1.6)


def _means(bins: dict) -> tuple[list[float], list[float]]:
    """Confidence and accuracy of the bins that are not empty."""
    full = [i for i, count in enumerate(bins["count"]) if count]
    return [bins["confidence"][i] for i in full], [bins["accuracy"][i] for i in full]
