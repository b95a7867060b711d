"""Writing the plots that docs/ shows."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DOTS_PER_INCH = 144  # as in a report's plots


def write_plot(path: str, figure: Figure) -> None:
    """Writes a figure as a PNG file; within `rc_context(style.STYLE)`."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(DOTS_PER_INCH)
    with Path(path).open("wb") as file:
        FigureCanvasAgg(figure).print_png(file)
