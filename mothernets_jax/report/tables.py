"""The tables of a finished run, for its page and for the terminal."""

import html
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from rich import box
from rich.table import Table
from rich.text import Text

from mothernets_jax.report.columns import TERMINAL, Column, cells, with_shares
from mothernets_jax.report.findings import average_error
from mothernets_jax.report.page import html_table
from mothernets_jax.report.style import decimals, method_label, percent, quantity

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
    """The methods as rows: errors, cost and seconds, for the terminal."""
    rows = comparison(with_failed(results), TERMINAL)
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
    """The methods, last those without an ensemble, of which only the cost is known."""
    return {**results["methods"], **results.get("failed", {})}


def comparison(
    methods: Mapping[str, Mapping], columns: Sequence[Column]
) -> list[dict[str, str]]:
    """A row for each method: the text of each column by the column's name."""
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
) -> str:
    """What each combination of the members is worth, a table for each measure.

    Args:
        labels: of the rows.
        means: the methods' entries in `results.json`, or means of such.
        spreads: as `report_columns.cells` takes them.
        colours: of the rows' dots.

    Returns:
        HTML; tables, rows and columns that there are no figures for are left out.
    """
    tables = []
    for title, path, text in (
        ("Error", "error", percent),
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
    return "\n".join(tables)


def member_tables(results: dict) -> Iterable[str]:
    """A table of networks for each method, with its ensemble in the last row."""
    planned = {m["name"]: m for c in planned_clusters(results) for m in c["members"]}
    for name, method in results["methods"].items():
        rows = []
        for member, record in method["members"].items():
            row = {"network": member, "test error": percent(record["error"])}
            if "nll" in record:
                row |= {
                    "NLL": decimals(record["nll"]),
                    "ECE": percent(record["ece"]),
                }
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
        total = {
            "network": "ensemble, averaged",
            "test error": percent(average_error(method)),
        }
        average = method["ensemble"]["average"]
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
    """A row for each architecture of the run: its notation and who has it."""
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
    """The clusters of the run's plan; none where nothing was planned."""
    return results.get("plan", {}).get("clusters", [])
