"""The plot of ensembles' errors among the images that they are surest of."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MultipleLocator

from mothernets_jax.report.plots.series import MAIN_METHOD
from mothernets_jax.report.plots.style import (
    LETTER,
    axes_within,
    clip,
    legend_below,
    legend_room,
    method_label,
    method_styles,
    new_figure,
    set_percent_axis,
)

_MARKED = 5  # each so many points


def risk_coverage(
    methods: Mapping[str, Mapping[str, Any]], width: int
) -> Figure | None:
    """Draws the error among the answers against the share of images answered.

    Args:
        methods: the entry `methods` of `results.json`.
        width: width of the figure in pixels.

    Returns:
        The figure; None where no method has such a curve.
    """
    styles = method_styles(methods)
    curves = {
        name: method["risk_coverage"]
        for name, method in methods.items()
        if method.get("risk_coverage")
    }
    if not curves:
        return None
    columns, legend = legend_room(map(method_label, curves), width)
    figure = new_figure(width, 260 + 52 + legend)
    axes = axes_within(figure, left=62, bottom=52 + legend, right=14, top=14)
    handles = []
    for name, curve in curves.items():
        colour, marker = styles[name]
        line = axes.plot(curve["coverage"], curve["error"], color=colour)[0]
        line.set(marker=marker, markersize=4.5, markevery=(_MARKED - 1, _MARKED))
        line.set(linewidth=2.6 if name == MAIN_METHOD else 1.5)
        label = clip(method_label(name), (width - 60) / LETTER)
        handles.append(Line2D([], [], label=label, color=colour, marker=marker))
    errors = [error for curve in curves.values() for error in curve["error"]]
    set_percent_axis(axes, "y", errors)
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_locator(MultipleLocator(0.2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axes.set_xlabel("images answered, the surest first")
    axes.set_ylabel("error among them")
    legend_below(figure, handles, columns)
    return figure
