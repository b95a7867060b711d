"""The page of a comparison of finished runs, and its figures as JSON.

Both show one dictionary, the result of `compare.compare`.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mothernets_jax.report.certainty import (
    Key,
    base_of,
    equivalent_caption,
    equivalent_rows,
    paired_rows,
)
from mothernets_jax.report.class_tables import (
    BALANCED_NOTE,
    has_unequal_classes,
    remarks_on_classes,
    with_baseline,
)
from mothernets_jax.report.columns import (
    COSTS,
    DETECTION,
    DIFFERENCES,
    Column,
    cells,
    worth_columns,
)
from mothernets_jax.report.findings import (
    Finding,
    average_error,
    comparison_headline,
    comparison_remarks,
    comparison_warnings,
)
from mothernets_jax.report.page import Html, draw_pictures, fill, html_table
from mothernets_jax.report.plots import style
from mothernets_jax.report.plots.anytime import anytime
from mothernets_jax.report.plots.frontier import frontier
from mothernets_jax.report.plots.series import MAIN_METHOD, Series, make_series
from mothernets_jax.report.tables import combination_tables
from mothernets_jax.report.trials import Trials, trial_counts, trial_rows
from mothernets_jax.storage.files import write_whole

_DASHES = ("-", "--", ":", "-.")


class Row(NamedTuple):
    """A method with one variant's settings.

    Attributes:
        key: the method's name and the variant's.
        label: the method's label, and of several variants the letter and name of this
            one.
        short: the label without the variant's name.
        main: whether the row's points are drawn larger.
        look: colour, marker and line style of the row's points, as Matplotlib's.
        seeds: seeds of the runs that are averaged.
        mean, std: mean and standard deviation of every figure over seeds, with the
            structure of `results.json`; `std` is empty with one seed.
    """

    key: Key
    label: str
    short: str
    main: bool
    look: tuple[str, str, str]
    seeds: list[int]
    mean: dict[str, Any]
    std: dict[str, Any]


def write_comparison(comparison: dict, path: Path, trials: Trials) -> Path:
    """Writes the page of a comparison, and its figures beside it as `.json`.

    Args:
        comparison: result of `compare.compare`.
        path: path of the page; the file of figures has the same, but for its end.
        trials: result of `trials.read_trials`; empty where there were none.

    Returns:
        The page's path. Both files are replaced whole or not at all.
    """
    rows = rows_of(comparison)
    series = [row_series(row) for row in rows if row.mean.get("anytime")]
    drawings = {
        "frontier": partial(frontier, series),
        "anytime": partial(anytime, series),
    }
    pictures = draw_pictures(drawings, None)
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = json.dumps({**comparison, "trials": trials}, indent=1)
    write_whole(path.with_suffix(".json"), f"{figures}\n".encode())
    write_whole(path, _page(comparison, rows, pictures, trials).encode("utf-8"))
    return path


def rows_of(comparison: dict) -> list[Row]:
    """A row for each variant of each method, those of a method together.

    A method keeps its colour; its variants differ in marker and line style. Variants of
    the only method differ in colour, too. Variants of the same name, of whatever
    method, have the same letter.

    Args:
        comparison: result of `compare.compare`.
    """
    methods = comparison["methods"]
    styles = style.method_styles(methods)
    looks = list(style.METHOD_STYLES.values())
    named = [v["name"] for own in methods.values() if len(own) > 1 for v in own]
    names = list(dict.fromkeys(named))
    rows = []
    for method, own in methods.items():
        for found in own:
            figures = {name: found[name] for name in ("seeds", "mean", "std")}
            short, look = style.method_label(method), styles[method]
            label, number = short, 0
            if len(own) > 1:
                number = names.index(found["name"])
                short += f" {_letter(number)}"
                label = f"{short} ({found['name']})"
                colour, marker = looks[number % len(looks)]
                look = (look[0] if len(methods) > 1 else colour, marker)
            dash = _DASHES[number % len(_DASHES)]
            main = method == MAIN_METHOD and len(methods) > 1
            key = method, found["name"]
            rows.append(Row(key, label, short, main, (*look, dash), **figures))
    return rows


def _letter(number: int) -> str:
    """A, B, ... Z, then numbers."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def row_series(row: Row) -> Series:
    """The series of points that plots draw of a row with an anytime curve."""
    points = row.mean["anytime"]
    spreads = [point["error"] for point in row.std.get("anytime", ())]
    return make_series(
        points,
        row.mean["flops_before_members"],
        label=row.label,
        short=row.short,
        look=row.look,
        main=row.main,
        spreads=spreads,
    )


def _page(
    comparison: dict, rows: list[Row], pictures: Mapping[str, Html], trials: Trials
) -> str:
    data, runs = comparison["data"], comparison["runs"]
    labels, colours = [row.label for row in rows], [row.look[0] for row in rows]
    means, stds = [row.mean for row in rows], [row.std for row in rows]
    unequal = has_unequal_classes(data)
    combined = combination_tables(
        labels, means, stds, colours=colours, unequal_classes=unequal
    )
    worth = _table(rows, worth_columns(unequal_classes=unequal))
    worth = with_baseline(_with_seeds(rows, worth), data)
    findings = [
        Finding(row.label, row.key, row.mean, row.std, len(row.seeds)) for row in rows
    ]
    several = any(row.std for row in rows)
    differ = any(run["differs"] for run in runs)
    certain = _certainty_values(comparison, rows)
    values = {**dict.fromkeys(("frontier", "anytime"), ""), **pictures, **certain}
    values |= {
        "name": comparison["name"],
        "headline": comparison_headline(findings, data, comparison["paired"]),
        "remarks": " ".join(comparison_remarks(findings, comparison["paired"])),
        "warnings": " ".join(comparison_warnings(runs)),
        "data": data["name"],
        "classes": str(len(data["class_names"])),
        "shape": " × ".join(map(str, data["input_shape"])),
        "test_examples": f"{data['test_examples']:,}",
        "runs": f"{len(runs)} runs; those that differ in the seed alone are averaged."
        + (" What else differs is listed with them." if differ else ""),
        "spread": "±: the standard deviation over seeds." if several else "",
        "machines": (
            "They were measured on different machines."
            if len({run.get("device") for run in runs}) > 1
            else ""
        ),
        "unequal": " ".join(remarks_on_classes(data)),
        "balanced": BALANCED_NOTE if unequal else "",
        "worth": html_table(worth, colours=[*colours, style.FAINT]),
        "costs": html_table(_table(rows, COSTS), colours=colours),
        "differences": html_table(_table(rows, DIFFERENCES), colours=colours),
        "detection": html_table(_table(rows, DETECTION), colours=colours),
        "others": "another data set",
        "combinations": combined,
        "trials": html_table(trial_rows(trials)) if trials else "",
        "trial_counts": trial_counts(trials) if trials else "",
        "run_table": html_table([_run_row(run) for run in runs]),
    }
    shown = {*pictures, *(["combinations"] if combined else [])}
    shown |= {"trials"} if trials else set()
    shown |= {name for name in ("paired", "equivalents") if certain[name]}
    shown |= {
        section
        for section, measured in (("differences", "diversity"), ("detection", "ood"))
        if any(row.mean.get(measured) for row in rows)
    }
    title = f"{comparison['name']}: comparison of ensembles"
    return fill("comparison_template.html", shown, title, values)


def _certainty_values(comparison: dict, rows: list[Row]) -> dict[str, str]:
    """Contents of the template's fields in the sections on how sure the figures are."""
    base = base_of({row.key: (row.key[0], average_error(row.mean)) for row in rows})
    labels = {row.key: row.short for row in rows}
    paired = paired_rows(comparison["paired"], base, labels)
    means = [row.mean for row in rows]
    worth = equivalent_rows([row.label for row in rows], means)
    several = any(len(pair["seeds"]) > 1 for pair in comparison["paired"])
    over = (
        "; of several seeds it is that of the mean over them, and ± the standard "
        "deviation over seeds of the difference, paired by seed"
    )
    pairs = "All other pairs are in the file of figures beside this page."
    caption = equivalent_caption(means) if worth else ""
    return {
        "paired": html_table(paired),
        "paired_over": over if several else "",
        "other_pairs": pairs if len(comparison["paired"]) > len(paired) else "",
        "equivalents": html_table(worth),
        "equivalent_caption": caption,
    }


def _table(rows: list[Row], columns: tuple[Column, ...]) -> list[dict[str, str]]:
    texts = cells(columns, [row.mean for row in rows], [row.std for row in rows])
    return [
        {"method": row.label, **text} for row, text in zip(rows, texts, strict=True)
    ]


def _with_seeds(rows: list[Row], texts: list[dict[str, str]]) -> list[dict[str, str]]:
    """The table's rows, with the number of seeds in the second column."""
    return [
        {"method": text["method"], "seeds": str(len(row.seeds)), **text}
        for row, text in zip(rows, texts, strict=True)
    ]


def _run_row(run: dict) -> dict[str, str]:
    return {
        "run": run["folder"],
        "settings": run["differs"] or "the same",
        "seed": str(run["seed"]),
        "methods": ", ".join(map(style.method_label, run["methods"])),
        "device": str(run.get("device", "–")),
        "commit": str(run.get("commit", "–")),
    }
