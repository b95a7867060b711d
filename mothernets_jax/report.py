"""The report of a finished run: a page that explains itself, its plots, a table.

Everything here reads one results dictionary, the content of `results.json`, and works
without jax. The page needs nothing beside itself: no network, no script, no font.
"""

import base64
import html
import io
import math
import os
import re
import string
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from rich.text import Text

from mothernets_jax import plots
from mothernets_jax.architectures import parse, unit_names
from mothernets_jax.mothernet import matched_units
from mothernets_jax.plots import Curve, Network, method_label, percent, quantity

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
    with matplotlib.rc_context(plots.STYLE):
        for name, draw in _drawings(results).items():
            wide, narrow = draw(plots.WIDE), draw(plots.NARROW)
            if wide is not None and narrow is not None:
                pictures[name] = _picture(wide, narrow)
                _replace(workdir / "plots" / f"{name}.png", _png(wide))
    path = workdir / "report.html"
    _replace(path, _page(results, pictures).encode("utf-8"))
    return path


def comparison_table(results: dict) -> Table:
    """The methods as rows: errors, cost and seconds, for the terminal."""
    rows = _comparison(results)
    table = Table(
        title=Text(results["name"]), box=box.SIMPLE, show_edge=False, padding=0
    )
    table.add_column("method", overflow="fold")
    for name in list(rows[0])[1:]:  # a word a line, so that it fits 80 characters
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row.values()))  # as Text: a "[" in a name is no markup
    return table


def headline(results: dict) -> str:
    """The run's finding in one sentence, whichever way it falls."""
    methods = results["methods"]
    errors = {name: _error(method) for name, method in methods.items()}
    if "mothernets" in methods and "full_data" in methods:
        ours, theirs = errors["mothernets"], errors["full_data"]
        # One decimal, or more where only they tell two different errors apart.
        apart = (d for d in (1, 2, 3) if percent(ours, d) != percent(theirs, d))
        decimals = 1 if ours == theirs else next(apart, 4)
        verdict = "as many as full-data training"
        if ours != theirs:
            verdict = "fewer" if ours < theirs else "more"
            verdict += f" than full-data training’s {percent(theirs, decimals)}"
        return (
            f"The MotherNets ensemble makes {percent(ours, decimals)} errors, "
            f"{verdict}, with {_share_of_full_data(methods, 'mothernets')} of its "
            "training FLOPs."
        )
    if len(methods) > 1:
        best = min(errors.values())
        winners = [method_label(name) for name in methods if errors[name] == best]
        return (
            f"Of {len(methods)} methods, {' and '.join(winners)} "
            f"{'makes' if len(winners) == 1 else 'make'} the fewest errors: "
            f"{percent(best, 1)}."
        )
    [(name, method)] = methods.items()
    error, alone = percent(errors[name], 1), percent(method["mean_member_error"], 1)
    label = "full-data" if name == "full_data" else method_label(name)
    count = len(method["members"])
    if count == 1:
        return f"The {label} ensemble of one network makes {error} errors."
    return (
        f"The {label} ensemble of {count} networks makes {error} errors; "
        f"its networks alone make {alone} on average."
    )


def _page(results: dict, pictures: dict[str, str]) -> str:
    """The template, filled in; sections that there is nothing for are left out."""
    methods, data = results["methods"], results["data"]
    shown = set(pictures)
    if any(method["hatching"] for method in methods.values()):
        shown.add("hatching")
    template = Path(__file__).with_name("report_template.html").read_text("utf-8")
    section = re.compile(r'<section id="(\w+)">.*?</section>\n', re.DOTALL)
    template = section.sub(lambda m: m[0] if m[1] in shown else "", template)
    colours = [colour for colour, _ in plots.method_styles(methods).values()]
    return string.Template(template).substitute(
        pictures,
        name=html.escape(results["name"]),
        headline=html.escape(headline(results)),
        remarks=html.escape(" ".join(_remarks(results))),
        data=html.escape(data["name"]),
        classes=len(data["class_names"]),
        shape=" × ".join(map(str, data["input_shape"])),
        train_examples=f"{data['train_examples']:,}",
        validation_examples=f"{data['validation_examples']:,}",
        test_examples=f"{data['test_examples']:,}",
        copies=_copies(data),
        comparison=_html_table(_comparison(results), colours=colours),
        metric=_metric(results),
        members="\n".join(_members(results)),
        architectures=_html_table(_architectures(results)),
        provenance="\n".join(
            f"<dt>{html.escape(key)}</dt><dd><code>{html.escape(str(value))}</code></dd>"
            for key, value in results["provenance"].items()
        ),
    )


def _copies(data: dict) -> str:
    """How many test images are training images too, where that was looked at."""
    copies = data.get("test_images_in_train")
    if copies is None:  # A run of an older version.
        return ""
    if copies == 1:
        return "1 test image is an exact copy of a training image."
    number = f"{copies:,}" if copies else "No"
    return f"{number} test images are exact copies of training images."


def _remarks(results: dict) -> Iterable[str]:
    """What the headline leaves out: how sure it is, and who is better still."""
    methods, count = results["methods"], results["data"]["test_examples"]
    if not {"mothernets", "full_data"} <= set(methods):
        return
    errors = {name: _error(method) for name, method in methods.items()}
    ours, theirs = errors["mothernets"], errors["full_data"]
    if ours != theirs:
        # Two standard errors of the difference, as if the two had nothing in common.
        noise = 2 * math.sqrt((ours * (1 - ours) + theirs * (1 - theirs)) / count)
        gap = abs(ours - theirs)
        yield (
            f"The two differ by {round(gap * count):,} of {count:,} test images"
            f"{', too few to say which is better' if gap < noise else ''}."
        )
    best = min(errors, key=lambda name: errors[name])
    if errors[best] < min(ours, theirs):
        yield (
            f"Of all {len(methods)} methods, {method_label(best)} makes the fewest "
            f"errors: {percent(errors[best], 1)}, with "
            f"{_share_of_full_data(methods, best)} of full-data training’s FLOPs."
        )


def _comparison(results: dict) -> list[dict[str, str]]:
    """A row for each method: the text of each column by the column's name."""
    methods = results["methods"]
    rows = []
    for name, method in methods.items():
        row = {"method": method_label(name)}
        for combine in ("average", "vote", "oracle"):
            error = method["ensemble"].get(combine, {}).get("error")
            row[f"{combine} error"] = percent(error)
        row["member error"] = percent(method["mean_member_error"])
        row["train FLOPs"] = quantity(method["cost"]["train_flops"])
        if "full_data" in methods:
            row["of full data"] = _share_of_full_data(methods, name)
        row["epochs"] = f"{method['cost']['epochs']:,}"
        for clock in ("train", "compile", "eval"):
            seconds = method["clocks"][f"{clock}_seconds"]
            row[f"{clock} sec"] = f"{seconds:,.{1 if seconds < 100 else 0}f}"
        rows.append(row)
    return rows


def _members(results: dict) -> Iterable[str]:
    """A table of networks for each method, with its ensemble in the last row."""
    planned = {m["name"]: m for c in _clusters(results) for m in c["members"]}
    for name, method in results["methods"].items():
        rows = []
        for member, record in method["members"].items():
            row = {"network": member, "test error": percent(record["error"])}
            if record["validation_error"] is not None:
                row["validation error"] = percent(record["validation_error"])
            row["parameters"] = quantity(record["parameters"])
            if member in method["hatching"]:
                share = planned.get(member, {}).get("inherited_share")
                row["inherited"] = percent(share, 0)
            row["train FLOPs"] = quantity(record["train_flops"])
            row["epochs"] = f"{record['epochs']:,}"
            if member in method["hatching"]:
                change = method["hatching"][member]["relative_logit_difference"]
                row["hatching"] = f"{change:.1e}"
            rows.append(row)
        total = {"network": "ensemble, averaged", "test error": percent(_error(method))}
        if method["validation"]:
            error = method["validation"]["average"]["error"]
            total["validation error"] = percent(error)
        total["parameters"] = quantity(
            sum(m["parameters"] for m in method["members"].values())
        )
        total["train FLOPs"] = quantity(method["cost"]["train_flops"])
        total["epochs"] = f"{method['cost']['epochs']:,}"
        yield f"<h3>{html.escape(method_label(name))}</h3>"
        table = _html_table([*rows, total])
        yield f'<div class="scroll members">\n{table}\n</div>'


def _architectures(results: dict) -> list[dict[str, str]]:
    """A row for each architecture of the run: its notation and who has it."""
    names: dict[str, list[str]] = {}
    for cluster in _clusters(results):
        names.setdefault(cluster["architecture"], []).append(cluster["name"])
    for method in results["methods"].values():
        for name, record in method["members"].items():
            names.setdefault(record["architecture"], []).append(name)
    return [
        {"networks": ", ".join(dict.fromkeys(alike)), "architecture": notation}
        for notation, alike in names.items()
    ]


def _html_table(rows: Sequence[dict[str, str]], *, colours: Sequence[str] = ()) -> str:
    """A table of plain texts, which are escaped here, and cells labelled for phones.

    Args:
        rows: the text of each cell by its column's name; the first row has them all.
        colours: of a dot before each row's name; none for no dots.
    """
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
    return "\n".join([*lines, "</tbody>\n</table>"])


def _drawings(results: dict) -> dict[str, Callable[[int], Figure | None]]:
    """Each plot as a function of its width in pixels."""
    methods = results["methods"]
    curves = {name: _curves(results, name) for name in methods}
    hatched = any(method["hatching"] for method in methods.values())
    families = [_family(cluster) for cluster in _clusters(results) if hatched]
    return {
        "error_against_cost": partial(plots.error_against_cost, methods),
        "plan": partial(plots.plan, families),
        "learning_curves": partial(plots.learning_curves, curves, _metric(results)),
        "member_errors": partial(plots.member_errors, methods),
    }


def _family(cluster: dict) -> list[Network]:
    """The MotherNet, then a row for each architecture among its members."""
    mother, members = cluster["architecture"], cluster["members"]
    size, count = cluster["parameters"], len(members)
    details = (
        f"{quantity(size)} parameters",
        f"shared by {count} network{'' if count == 1 else 's'}",
    )
    rows = [Network(cluster["name"], details, size, 1.0, _layers(mother, mother))]
    for notation in dict.fromkeys(member["architecture"] for member in members):
        alike = [member for member in members if member["architecture"] == notation]
        size, share = alike[0]["parameters"], alike[0]["inherited_share"]
        changes = {
            "widened": alike[0]["widened_layers"],
            "inserted": alike[0]["inserted_layers"],
            "enlarged": alike[0]["enlarged_filters"],
        }
        changed = ", ".join(f"{n} {word}" for word, n in changes.items() if n)
        details = (
            f"{quantity(size)} parameters, {percent(share, 0)} inherited",
            f"layers: {changed}" if changed else "the MotherNet’s own layers",
        )
        title = ", ".join(member["name"] for member in alike)
        rows.append(Network(title, details, size, share, _layers(mother, notation)))
    return rows


def _layers(mother: str, member: str) -> tuple:
    """`Network.layers` of a member, matched as `hatch` matches them."""
    try:
        parent, child = parse(mother), parse(member)
        matches = matched_units(parent, child)
    except ValueError:  # notation of another version, say
        return ()
    twins = dict(zip(chain(*unit_names(parent)), chain(*parent.sections), strict=True))
    sections = []
    for names, units in zip(unit_names(child), child.sections, strict=True):
        layers = []
        for name, unit in zip(names, units, strict=True):
            twin = twins.get(matches.get(name, ""))
            sizes = [getattr(u, "filter_size", 0) for u in (unit, twin or unit)]
            inherited = twin.width if twin else 0
            layers.append((inherited, unit.width, sizes[0] > sizes[1]))
        sections.append(tuple(layers))
    return tuple(sections)


def _metric(results: dict) -> str:
    """The learning curves' error: on the validation split, where there is one."""
    stages = chain(*(method["stages"] for method in results["methods"].values()))
    histories = chain(*(stage["history"].values() for stage in stages))
    errors = chain(*(history["validation_error"] for history in histories))
    return (
        "validation error" if any(e is not None for e in errors) else "training error"
    )


def _curves(results: dict, method: str) -> list[Curve]:
    """The curve of every network in every stage of a method."""
    key = (
        "validation_error" if _metric(results) == "validation error" else "train_error"
    )
    parents = {m["name"]: c["name"] for c in _clusters(results) for m in c["members"]}
    members = results["methods"][method]["members"]
    ends: dict[str, tuple[int, float]] = {}  # by network: its last epoch, and error
    curves = []
    for stage in results["methods"][method]["stages"]:
        for name, history in stage["history"].items():
            errors = [math.nan if error is None else error for error in history[key]]
            if not errors:
                continue
            start = ends.get(name) or ends.get(parents.get(name, ""))
            first = start[0] if start else 0
            epochs = [*range(first + 1, first + 1 + len(errors))]
            if start:
                epochs, errors = [first, *epochs], [start[1], *errors]
            ends[name] = epochs[-1], errors[-1]
            curves.append(Curve(name, epochs, errors, shared=name not in members))
    return curves


def _clusters(results: dict) -> list[dict]:
    return results.get("plan", {}).get("clusters", [])


def _error(method: dict) -> float:
    return method["ensemble"]["average"]["error"]


def _share_of_full_data(methods: dict, name: str) -> str:
    """A method's training FLOPs as a percentage of those of full-data training."""
    ours, theirs = (methods[n]["cost"]["train_flops"] for n in (name, "full_data"))
    return percent(ours / theirs, 0 if ours > 0.1 * theirs else 1) if theirs else "–"


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
