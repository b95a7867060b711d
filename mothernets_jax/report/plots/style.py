"""Style of a report's figures: colours, sizes in pixels, panels.

Figures have 72 dots per inch, so that a point is a pixel, and are laid out in pixels,
once for wide and once for narrow screens. Draw and save under `rc_context(STYLE)`.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mothernets_jax.utils.formatting import quantity

WIDE, NARROW = 880, 360  # pixels


LETTER = 7.0  # pixels of a letter of size 12, about


INK, MUTED, FAINT = "#1c2530", "#5b6775", "#dfe4ea"


INHERITED, NEW = "#0072b2", "#f0b057"


STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 12.0,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a name is a "$"
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "legend.frameon": False,
    "patch.linewidth": 0.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "mothernets_jax",  # the same results give the same bytes
    "xtick.color": MUTED,
    "xtick.major.size": 0.0,
    "ytick.color": MUTED,
    "ytick.major.size": 0.0,
}


# Okabe and Ito's colours, but for their yellows and light blue, too pale on white. The
# colour-blind can tell all of them apart; each has a marker of its own besides.
METHOD_STYLES = {
    "mothernets": ("#0072b2", "o"),
    "full_data": ("#d55e00", "s"),
    "bagging": ("#009e73", "^"),
    "distillation": ("#cc79a7", "D"),
    "treenets": ("#7a4419", "v"),
    "snapshot": ("#5a22a0", "P"),
    "fge": ("#6b6b6b", "X"),
    "swa": ("#101010", "*"),
    "star": ("#a00040", "p"),
    "prune_and_tune": ("#3030ff", "h"),
}


METHOD_LABELS = {
    "mothernets": "MotherNets",
    "treenets": "TreeNets",
    "fge": "FGE",
    "swa": "SWA",
    "star": "StarSSE",
    "prune_and_tune": "Prune and Tune",
}


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings by their full names in a line: `budget.epochs=12, hatch.noise=none`."""
    return ", ".join(f"{name}={_value(value)}" for name, value in settings.items())


def _value(value: Any) -> str:
    """A setting in a few characters."""
    if isinstance(value, Mapping):
        return "+".join(value)
    if isinstance(value, list):
        return "+".join(map(str, value))
    return "none" if value is None or value == "" else str(value)


def method_label(method: str) -> str:
    """A method's name for readers: `Full data` for `full_data`."""
    words = method.replace("_", " ")
    return METHOD_LABELS.get(method) or words[:1].upper() + words[1:]


def method_styles(methods: Iterable[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each method; the known methods always keep theirs."""
    methods = list(methods)
    spare = [style for name, style in METHOD_STYLES.items() if name not in methods]
    spare += [(colour, m) for m in "<>Hd8" for colour, _ in METHOD_STYLES.values()]
    others = cycle(spare)  # with more methods than colours, other markers
    return {name: METHOD_STYLES.get(name) or next(others) for name in methods}


def clip(text: str, characters: float) -> str:
    """A text of at most so many characters, with an ellipsis where it was cut off."""
    return text if len(text) <= characters else text[: int(characters) - 1] + "…"


def new_figure(width: int, height: float) -> Figure:
    """An empty figure of that width and height in pixels."""
    return Figure(figsize=(width / 72, height / 72), dpi=72)


def axes_within(figure: Figure, *, left, bottom, right, top) -> Axes:
    """Axes with that many pixels left free on each side of them in the figure."""
    width, height = figure.get_size_inches() * 72
    sides = (1 - (left + right) / width, 1 - (bottom + top) / height)
    return figure.add_axes((left / width, bottom / height, *sides))


def small_multiples(
    names: Sequence[str],
    width: int,
    *,
    columns: int,
    height: float,
    edge: float,
    left: float = 0,
    bottom: float,
    right: float = 14,
    top: float = 32,
    header: float = 0,
) -> tuple[Figure, dict[str, Axes]]:
    """A panel for each method, titled, row by row.

    Args:
        names: names of the methods.
        width: width of the figure in pixels, like all sizes below.
        columns: number of panels beside each other.
        height: height of a row of panels.
        edge: room to the left of the first column.
        left: room to the left of the axes of each panel.
        bottom: room below the axes of each panel.
        right: room to the right of the axes of each panel.
        top: room above the axes of each panel, which holds the title.
        header: room above all panels.

    Returns:
        The figure, and the axes of each panel by the method's name.
    """
    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    pitch = (width - edge) // columns
    figure = new_figure(width, header + height * rows)
    panels = {}
    for place, name in enumerate(names):
        row, column = divmod(place, columns)
        panels[name] = axes_within(
            figure,
            left=edge + column * pitch + left,
            bottom=bottom + (rows - 1 - row) * height,
            right=right + (columns - 1 - column) * pitch,
            top=header + top + row * height,
        )
        title = clip(method_label(name), pitch / 9)
        panels[name].set_title(
            title, loc="left", pad=top - 26, weight="bold", fontsize=12.5
        )
    return figure, panels


def legend_room(labels: Iterable[str], width: int) -> tuple[int, int]:
    """Columns of a legend below a plot, and the pixels of height that it takes.

    Args:
        labels: the labels of its entries, at least one.
        width: width of the figure in pixels.
    """
    lengths = [len(label) for label in labels]
    columns = max(1, int((width - 20) // (48 + LETTER * max(lengths))))
    return columns, 19 * -(-len(lengths) // columns) + 16


def legend_below(figure: Figure, handles: Sequence[Line2D], columns: int) -> None:
    """Draws a legend of so many columns at the lower edge of a figure."""
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.01, 0.0),
        ncols=columns,
        fontsize=12,
        labelcolor=INK,
        columnspacing=1.4,
        handletextpad=0.6,
    )


def set_percent_axis(axes: Axes, which: str, errors: Sequence[float]) -> None:
    """Sets limits around the errors and ticks in percent, none of them below zero.

    Where the largest error is more than four times the smallest, the scale is a square
    root, which opens the region near zero. Errors that are nearly equal are drawn so:
    the axis spans a tenth of the largest at least.

    Args:
        axes: the axes.
        which: the axis, `x` or `y`.
        errors: errors to be drawn, shares from 0 to 1.
    """
    low, high = min(errors), max(errors)
    axis = getattr(axes, f"{which}axis")
    if high > 4 * low > 0:
        set_root_scale(axes, which)
        margin = 0.08 * (np.sqrt(high) - np.sqrt(low))
        low, high = (np.sqrt(low) - margin) ** 2, (np.sqrt(high) + margin) ** 2
        ticks: Iterable[float] = _spread_out(low, high)
    else:
        spread = high - low
        margin = max(0.08 * spread, (0.1 * high - spread) / 2) or 0.005
        high += margin
        low = max(low - margin, -0.1 * high)
        ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    getattr(axes, f"set_{which}lim")(low, high)
    ticks = sorted({round(tick, 9) for tick in ticks if max(0, low) <= tick <= high})
    axis.set_ticks(ticks, minor=False)
    axis.set_major_formatter(FuncFormatter(lambda e, _: f"{round(100 * e, 6):g}%"))


def _spread_out(low: float, high: float) -> list[float]:
    """Round numbers that are a tenth of the axis apart, or more, on a root scale."""
    ticks: list[float] = []
    for power in range(-5, 0):
        for step in (1, 2, 3, 4, 5, 7, 10):
            tick, last = step * 10.0**power, ticks[-1] if ticks else -1.0
            gap = np.sqrt(tick) - np.sqrt(max(last, 0)) if ticks else 1.0
            if low <= tick <= high and gap > 0.1 * (np.sqrt(high) - np.sqrt(low)):
                ticks.append(tick)
    return ticks


def set_root_scale(axes: Axes, which: str) -> None:
    """Makes the scale of an axis, `x` or `y`, a square root, which opens it near 0."""
    scale = {"functions": (_root, np.square)}
    getattr(axes, f"set_{which}scale")("function", **scale)


def set_cost_axis(
    axes: Axes, costs: Sequence[float], *, ticks: int, from_zero: bool = False
) -> None:
    """Sets limits and ticks of the x axis for costs.

    The axis begins at zero, or, unless `from_zero`, has a logarithmic scale where the
    costs differ more than twentyfold.

    Args:
        axes: the axes.
        costs: costs to be drawn, in any unit.
        ticks: largest number of intervals between ticks from zero.
        from_zero: whether the axis begins at zero however much the costs differ.
    """
    if not from_zero and max(costs) > 20 * min(costs) > 0:
        axes.set_xscale("log")
        axes.set_xlim(min(costs) / 1.5, max(costs) * 1.5)
    else:
        axes.set_xlim(0, 1.06 * max(costs) or 1)
        axes.xaxis.set_major_locator(MaxNLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: quantity(cost)))


def _root(errors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(errors, 0))
