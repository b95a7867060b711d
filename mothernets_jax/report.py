"""The report of a finished run: a page that explains itself, with its plots.

    python -m mothernets_jax.report RUN              makes a run's page again
    python -m mothernets_jax.report RUN RUN ...      compares finished runs

Everything here reads what runs have written and works without jax.
"""

import argparse
import html
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mothernets_jax import style
from mothernets_jax.compare import compare
from mothernets_jax.comparison_page import write_comparison
from mothernets_jax.findings import headline, remarks
from mothernets_jax.finished_runs import check_comparable, read_run
from mothernets_jax.page import Drawing, draw_pictures, fill, html_table, replace
from mothernets_jax.plot_anytime import anytime
from mothernets_jax.plot_curves import curves_of, learning_curves, metric_of
from mothernets_jax.plot_disagreement import disagreement
from mothernets_jax.plot_errors import member_errors
from mothernets_jax.plot_frontier import frontier
from mothernets_jax.plot_plan import draw_plan, family_of
from mothernets_jax.plot_reliability import reliability_diagrams
from mothernets_jax.report_columns import COSTS, WORTH
from mothernets_jax.report_tables import (
    architectures,
    combination_tables,
    comparison,
    member_tables,
    planned_clusters,
)
from mothernets_jax.series import series_of


def write_report(results: dict, workdir: Path) -> Path:
    """Writes `report.html` and `plots/*.png` for a finished run.

    Args:
        results: the content of the run's `results.json`.
        workdir: the run's folder; made where it does not exist.

    Returns:
        The page's path. Every file is replaced whole or not at all.
    """
    plots = Path(workdir) / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    pictures = draw_pictures(_drawings(results), plots)
    path = Path(workdir) / "report.html"
    replace(path, _page(results, pictures).encode("utf-8"))
    return path


def _page(results: dict, pictures: dict[str, str]) -> str:
    """The template, filled in; sections that there is nothing for are left out."""
    methods, data = results["methods"], results["data"]
    colours = [colour for colour, _ in style.method_styles(methods).values()]
    labels = [style.method_label(name) for name in methods]
    combined = combination_tables(labels, [*methods.values()], colours=colours)
    shown = {*pictures, *(["combinations"] if combined else [])}
    if any(method["hatching"] for method in methods.values()):
        shown.add("hatching")
    values = pictures | {
        "name": html.escape(results["name"]),
        "headline": html.escape(headline(results)),
        "remarks": html.escape(" ".join(remarks(results))),
        "data": html.escape(data["name"]),
        "classes": len(data["class_names"]),
        "shape": " × ".join(map(str, data["input_shape"])),
        "copies": _copies(data),
        "worth": html_table(comparison(methods, WORTH), colours=colours),
        "costs": html_table(comparison(methods, COSTS), colours=colours),
        "combinations": combined,
        "after": _after_temperature(methods),
        "metric": metric_of(methods),
        "members": "\n".join(member_tables(results)),
        "architectures": html_table(architectures(results)),
        "provenance": "\n".join(
            f"<dt>{html.escape(key)}</dt><dd><code>{html.escape(str(value))}</code></dd>"
            for key, value in results["provenance"].items()
        ),
    }
    for split in ("train", "validation", "test"):
        values[f"{split}_examples"] = f"{data[f'{split}_examples']:,}"
    title = f"{results['name']}: ensemble report"
    return fill("report_template.html", shown, title, values)


def _copies(data: dict) -> str:
    """How many test images are training images too, where that was looked at."""
    copies = data.get("test_images_in_train")
    if copies is None:  # Streamed, or a run of an older version.
        return ""
    if copies == 1:
        return "1 test image is an exact copy of a training image."
    number = f"{copies:,}" if copies else "No"
    return f"{number} test images are exact copies of training images."


def _after_temperature(methods: dict[str, dict]) -> str:
    """What the dotted lines of the reliability diagrams are, where there are any."""
    if not any("calibrated" in m.get("reliability", {}) for m in methods.values()):
        return ""
    return (
        " The dotted line, and the second ECE, are after the probabilities were "
        "rescaled by the temperature that fits the calibration split best."
    )


def _drawings(results: dict) -> dict[str, Drawing]:
    """Each plot as a function of its width in pixels."""
    methods, clusters = results["methods"], planned_clusters(results)
    metric, series = metric_of(methods), series_of(methods)
    curves = {name: curves_of(m, clusters, metric) for name, m in methods.items()}
    hatched = any(method["hatching"] for method in methods.values())
    families = [family_of(cluster) for cluster in clusters if hatched]
    return {
        "frontier": partial(frontier, series),
        "anytime": partial(anytime, series),
        "plan": partial(draw_plan, families),
        "learning_curves": partial(learning_curves, curves, metric),
        "member_errors": partial(member_errors, methods),
        "disagreement": partial(disagreement, methods),
        "reliability": partial(reliability_diagrams, methods),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mothernets_jax.report",
        description="Makes the page of a finished run again, or compares several: runs "
        "that differ in the seed alone are averaged, others stand side by side.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="its folder")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the comparison's page, its figures beside it as .json; default: "
        "comparison.html beside the first run",
    )
    options = parser.parse_args(arguments)
    try:
        runs = [read_run(folder) for folder in options.runs]
        if len(runs) == 1:
            if options.out:
                raise ValueError("--out is for a comparison: expected several runs")
            path = write_report(runs[0].results, options.runs[0])
        else:
            check_comparable(runs)
            out = options.out or options.runs[0].absolute().parent / "comparison.html"
            if out.suffix != ".html" or out.is_dir():
                raise ValueError(f"--out={out}: expected a file that ends in .html")
            path = write_comparison(compare(runs), out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"report: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
