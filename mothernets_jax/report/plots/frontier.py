"""The plot of the finished ensembles' test errors against what they cost."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothernets_jax.report.plots.label_places import place_labels
from mothernets_jax.report.plots.series import Series
from mothernets_jax.report.plots.style import (
    INK,
    LETTER,
    MUTED,
    WIDE,
    axes_within,
    clip,
    new_figure,
    set_cost_axis,
    set_percent_axis,
)

COSTS = {"train_flops": "training FLOPs", "seconds": "seconds of training and hatching"}


def pareto(costs: Sequence[float], errors: Sequence[float]) -> list[int]:
    """Places of points that no other beats in cost and error, the cheapest first."""
    best, front = np.inf, []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], errors[i])):
        if errors[i] < best:
            best = errors[i]
            front.append(i)
    return front


def frontier(
    series: Sequence[Series], width: int, costs: Mapping[str, str] = COSTS
) -> Figure | None:
    """Draws each finished ensemble's error against its cost, a panel for each cost.

    Args:
        series: points of each ensemble, of which the last ones are drawn.
        width: width of the figure in pixels.
        costs: labels of the costs by their names in `Series.costs`.

    Returns:
        The figure; None without series.
    """
    if not series:
        return None
    names_fit = max(len(one.short) for one in series) <= 16
    columns = min(len(costs), 2 if width >= WIDE and names_fit else 1)
    rows = -(-len(costs) // columns)
    pitch, height = width // columns, 360
    figure = new_figure(width, height * rows)
    for place, (cost, name) in enumerate(costs.items()):
        row, column = divmod(place, columns)
        axes = axes_within(
            figure,
            left=62 + column * pitch,
            bottom=52 + (rows - 1 - row) * height,
            right=14 + (columns - 1 - column) * pitch,
            top=14 + row * height,
        )
        box = (pitch - 76, height - 66)
        _draw_frontier(axes, series, cost, box)
        axes.set_xlabel(name)
        if column == 0:
            axes.set_ylabel("ensemble test error")
    return figure


def _draw_frontier(
    axes: Axes, series: Sequence[Series], cost: str, box: tuple[int, int]
) -> None:
    """Draws one panel; `box` is its width and height in pixels."""
    costs = [one.costs[cost][-1] for one in series]
    errors = [one.errors[-1] for one in series]
    spreads = [one.spreads[-1] for one in series]
    reach = [
        e + sign * s for e, s in zip(errors, spreads, strict=True) for sign in (-1, 1)
    ]
    set_percent_axis(axes, "y", [max(error, 0.0) for error in reach])
    set_cost_axis(axes, costs, ticks=box[0] // 80)
    step = _steps(costs, errors, right=axes.get_xlim()[1], top=axes.get_ylim()[1])
    axes.plot(*step, color=MUTED, linewidth=1.2, zorder=1.5)
    for one, cost_, error, spread in zip(series, costs, errors, spreads, strict=True):
        mark = axes.errorbar(cost_, error, spread or None, color=one.colour)
        mark[0].set(marker=one.marker, markersize=13 if one.main else 10)
        mark[0].set(markeredgecolor="white", markeredgewidth=0.7)
        mark[0].set(zorder=3 if one.main else 4)
    corners = _in_pixels(axes, *step, box)
    _label_points(axes, series, _in_pixels(axes, costs, errors, box), corners, box)


def _steps(
    costs: Sequence[float], errors: Sequence[float], *, right: float, top: float
) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the line below which, or left of which, no point lies."""
    front = pareto(costs, errors)
    x = [costs[front[0]], *(costs[i] for i in front), right]
    y = [top, *(errors[i] for i in front), errors[front[-1]]]
    return np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]


def _in_pixels(axes: Axes, x, y, box: tuple[int, int]) -> np.ndarray:
    """Points of the data in pixels from the lower left corner, [points, 2].

    The scales and limits of the axes must be set before.
    """
    to_shares = axes.transData + axes.transAxes.inverted()
    return to_shares.transform(np.column_stack([x, y])) * box


def _label_points(
    axes: Axes,
    series: Sequence[Series],
    points: np.ndarray,
    corners: np.ndarray,
    box: tuple[int, int],
) -> None:
    """Names each point, beside the others and beside the line through `corners`."""
    wide, high = box
    texts = [clip(one.short, (wide - 24) / LETTER) for one in series]
    letters = [LETTER * (1.12 if one.main else 1.0) for one in series]
    sizes = [
        (letter * len(text), 15.0) for letter, text in zip(letters, texts, strict=True)
    ]
    lines = [
        (*np.minimum(start, end) - 2, *np.maximum(start, end) + 2)
        for start, end in pairwise(corners)
    ]
    places = place_labels(
        [(float(x), float(y)) for x, y in points],
        sizes,
        (2, 2, wide - 2, high - 2),
        lines,
    )
    for one, text, point, place in zip(series, texts, points, places, strict=True):
        size = np.subtract(place[2:], place[:2])
        centre = np.add(place[2:], place[:2]) / 2
        if np.max(np.abs(centre - point) - size / 2) > 24:  # too far to belong together
            thread = axes.plot(*(np.array([point, centre]) / box).T, color=MUTED)
            thread[0].set(transform=axes.transAxes, linewidth=0.6, zorder=1.2)
        x, y = centre / box
        note = axes.text(float(x), float(y), text, transform=axes.transAxes)
        note.set(ha="center", va="center", fontsize=12, color=INK, zorder=5)
        note.set(fontweight=700 if one.main else 400)
