"""Plots of a finished run: each a function of plain figures and a width in pixels.

Figures have 72 dots per inch, so that a point is a pixel, and are laid out in pixels,
once for wide and once for narrow screens. Draw and save under `rc_context(STYLE)`.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, cycle
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

WIDE, NARROW = 880, 360  # pixels
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
# Okabe and Ito's colours, which the colour-blind can tell apart, and a marker each.
METHOD_STYLES = {
    "mothernets": ("#0072b2", "o"),
    "full_data": ("#d55e00", "s"),
    "bagging": ("#009e73", "^"),
    "distillation": ("#cc79a7", "D"),
    "treenets": ("#e69f00", "v"),
    "snapshot": ("#56b4e9", "P"),
    "fge": ("#4d4d4d", "X"),
}
METHOD_LABELS = {"mothernets": "MotherNets", "treenets": "TreeNets", "fge": "FGE"}


class Network(NamedTuple):
    """A row of the plan: a MotherNet, or the members of one architecture.

    Attributes:
        layers: section by section, (width inherited, width, whether the filter grew)
            of each layer; empty where the notation cannot be read.
    """

    title: str
    details: tuple[str, str]
    parameters: int
    inherited_share: float
    layers: tuple[tuple[tuple[int, int, bool], ...], ...]


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


def percent(fraction: float | None, decimals: int = 2) -> str:
    """A fraction as a percentage, `2.13%` for 0.0213; a dash for None."""
    return "–" if fraction is None else f"{100 * fraction:.{decimals}f}%"


def quantity(number: float) -> str:
    """Three digits and a prefix from k (10³) to E (10¹⁸): `5.28 M` for 5281234."""
    number = float(f"{number:.3g}")
    for prefix, size in zip("EPTGMk", (1e18, 1e15, 1e12, 1e9, 1e6, 1e3), strict=True):
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return f"{number:.3g}"


def method_label(method: str) -> str:
    """What readers call a method: `Full data` for `full_data`."""
    words = method.replace("_", " ")
    return METHOD_LABELS.get(method) or words[:1].upper() + words[1:]


def method_styles(methods: Iterable[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each method; the known methods always keep theirs."""
    methods = list(methods)
    spare = [style for name, style in METHOD_STYLES.items() if name not in methods]
    spare += [(colour, m) for m in "<>*hpd" for colour, _ in METHOD_STYLES.values()]
    others = cycle(spare)  # with more methods than colours, other markers
    return {name: METHOD_STYLES.get(name) or next(others) for name in methods}


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
    figure = _figure(width, inside + top + 48)
    axes = _axes_within(figure, left=62, bottom=48, right=right, top=top)
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


def plan(families: Sequence[Sequence[Network]], width: int) -> Figure | None:
    """Each cluster's MotherNet, then its members: what is inherited, what is new."""
    networks = list(chain(*families))
    if not networks:
        return None
    few = len(networks) <= 24  # of more, each shows a bar of its parameters
    layered = few and all(network.layers for network in networks)
    lines = 3 if few else 2  # of text, 16 pixels each
    high = 40 if layered else 12  # pixels of a row's bars
    left, beside = (290, 0) if width >= WIDE else (18, 16 * lines + 4)
    row_height = max(16 * lines, beside + high) + 18
    height = 56 + row_height * len(networks) + 10 * len(families)
    figure = _figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    _draw_plan_legend(axes, networks if layered else [])
    y = 56
    for family in families:
        stem = y + row_height * (len(family) - 1) + 8
        axes.plot([4, 4], [y + 16 * lines + 2, stem], color=FAINT, linewidth=2)
        for row, network in enumerate(family):
            if row:
                axes.plot([3, 13], [y + 8, y + 8], color=FAINT, linewidth=2)
            for line, text in enumerate((network.title, *network.details)[:lines]):
                fits = (width if beside else left) - 24  # pixels
                text = _clip(text, fits / (6.4 if line else 8.6))
                label = axes.text(18 if row else 0, y + 8 + 16 * line, text)
                label.set(va="center", color=MUTED if line else INK)
                label.set(fontsize=11 if line else 12.5, weight=400 if line else 700)
            box = (left, y + beside, width - left - 4, high)
            if layered:
                _draw_layers(axes, network, family, *box)
            else:
                _draw_parameters(axes, network, networks, *box)
            y += row_height
        y += 10
    return figure


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
    figure = _figure(width, 290 * rows)
    everything = list(chain(*curves.values()))
    top = np.nanmax([0.0, *chain(*(curve.errors for curve in everything))])
    for place, (method, lines) in enumerate(curves.items()):
        row, column = divmod(place, columns)
        axes = _axes_within(
            figure,
            left=54 + column * panel,
            bottom=48 + (rows - 1 - row) * 290,
            right=14 + (columns - 1 - column) * panel,
            top=32 + row * 290,
        )
        _draw_curves(axes, lines, styles[method][0])
        title = _clip(method_label(method), panel / 9)
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


def member_errors(methods: dict[str, dict], width: int) -> Figure | None:
    """Every member's own error, one row a method, and the error of the ensemble."""
    styles = method_styles(methods)
    alone = {n: [r["error"] for r in m["members"].values()] for n, m in methods.items()}
    together = {n: m["ensemble"]["average"]["error"] for n, m in methods.items()}
    figure = _figure(width, 96 * len(methods) + 52)
    axes = _axes_within(figure, left=14, bottom=48, right=14, top=4)
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
        title = axes.text(low, row - 0.38, _clip(method_label(name), width / 10))
        title.set(weight="bold", fontsize=12.5, va="center")
        share = (error - low) / (high - low)
        side = "left" if share < 0.2 else "right" if share > 0.8 else "center"
        note = axes.text(error, row + 0.34, f"ensemble {percent(error)}", ha=side)
        note.set(fontsize=11, va="center")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test error")
    return figure


def _figure(width: int, height: float) -> Figure:
    """An empty figure of so many pixels."""
    return Figure(figsize=(width / 72, height / 72), dpi=72)


def _axes_within(figure: Figure, *, left, bottom, right, top) -> Axes:
    """Axes with so many pixels left free on each side of them."""
    width, height = figure.get_size_inches() * 72
    sides = (1 - (left + right) / width, 1 - (bottom + top) / height)
    return figure.add_axes((left / width, bottom / height, *sides))


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
            (_clip(method_label(name), room / 7.5), 7, 12),
            (percent(end["error"]), -8, 11),
        ):
            label = axes.annotate(text, (right, y), annotation_clip=False)
            label.set(position=(10, offset), anncoords="offset points", fontsize=size)
            label.set(va="center", color=INK if size == 12 else MUTED)


def _draw_plan_legend(axes: Axes, layered: Sequence[Network]) -> None:
    """What colours and shapes mean; `layered` are the networks shown by layers."""
    style = {"va": "center", "fontsize": 11, "color": MUTED}
    for x, colour, text in ((0, INHERITED, "from the MotherNet"), (150, NEW, "new")):
        axes.add_patch(Rectangle((x, 4), 12, 12, color=colour))
        axes.text(x + 18, 10, text, style)
    if any(grew for network in layered for *_, grew in chain(*network.layers)):
        axes.plot(220, 10, "^", color=INK, markersize=6)
        axes.text(230, 10, "larger filter", style)
    shape = "column is a layer, its height the layer’s width"
    shape = shape if layered else "bar is a network, its length the parameters"
    axes.text(0, 29, f"Each {shape}.", style)


def _draw_layers(axes, network: Network, family, left, top, width, height) -> None:
    """A column for each layer, its height the layer's width."""
    layers = [other.layers for other in family]
    depths = [max(map(len, sections)) for sections in zip(*layers, strict=True)]
    pitch = min(30.0, width / (sum(depths) + 0.7 * len(depths)))
    widest = max(units for _, units, _ in chain(*chain(*layers)))
    foot = top + height
    for number, section in enumerate(network.layers):
        for position, (inherited, units, grew) in enumerate(section):
            x = left + pitch * (sum(depths[:number]) + 0.7 * number + position)
            tall, kept = (height * w / widest for w in (units, inherited))
            across = 0.82 * pitch
            axes.add_artist(Rectangle((x, foot - tall), across, tall - kept, color=NEW))
            axes.add_artist(Rectangle((x, foot - kept), across, kept, color=INHERITED))
            if grew:
                marker = axes.plot(x + across / 2, foot - tall - 5, "^", markersize=5)
                marker[0].set_color(INK)


def _draw_parameters(axes, network: Network, networks, left, top, width, height):
    """One bar, its length the network's parameters."""
    scale = width / max(n.parameters for n in networks)
    total = scale * network.parameters
    kept = network.inherited_share * total
    axes.add_patch(Rectangle((left, top + 2), kept, height, color=INHERITED))
    axes.add_patch(Rectangle((left + kept, top + 2), total - kept, height, color=NEW))


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
        line.set(linewidth=2, label=_clip(curve.name, 18) if i < 4 else None)
        axes.plot(curve.epochs[-1], curve.errors[-1], "o", color=INK, markersize=6)
    if shared:
        axes.legend(loc="upper right", fontsize=11, labelcolor=MUTED)


def _swarm(errors: Sequence[float], near: float) -> np.ndarray:
    """Offsets in rows, at most 0.22, that part the dots of nearly equal errors."""
    offsets, taken = np.zeros(len(errors)), {}
    for i in np.argsort(errors, kind="stable"):
        column = round(errors[i] / near)
        count = taken[column] = taken.get(column, 0) + 1
        offsets[i] = (-1) ** count * (count // 2)
    return 0.22 * offsets / max(np.abs(offsets).max(initial=0), 2.5)


def _root(errors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(errors, 0))


def _clip(text: str, characters: float) -> str:
    """A text that fits, with an ellipsis where something was cut off."""
    return text if len(text) <= characters else text[: int(characters) - 1] + "…"
