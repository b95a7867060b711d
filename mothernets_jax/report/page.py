"""Self-contained pages: a template with pictures and tables; no network, no script.

The page needs nothing beside itself, and is replaced whole or not at all.
"""

import base64
import html
import io
import re
import string
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from mothernets_jax.report.plots import style
from mothernets_jax.storage.files import write_whole

SYSTEM_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
PNG_DOTS_PER_INCH = 144  # twice the pixels of the page's plots


class Html(str):
    """A text that is HTML already; `fill` escapes every other one."""


Drawing = Callable[[int], Figure | None]  # from a width in pixels


def fill(
    template: str, shown: Collection[str], title: str, values: Mapping[str, object]
) -> str:
    """Fills in the template of a page, without the sections that are not shown.

    Args:
        template: name of the body's file, which may include others.
        shown: the `id` of each section to keep; sections without one always stay.
        title: title of the page, plain text.
        values: contents of the body's fields by name; all but `Html` are escaped here.

    Returns:
        The page, HTML.
    """
    folder = Path(__file__).parent
    section = re.compile(r'<section id="(\w+)">.*?</section>\n', re.DOTALL)
    include = re.compile(r"<!-- include (\w+\.html) -->\n")
    body = (folder / template).read_text("utf-8")
    body = include.sub(lambda m: (folder / m[1]).read_text("utf-8"), body)
    body = section.sub(lambda m: m[0] if m[1] in shown else "", body)
    contents = {name: escaped(value) for name, value in values.items()}
    body = string.Template(body).substitute(contents)
    frame = string.Template((folder / "page_template.html").read_text("utf-8"))
    return frame.substitute(title=html.escape(title), body=body)


def escaped(value: object) -> Html:
    """A value as HTML: what is `Html` as it is, of all else the text, escaped."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def draw_pictures(
    drawings: Mapping[str, Drawing], folder: Path | None
) -> dict[str, Html]:
    """Draws every plot for wide and for narrow screens, but those without data.

    Args:
        drawings: plots by name, each a function from a width in pixels to a figure.
        folder: folder in which the wide plots are saved as PNGs; None for no PNGs.

    Returns:
        An image element, HTML, for each plot by its name.
    """
    pictures = {}
    with matplotlib.rc_context(style.STYLE):
        for name, draw in drawings.items():
            wide, narrow = draw(style.WIDE), draw(style.NARROW)
            if wide is not None and narrow is not None:
                pictures[name] = picture(wide, narrow)
                if folder is not None:
                    write_whole(folder / f"{name}.png", png(wide))
    return pictures


def picture(wide: Figure, narrow: Figure) -> Html:
    """An HTML image of a plot in two widths, as SVG in the reader's own font."""
    addresses = []
    for figure in (wide, narrow):
        stream = io.BytesIO()
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None})
        svg = stream.getvalue().decode("utf-8").replace("'DejaVu Sans'", SYSTEM_FONTS)
        content = base64.b64encode(svg.encode("utf-8")).decode("ascii")
        addresses.append(f"data:image/svg+xml;base64,{content}")
    return Html(
        f'<picture><source media="(max-width: 799px)" srcset="{addresses[1]}">'
        f'<img src="{addresses[0]}" alt="The plot that the text above describes">'
        "</picture>"
    )


def png(figure: Figure) -> bytes:
    """The bytes of a figure as a PNG file."""
    stream = io.BytesIO()
    figure.set_dpi(PNG_DOTS_PER_INCH)
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()


def html_table(rows: Sequence[dict[str, str]], *, colours: Sequence[str] = ()) -> Html:
    """An HTML table of plain texts, escaped here, with cells labelled for phones.

    Args:
        rows: the text of each cell by its column's name; the first row has them all.
        colours: colours of the dots before the rows' names; empty for no dots.

    Returns:
        HTML; empty without rows.
    """
    if not rows:
        return Html("")
    columns = {name: html.escape(name) for name in rows[0]}
    first, *others = columns
    head = "".join(f'<th scope="col">{label}</th>' for label in columns.values())
    lines = [f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>"]
    for number, row in enumerate(rows):
        dot = f'<i style="background: {colours[number]}"></i>' if colours else ""
        cells = f'<th scope="row">{dot}{html.escape(row[first])}</th>' + "".join(
            f'<td data-label="{columns[name]}">{html.escape(row.get(name, ""))}</td>'
            for name in others
        )
        lines.append(f"<tr>{cells}</tr>")
    return Html("\n".join([*lines, "</tbody>\n</table>"]))
