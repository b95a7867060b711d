"""The report of a finished run: a page that explains itself, with its plots."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from mothernets_jax.report.certainty import (
    equivalent_caption,
    equivalent_rows,
    main_method,
    paired_rows,
    run_base,
    sureness_rows,
)
from mothernets_jax.report.class_tables import (
    BALANCED_NOTE,
    MOST_CLASSES,
    confusion_tables,
    error_rows,
    has_unequal_classes,
    remarks_on_classes,
    with_baseline,
)
from mothernets_jax.report.columns import COSTS, DETECTION, DIFFERENCES, worth_columns
from mothernets_jax.report.findings import (
    UNVERIFIED,
    growth,
    headline,
    interval,
    remarks,
    warnings,
)
from mothernets_jax.report.page import (
    Drawing,
    Html,
    draw_pictures,
    escaped,
    fill,
    html_table,
)
from mothernets_jax.report.plots import style
from mothernets_jax.report.plots.anytime import anytime
from mothernets_jax.report.plots.curves import curves_of, learning_curves, metric_of
from mothernets_jax.report.plots.disagreement import disagreement
from mothernets_jax.report.plots.frontier import frontier
from mothernets_jax.report.plots.member_errors import member_errors
from mothernets_jax.report.plots.plan import draw_plan, family_of
from mothernets_jax.report.plots.reliability import reliability_diagrams
from mothernets_jax.report.plots.risk_coverage import risk_coverage
from mothernets_jax.report.plots.series import series_of
from mothernets_jax.report.recipes import recipe_rows, variation
from mothernets_jax.report.results_format import check_results
from mothernets_jax.report.tables import (
    architectures,
    combination_tables,
    comparison,
    member_tables,
    planned_clusters,
    with_failed,
)
from mothernets_jax.report.using import commands, python_lines
from mothernets_jax.report.wrong_images import wrong_images
from mothernets_jax.storage.files import write_whole
from mothernets_jax.storage.links import refuse_links

# That are left out without content; each is named as the field that holds it.
_SECTIONS = (
    "combinations",
    "confusions",
    "wrong_images",
    "paired",
    "equivalents",
    "recipes",
)
_LEAPS = (
    "Where the curve of a hatched network leaps in its first epochs, that is mostly "
    "the running statistics of batch normalisation, by which networks predict: at a "
    "large learning rate they lag behind the weights."
)


def write_report(results: dict, workdir: Path, *, unverified: bool = False) -> Path:
    """Writes `report.html` and `plots/*.png` for a finished run.

    Args:
        results: the content of the run's `results.json`.
        workdir: the run's folder; made where it does not exist.
        unverified: whether the page says that nothing vouches for the results.

    Returns:
        The page's path. Every file is replaced whole or not at all; a link, too.

    Raises:
        LinkError: `plots` is a link.
        ValueError: the results are not what a run writes.
    """
    check_results(results)
    plots, path = Path(workdir) / "plots", Path(workdir) / "report.html"
    refuse_links(Path(workdir), plots)
    plots.mkdir(parents=True, exist_ok=True)
    pictures = draw_pictures(_drawings(results), plots)
    page = _page(results, pictures, Path(workdir), unverified=unverified)
    write_whole(path, page.encode("utf-8"))
    return path


def _page(
    results: dict,
    pictures: Mapping[str, Html],
    workdir: Path,
    *,
    unverified: bool = False,
) -> str:
    """The page, HTML, without the sections that there is nothing for."""
    values = {
        **pictures,
        **_sentences(results, unverified=unverified),
        **_table_values(results),
        **_class_values(results),
        **_certainty_values(results),
        **_making_values(results, workdir),
    }
    title = f"{results['name']}: ensemble report"
    return fill("run_template.html", _shown(results, pictures, values), title, values)


def _shown(
    results: dict, pictures: Mapping[str, Html], values: Mapping[str, object]
) -> set[str]:
    """The sections that there is something for."""
    methods = results["methods"].values()
    found = {
        "classes": values["class_errors"],
        "hatching": any(method["hatching"] for method in methods),
        "detection": any(method.get("ood") for method in methods),
        **{name: values[name] for name in _SECTIONS},
    }
    return {*pictures, *(name for name, there in found.items() if there)}


def _sentences(results: dict, *, unverified: bool) -> dict[str, object]:
    """Contents of the template's fields that are words and numbers in its text."""
    methods, data = results["methods"], results["data"]
    others = [m["ood"]["name"] for m in methods.values() if m.get("ood")]
    splits = ("train", "validation", "test")
    return {
        "name": results["name"],
        "headline": headline(results),
        "remarks": " ".join([*remarks(results), *growth(results)]),
        "warnings": " ".join([*warnings(results), UNVERIFIED * unverified]),
        "data": data["name"],
        "classes": len(data["class_names"]),
        "shape": " × ".join(map(str, data["input_shape"])),
        "copies": _copies(data),
        "notes": " ".join(data.get("notes", ())),  # none in older runs
        "unequal": " ".join(remarks_on_classes(data)),
        "interval": interval(results),
        "balanced": BALANCED_NOTE if has_unequal_classes(data) else "",
        "others": ", ".join(dict.fromkeys(others)),
        "after": _after_temperature(methods),
        "apart": " ".join(results.get("plan", {}).get("apart", ())),
        "metric": metric_of(methods),
        "leaps": _LEAPS if _hatches_norms(methods) else "",
        "made": _made(results),
        "main_method": style.method_label(main_method(results)),
        **{f"{split}_examples": f"{data[f'{split}_examples']:,}" for split in splits},
    }


def _hatches_norms(methods: dict[str, dict]) -> bool:
    """True where a network with batch normalisation was hatched."""
    hatched = [
        method["members"][name]["architecture"]
        for method in methods.values()
        for name in method["hatching"]
        if name in method["members"]
    ]
    # In the plain families it is a choice, which the notation tells.
    plain = ("vgg", "mlp")
    return any("batch_norm" in own or not own.startswith(plain) for own in hatched)


def _table_values(results: dict) -> dict[str, Html]:
    """Contents of the template's fields that are tables with a row for each method."""
    methods, unequal = results["methods"], has_unequal_classes(results["data"])
    everyone = with_failed(results)
    styles = style.method_styles(everyone)
    colours, of_everyone = (
        [styles[name][0] for name in group] for group in (methods, everyone)
    )
    worth = comparison(everyone, worth_columns(unequal_classes=unequal))
    worth = with_baseline(worth, results["data"])
    return {
        "worth": html_table(worth, colours=[*of_everyone, style.FAINT]),
        "costs": html_table(comparison(everyone, COSTS), colours=of_everyone),
        "differences": html_table(comparison(methods, DIFFERENCES), colours=colours),
        "detection": html_table(comparison(methods, DETECTION), colours=colours),
        "combinations": combination_tables(
            [style.method_label(name) for name in methods],
            [*methods.values()],
            colours=colours,
            unequal_classes=unequal,
        ),
    }


def _making_values(results: dict, workdir: Path) -> dict[str, str]:
    """Contents of the template's fields on the networks, and how all was made."""
    return {
        "members": member_tables(results),
        "architectures": html_table(architectures(results)),
        "recipes": html_table(recipe_rows(results.get("plan", {}))),
        "variation": variation(results),
        "python_lines": python_lines(results, workdir),
        "commands": commands(results, workdir),
        "provenance": _provenance(results),
    }


def _made(results: dict) -> str:
    """A sentence on when, how long and on what the run was made; empty if unknown."""
    clocks, device = results.get("clocks"), results["provenance"].get("device")
    if not clocks or not device:
        return ""
    when = clocks["finished"][:16].replace("T", " ")
    return (
        f"Finished {when} UTC on {device}; the last command took "
        f"{clocks['seconds']:,.0f} s."
    )


def _provenance(results: dict) -> Html:
    """When, how long and with what the run was made, the items of a list."""
    items = dict(results["provenance"])
    if clocks := results.get("clocks"):  # none in older runs
        items["finished"] = clocks["finished"]
        items["the last command took"] = f"{clocks['seconds']:,.0f} s"
    return Html(
        "\n".join(
            f"<dt>{escaped(key)}</dt><dd><code>{escaped(value)}</code></dd>"
            for key, value in items.items()
        )
    )


def _class_values(results: dict) -> dict[str, str]:
    """Contents of the template's fields in the sections of classes and confusions."""
    rows = error_rows(results)
    shown = ""
    confusions = (
        "The number of test images of each class (a row) that the averaged ensemble "
        "took for each class (a column)."
    )
    if len(results["data"]["class_names"]) > MOST_CLASSES:
        shown = f"Shown are the {len(rows)} classes with the largest."
        confusions = (
            "The most frequent confusions of each averaged ensemble; all are in "
            "results.json."
        )
    return {
        "class_errors": html_table(rows),
        "classes_shown": shown,
        "confusions": confusion_tables(results),
        "confusions_shown": confusions,
        "wrong_images": wrong_images(results),
    }


def _certainty_values(results: dict) -> dict[str, str]:
    """Contents of the template's fields in the sections on how sure the figures are."""
    methods = results["methods"]
    base, labels = run_base(results)
    paired = paired_rows(results.get("paired", ()), base, labels)
    worth = equivalent_rows([labels[name] for name in methods], [*methods.values()])
    sure = sureness_rows(methods)
    caption = equivalent_caption([*methods.values()]) if worth else ""
    return {
        "paired": html_table(paired),
        "paired_over": "",
        "other_pairs": "All other pairs are in results.json."
        if len(results.get("paired", ())) > len(paired)
        else "",
        "equivalents": html_table(worth),
        "sureness": html_table(sure),
        "equivalent_caption": caption,
    }


def _copies(data: dict) -> str:
    """A sentence on test images that are training images too; empty if unknown."""
    copies = data.get("test_images_in_train")
    if copies is None:  # Streamed, or a run of an older version.
        return ""
    if copies == 1:
        return "1 test image is an exact copy of a training image."
    number = f"{copies:,}" if copies else "No"
    return f"{number} test images are exact copies of training images."


def _after_temperature(methods: dict[str, dict]) -> str:
    """A sentence on the dotted lines of reliability diagrams; empty without any."""
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
        "risk_coverage": partial(risk_coverage, methods),
    }
