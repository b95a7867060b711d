"""The tables of a finished run, for its page and for the terminal."""

import html
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from rich import box
from rich.table import Table
from rich.text import Text

from mothernets_jax.report.class_tables import has_unequal_classes, with_baseline
from mothernets_jax.report.columns import (
    Column,
    cells,
    terminal_columns,
    with_shares,
)
from mothernets_jax.report.findings import average_error
from mothernets_jax.report.page import Html, html_table
from mothernets_jax.report.plots.style import method_label
from mothernets_jax.utils.formatting import decimals, percent, quantity

# The combinations in the order of the tables, and what they are called.
COMBINATIONS = {
    "average": "average",
    "vote": "vote",
    "weighted": "weighted",
    "greedy": "greedy",
    "super_learner": "super learner",
    "oracle": "oracle",
}


def comparison_table(results: dict) -> Table:
    """A table for the terminal: errors, cost and seconds, a row for each method."""
    data = results["data"]
    columns = terminal_columns(unequal_classes=has_unequal_classes(data))
    rows = with_baseline(comparison(with_failed(results), columns), data)
    table = Table(
        title=Text(results["name"]), box=box.SIMPLE, show_edge=False, padding=0
    )
    table.add_column("method", overflow="fold")
    for name in list(rows[0])[1:]:  # a word a line, so that it fits 80 characters
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row.values()))  # as Text: a "[" in a name is no markup
    return table


def with_failed(results: dict) -> dict[str, dict]:
    """The methods' entries; those without an ensemble, which have a cost only, last."""
    return {**results["methods"], **results.get("failed", {})}


def comparison(
    methods: Mapping[str, Mapping], columns: Sequence[Column]
) -> list[dict[str, str]]:
    """A row for each method: the text of each cell by its column's name."""
    rows = cells(columns, [*with_shares(methods).values()])
    return [
        {"method": method_label(name), **row}
        for name, row in zip(methods, rows, strict=True)
    ]


def combination_tables(
    labels: Sequence[str],
    means: Sequence[Mapping],
    spreads: Sequence[Mapping] = (),
    *,
    colours: Sequence[str] = (),
    unequal_classes: bool = False,
) -> Html:
    """Tables of the ways to combine members, one table for each measure.

    Args:
        labels: names of the rows.
        means: the methods' entries in `results.json`, or means of them over seeds.
        spreads: standard deviations over seeds, with the same structure; empty for
            none.
        colours: colours of the dots before the rows' names; empty for no dots.
        unequal_classes: whether balanced errors are shown, too.

    Returns:
        HTML; tables, rows and columns that there are no figures for are left out.
    """
    tables = []
    for title, path, text in (
        ("Error", "error", percent),
        *([("Balanced error", "balanced_error", percent)] if unequal_classes else ()),
        ("NLL", "nll", decimals),
        ("ECE", "ece", percent),
        ("NLL at the temperature", "calibrated.nll", decimals),
        ("ECE at the temperature", "calibrated.ece", percent),
        ("Temperature", "temperature", partial(decimals, places=2)),
    ):
        columns = [
            Column(label, f"ensemble.{name}.{path}", text)
            for name, label in COMBINATIONS.items()
        ]
        rows = [
            {"method": label, **row}
            for label, row in zip(labels, cells(columns, means, spreads), strict=True)
        ]
        if any(len(row) > 1 for row in rows):
            table = html_table(rows, colours=colours)
            tables.append(f'<h3>{title}</h3>\n<div class="cards">\n{table}\n</div>')
    return Html("\n".join(tables))


def member_tables(results: dict) -> Html:
    """Each method's heading and table of networks, its ensemble last."""
    return Html("\n".join(_member_tables(results)))


def _member_tables(results: dict) -> Iterable[str]:
    unequal = has_unequal_classes(results["data"])
    planned = {m["name"]: m for c in planned_clusters(results) for m in c["members"]}
    for name, method in results["methods"].items():
        rows = []
        for member, record in method["members"].items():
            row = {"network": member, "test error": percent(record["error"])}
            if unequal and "balanced_error" in record:
                row["balanced error"] = percent(record["balanced_error"])
            if "nll" in record:
                row |= {
                    "NLL": decimals(record["nll"]),
                    "ECE": percent(record["ece"]),
                }
            if record["validation_error"] is not None:
                row["validation error"] = percent(record["validation_error"])
            row["parameters"] = quantity(record["parameters"])
            if member in method["hatching"] and member in planned:
                row["inherited"] = percent(planned[member]["inherited_share"], 0)
            row["train FLOPs"] = quantity(record["train_flops"])
            row["epochs"] = f"{record['epochs']:,}"
            if member in method["hatching"]:
                change = method["hatching"][member]["relative_logit_difference"]
                row["hatching"] = f"{change:.1e}"
            rows.append(row)
        total = {
            "network": "ensemble, averaged",
            "test error": percent(average_error(method)),
        }
        average = method["ensemble"]["average"]
        if unequal and "balanced_error" in average:
            total["balanced error"] = percent(average["balanced_error"])
        if "nll" in average:
            total |= {"NLL": decimals(average["nll"]), "ECE": percent(average["ece"])}
        if method["validation"]:
            error = method["validation"]["average"]["error"]
            total["validation error"] = percent(error)
        total["parameters"] = quantity(method["cost"]["parameters"])
        total["train FLOPs"] = quantity(method["cost"]["train_flops"])
        total["epochs"] = f"{method['cost']['epochs']:,}"
        yield f"<h3>{html.escape(method_label(name))}</h3>"
        table = html_table([*rows, total])
        yield f'<div class="scroll members">\n{table}\n</div>'


def architectures(results: dict) -> list[dict[str, str]]:
    """A row for each architecture of the run: its notation and its networks' names."""
    names: dict[str, list[str]] = {}
    for cluster in planned_clusters(results):
        names.setdefault(cluster["architecture"], []).append(cluster["name"])
    for method in results["methods"].values():
        for name, record in method["members"].items():
            names.setdefault(record["architecture"], []).append(name)
    return [
        {"networks": ", ".join(dict.fromkeys(alike)), "architecture": notation}
        for notation, alike in names.items()
    ]


def planned_clusters(results: dict) -> list[dict]:
    """The clusters of the run's plan; none where the results hold no plan."""
    return results.get("plan", {}).get("clusters", [])
