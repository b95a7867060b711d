"""The report of a finished run: a page that explains itself, with its plots.

Everything here reads one results dictionary, the content of `results.json`, and works
without jax. The page needs nothing beside itself: no network, no script, no font.
"""

import base64
import html
import io
import os
import re
import string
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from mothernets_jax import style
from mothernets_jax.findings import headline, remarks
from mothernets_jax.plot_curves import curves_of, learning_curves, metric_of
from mothernets_jax.plot_errors import error_against_cost, member_errors
from mothernets_jax.plot_plan import draw_plan, family_of
from mothernets_jax.report_tables import (
    architectures,
    comparison,
    html_table,
    member_tables,
    planned_clusters,
)

SYSTEM_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
PNG_DOTS_PER_INCH = 144  # twice the pixels of the page's plots


def write_report(results: dict, workdir: Path) -> Path:
    """Writes `report.html` and `plots/*.png` for a finished run.

    Args:
        results: the content of the run's `results.json`.
        workdir: the run's folder; made where it does not exist.

    Returns:
        The page's path. Every file is replaced whole or not at all.
    """
    workdir = Path(workdir)
    (workdir / "plots").mkdir(parents=True, exist_ok=True)
    pictures = {}
    with matplotlib.rc_context(style.STYLE):
        for name, draw in _drawings(results).items():
            wide, narrow = draw(style.WIDE), draw(style.NARROW)
            if wide is not None and narrow is not None:
                pictures[name] = _picture(wide, narrow)
                _replace(workdir / "plots" / f"{name}.png", _png(wide))
    path = workdir / "report.html"
    _replace(path, _page(results, pictures).encode("utf-8"))
    return path


def _page(results: dict, pictures: dict[str, str]) -> str:
    """The template, filled in; sections that there is nothing for are left out."""
    methods, data = results["methods"], results["data"]
    shown = set(pictures)
    if any(method["hatching"] for method in methods.values()):
        shown.add("hatching")
    template = Path(__file__).with_name("report_template.html").read_text("utf-8")
    section = re.compile(r'<section id="(\w+)">.*?</section>\n', re.DOTALL)
    template = section.sub(lambda m: m[0] if m[1] in shown else "", template)
    colours = [colour for colour, _ in style.method_styles(methods).values()]
    return string.Template(template).substitute(
        pictures,
        name=html.escape(results["name"]),
        headline=html.escape(headline(results)),
        remarks=html.escape(" ".join(remarks(results))),
        data=html.escape(data["name"]),
        classes=len(data["class_names"]),
        shape=" × ".join(map(str, data["input_shape"])),
        train_examples=f"{data['train_examples']:,}",
        validation_examples=f"{data['validation_examples']:,}",
        test_examples=f"{data['test_examples']:,}",
        copies=_copies(data),
        comparison=html_table(comparison(results), colours=colours),
        metric=metric_of(methods),
        members="\n".join(member_tables(results)),
        architectures=html_table(architectures(results)),
        provenance="\n".join(
            f"<dt>{html.escape(key)}</dt><dd><code>{html.escape(str(value))}</code></dd>"
            for key, value in results["provenance"].items()
        ),
    )


def _copies(data: dict) -> str:
    """How many test images are training images too, where that was looked at."""
    copies = data.get("test_images_in_train")
    if copies is None:  # Streamed, or a run of an older version.
        return ""
    if copies == 1:
        return "1 test image is an exact copy of a training image."
    number = f"{copies:,}" if copies else "No"
    return f"{number} test images are exact copies of training images."


def _drawings(results: dict) -> dict[str, Callable[[int], Figure | None]]:
    """Each plot as a function of its width in pixels."""
    methods, clusters = results["methods"], planned_clusters(results)
    metric = metric_of(methods)
    curves = {name: curves_of(m, clusters, metric) for name, m in methods.items()}
    hatched = any(method["hatching"] for method in methods.values())
    families = [family_of(cluster) for cluster in clusters if hatched]
    return {
        "error_against_cost": partial(error_against_cost, methods),
        "plan": partial(draw_plan, families),
        "learning_curves": partial(learning_curves, curves, metric),
        "member_errors": partial(member_errors, methods),
    }


def _picture(wide: Figure, narrow: Figure) -> str:
    """An image element that holds the plot twice, as SVG in the reader's own font."""
    addresses = []
    for figure in (wide, narrow):
        stream = io.BytesIO()
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None})
        svg = stream.getvalue().decode("utf-8").replace("'DejaVu Sans'", SYSTEM_FONTS)
        content = base64.b64encode(svg.encode("utf-8")).decode("ascii")
        addresses.append(f"data:image/svg+xml;base64,{content}")
    return (
        f'<picture><source media="(max-width: 799px)" srcset="{addresses[1]}">'
        f'<img src="{addresses[0]}" alt="The plot that the text above describes">'
        "</picture>"
    )


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.set_dpi(PNG_DOTS_PER_INCH)
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
