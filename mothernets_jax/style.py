"""How a report looks: numbers and names in words, colours, figures in pixels.

Figures have 72 dots per inch, so that a point is a pixel, and are laid out in pixels,
once for wide and once for narrow screens. Draw and save under `rc_context(STYLE)`.
"""

from collections.abc import Iterable
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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


def clip(text: str, characters: float) -> str:
    """A text that fits, with an ellipsis where something was cut off."""
    return text if len(text) <= characters else text[: int(characters) - 1] + "…"


def new_figure(width: int, height: float) -> Figure:
    """An empty figure of so many pixels."""
    return Figure(figsize=(width / 72, height / 72), dpi=72)


def axes_within(figure: Figure, *, left, bottom, right, top) -> Axes:
    """Axes with so many pixels left free on each side of them."""
    width, height = figure.get_size_inches() * 72
    sides = (1 - (left + right) / width, 1 - (bottom + top) / height)
    return figure.add_axes((left / width, bottom / height, *sides))
