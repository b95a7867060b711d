"""The plot of a comparison over seeds: test errors against training FLOPs."""

import matplotlib
import numpy as np

from benchmarks.plots import write_plot
from mothernets_jax.report.plots import frontier, series, style


def draw(rows: list[dict], path: str) -> None:
    """Every row's mean, its error with the standard deviation over its repeats.

    Args:
        rows: `runs` of the results that benchmarks/frontier.py writes.
        path: of a PNG file.
    """
    points = [
        series.make_series(
            [row["mean"]],
            0.0,
            label=row["name"],
            look=(*style.METHOD_STYLES[row["method"]], "-"),
            main=row["method"] == series.MAIN_METHOD,
            spreads=[_deviation([found["error"] for found in row["repeats"]])],
        )
        for row in rows
    ]
    costs = {"train_flops": frontier.COSTS["train_flops"]}
    with matplotlib.rc_context(style.STYLE):
        figure = frontier.frontier(points, style.WIDE, costs)
        write_plot(path, figure)


def _deviation(errors: list[float]) -> float:
    return float(np.std(errors, ddof=1)) if len(errors) > 1 else 0.0
