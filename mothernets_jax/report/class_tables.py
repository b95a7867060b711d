"""Tables by class, and a baseline where classes are of unequal size.

A confusion is a list of [true class, predicted class, number of test images]. Results
of earlier versions have no confusions and no counts of classes: nothing is shown for
them.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from mothernets_jax.metrics.class_balance import class_remarks, is_imbalanced
from mothernets_jax.metrics.class_errors import distinct_names
from mothernets_jax.report.columns import AVERAGE, BALANCED
from mothernets_jax.report.page import Html, html_table
from mothernets_jax.report.plots.style import method_label
from mothernets_jax.utils.formatting import percent

# Up to so many classes all are shown, with all their confusions; else the worst.
MOST_CLASSES = 20
_WORST = 10
BALANCED_NOTE = (
    "Balanced error: the mean over the classes of each class’s error, in which a rare "
    "class counts as much as a frequent one; the last row is what the same answer to "
    "every image would reach."
)


def has_unequal_classes(data: Mapping[str, Any]) -> bool:
    """True where classes differ so much in size that errors hide something.

    Args:
        data: the entry `data` of `results.json`.
    """
    return is_imbalanced(data.get("class_counts", {}))


def remarks_on_classes(data: Mapping[str, Any]) -> list[str]:
    """Sentences on classes of unequal size or without images; none if all is well.

    Args:
        data: the entry `data` of `results.json`.
    """
    return class_remarks(data["class_names"], data.get("class_counts", {}))


def majority(data: Mapping[str, Any]) -> tuple[int, float] | None:
    """The most frequent class in training, and the error of always answering it.

    Args:
        data: the entry `data` of `results.json`.

    Returns:
        The class's label and the test error; None where classes are of about equal
        size, and in results of earlier versions.
    """
    if not has_unequal_classes(data) or "majority_error" not in data:
        return None
    train = data["class_counts"]["train"]
    return max(range(len(train)), key=train.__getitem__), data["majority_error"]


def with_baseline(
    rows: Sequence[dict[str, str]], data: Mapping[str, Any]
) -> list[dict[str, str]]:
    """The methods' rows, and a row of always answering the most frequent class.

    Args:
        rows: the text of each cell by its column's name; the first column names the
            row.
        data: the entry `data` of `results.json`; rows stay as they are where it has
            classes of about equal size.
    """
    most = majority(data)
    if most is None:
        return list(rows)
    answer, error = most
    test = data["class_counts"]["test"]
    classes = sum(count > 0 for count in test)
    balanced = (classes - (test[answer] > 0)) / classes
    baseline = dict.fromkeys(rows[0], "–")
    baseline[next(iter(rows[0]))] = f"always “{data['class_names'][answer]}”"
    errors = {AVERAGE: error, BALANCED: balanced}
    baseline |= {c.label: c.text(e) for c, e in errors.items() if c.label in rows[0]}
    return [*rows, baseline]


def error_rows(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row for each class: its images, and each method's error on them.

    Of more than `MOST_CLASSES` classes only the ten with the largest mean of the
    methods' errors have rows.

    Args:
        results: the content of `results.json`.

    Returns:
        Rows, the text of each cell by its column's name; no rows where no method's
        errors by class are known.
    """
    data = results["data"]
    methods = {n: m for n, m in results["methods"].items() if m.get("class_errors")}
    if not methods:
        return []
    names = distinct_names(data["class_names"])
    errors = [[m["class_errors"][name] for m in methods.values()] for name in names]
    order = list(range(len(names)))
    if len(names) > MOST_CLASSES:
        known = [label for label in order if None not in errors[label]]
        order = sorted(known, key=lambda label: -sum(errors[label]))[:_WORST]
    counts = data["class_counts"]
    return [
        {
            "class": names[label],
            "training images": f"{counts['train'][label]:,}",
            "test images": f"{counts['test'][label]:,}",
        }
        | {
            method_label(method): percent(error)
            for method, error in zip(methods, errors[label], strict=True)
        }
        for label in order
    ]


def confusion_tables(results: Mapping[str, Any]) -> Html:
    """Confusions of classes by each method's averaged ensemble.

    Args:
        results: the content of `results.json`.

    Returns:
        HTML: a matrix of counts for each method, or of more than `MOST_CLASSES` classes
        its most frequent confusions; empty where none is known.
    """
    names = distinct_names(results["data"]["class_names"])
    as_rows = _matrix_rows if len(names) <= MOST_CLASSES else _frequent_rows
    tables = []
    for name, method in results["methods"].items():
        rows = as_rows(method.get("confusion", ()), names)
        if "confusion" in method and rows:
            label = html.escape(method_label(name))
            table = f'<div class="scroll">\n{html_table(rows)}\n</div>'
            tables.append(f"<h3>{label}</h3>\n{table}")
    return Html("\n".join(tables))


def _matrix_rows(
    entries: Sequence[Sequence[int]], names: Sequence[str]
) -> list[dict[str, str]]:
    """A row for each true class, a column for each predicted; dots for none."""
    counts = {(true, predicted): count for true, predicted, count in entries}
    return [
        {"true class": name}
        | {
            f"as {other}": f"{counts[true, predicted]:,}"
            if (true, predicted) in counts
            else "·"
            for predicted, other in enumerate(names)
        }
        for true, name in enumerate(names)
    ]


def _frequent_rows(
    entries: Sequence[Sequence[int]], names: Sequence[str]
) -> list[dict[str, str]]:
    """A row for each of the most frequent confusions."""
    wrong = [entry for entry in entries if entry[0] != entry[1]]
    totals = dict.fromkeys(range(len(names)), 0)
    for true, _, count in entries:
        totals[true] += count
    frequent = sorted(wrong, key=lambda entry: -entry[2])[:_WORST]
    return [
        {
            "true class": names[true],
            "taken for": names[predicted],
            "test images": f"{count:,} of {totals[true]:,}",
        }
        for true, predicted, count in frequent
    ]
