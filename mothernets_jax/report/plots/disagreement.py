"""Heat maps of how often each two members of an ensemble disagree, one a method."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from mothernets_jax.report.plots.style import INK, MUTED, WIDE, clip, small_multiples

# From nearly white to dark, so that it is read the same by the colour-blind.
_MAP = LinearSegmentedColormap.from_list(
    "disagreement", ["#f3f6fa", "#a6cbe8", "#3f8fc9", "#0b4f8a", "#06294a"]
)
_SCALE = 46  # pixels that the colour scale takes, above the panels


def disagreement(methods: dict[str, dict], width: int) -> Figure | None:
    """Draws a matrix for each method of several members, all in one scale.

    Args:
        methods: the entry `methods` of `results.json`.
        width: width of the figure in pixels.

    Returns:
        The figure; None without matrices.
    """
    matrices = {
        name: np.array(method.get("diversity", {}).get("disagreement_matrix", ()))
        for name, method in methods.items()
    }
    matrices = {name: matrix for name, matrix in matrices.items() if len(matrix) > 1}
    if not matrices:
        return None
    wide = width >= WIDE
    columns, left = (3, 104) if wide else (2, 26)
    pitch = width // min(columns, len(matrices))
    side = min(pitch - left - 14, 200)  # of the matrices, which are squares
    figure, panels = small_multiples(
        [*matrices],
        width,
        columns=columns,
        height=side + 56,
        edge=0,
        left=left,
        bottom=24,
        right=pitch - left - side,
        header=_SCALE,
    )
    largest = max(matrix.max() for matrix in matrices.values()) or 1.0
    norm = Normalize(0, largest)
    for name, axes in panels.items():
        names = [*methods[name]["members"]]
        _draw_matrix(axes, matrices[name], names if wide else None, side, norm)
    height = figure.get_size_inches()[1] * 72
    length = min(260, width - 120)
    bar = figure.add_axes(
        ((left if wide else 14) / width, 1 - 14 / height, length / width, 10 / height)
    )
    scale = figure.colorbar(ScalarMappable(norm, _MAP), bar, orientation="horizontal")
    ticks = [0.0, largest / 2, largest]
    scale.set_ticks(ticks, labels=[f"{100 * tick:.3g}%" for tick in ticks])
    scale.outline.set_visible(False)  # type: ignore[operator]
    return figure


def _draw_matrix(
    axes: Axes, matrix: np.ndarray, names: list[str] | None, side: float, norm
) -> None:
    """Draws a method's matrix; the diagonal, where nothing is compared, stays empty."""
    members = len(matrix)
    shown = np.where(np.eye(members, dtype=bool), np.nan, matrix)
    axes.pcolormesh(shown, cmap=_MAP, norm=norm, rasterized=members > 12)
    axes.set(xlim=(0, members), ylim=(members, 0))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    every = -(-members * 13 // int(side))  # a label has 13 pixels or is left out
    places = np.arange(0, members, every)
    numbers = [str(place + 1) for place in places]
    labels = [clip(names[i], 14) for i in places] if names else numbers
    axes.set_yticks(places + 0.5, labels, fontsize=11, color=INK if names else MUTED)
    axes.set_xticks(places + 0.5, numbers, fontsize=11)
    if side / members >= 34:
        for i, j in zip(*np.nonzero(~np.eye(members, dtype=bool)), strict=True):
            dark = norm(matrix[i, j]) > 0.45
            note = axes.text(j + 0.5, i + 0.5, f"{100 * matrix[i, j]:.0f}")
            note.set(ha="center", va="center", fontsize=11)
            note.set_color("white" if dark else INK)
