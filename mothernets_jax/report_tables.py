"""The tables of a finished run, for its page and for the terminal."""

import html
from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from mothernets_jax.findings import average_error, share_of_full_data
from mothernets_jax.style import method_label, percent, quantity


def comparison_table(results: dict) -> Table:
    """The methods as rows: errors, cost and seconds, for the terminal."""
    rows = comparison(results)
    table = Table(
        title=Text(results["name"]), box=box.SIMPLE, show_edge=False, padding=0
    )
    table.add_column("method", overflow="fold")
    for name in list(rows[0])[1:]:  # a word a line, so that it fits 80 characters
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row.values()))  # as Text: a "[" in a name is no markup
    return table


def comparison(results: dict) -> list[dict[str, str]]:
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
            row["of full data"] = share_of_full_data(methods, name)
        row["epochs"] = f"{method['cost']['epochs']:,}"
        for clock in ("train", "compile", "eval"):
            seconds = method["clocks"][f"{clock}_seconds"]
            row[f"{clock} sec"] = f"{seconds:,.{1 if seconds < 100 else 0}f}"
        rows.append(row)
    return rows


def member_tables(results: dict) -> Iterable[str]:
    """A table of networks for each method, with its ensemble in the last row."""
    planned = {m["name"]: m for c in planned_clusters(results) for m in c["members"]}
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
        total = {
            "network": "ensemble, averaged",
            "test error": percent(average_error(method)),
        }
        if method["validation"]:
            error = method["validation"]["average"]["error"]
            total["validation error"] = percent(error)
        total["parameters"] = quantity(
            sum(m["parameters"] for m in method["members"].values())
        )
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


def html_table(rows: Sequence[dict[str, str]], *, colours: Sequence[str] = ()) -> str:
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


def planned_clusters(results: dict) -> list[dict]:
    """The clusters of the run's plan; none where nothing was planned."""
    return results.get("plan", {}).get("clusters", [])
