"""What plan and report show of classes: baselines, balanced errors, confusions."""

import copy
import io
from pathlib import Path

import pytest
from fake_runs import Page, fake_results
from rich.console import Console

from mothernets_jax.data.dataset import split
from mothernets_jax.data.digits import load_digits_fold
from mothernets_jax.report import run_page
from mothernets_jax.report.compare import compare
from mothernets_jax.report.comparison_page import write_comparison
from mothernets_jax.report.finished_runs import Run
from mothernets_jax.report.tables import comparison_table
from mothernets_jax.runs.plan import print_plan
from mothernets_jax.stages.task import make_task

REMARK = (
    "Classes: 'cat<' has 94.0% of the 1,000 training images, 'bee' 6.0% (60); always "
    "answering 'cat<' errs on 5.0% of the test set."
)


def with_classes(results, train=(940, 60), names=("cat<", "bee"), test=(190, 10)):
    """A run whose first method errs on 2 of 190 cats and 8 of 10 bees."""
    data, methods = results["data"], list(results["methods"].values())
    validation = [1] * len(names)
    counts = {"train": [*train], "validation": validation, "test": [*test]}
    data |= {"class_names": [*names], "class_counts": counts, "majority_error": 0.05}
    for method in methods:
        method["ensemble"]["average"] |= {"error": 0.05, "balanced_error": 0.405263}
        method["class_errors"] = dict(zip(names, (2 / 190, 0.8), strict=False))
        method["confusion"] = [[0, 0, 188], [0, 1, 2], [1, 0, 8], [1, 1, 2]]
        for member in method["members"].values():
            member["balanced_error"] = 0.4321
    return results


def page_of(results):
    return Page(run_page._page(results, {}, Path("run")))


def test_unequal_classes_stand_in_the_report():
    page = page_of(with_classes(fake_results()))
    assert REMARK in page.text
    assert (
        "No ensemble is better than always answering “cat<”: that makes 5.0% errors, "
        "the best ensemble 5.0%."
    ) in page.text
    _, *worth, baseline = page.tables[0]
    assert [row["balanced error"] for row in worth] == ["40.53%", "40.53%"]
    assert baseline["balanced error"] == "50.00%"
    assert baseline[""] == "always “cat<”"
    assert (baseline["average error"], baseline["train FLOPs"]) == ("5.00%", "–")
    assert "Balanced error: the mean over the classes" in page.text
    members = next(table for table in page.tables if "test error" in table[1])
    assert members[1]["balanced error"] == "43.21%"
    assert members[-1]["balanced error"] == "40.53%"


def test_an_ensemble_that_learned_something_is_no_failure():
    results = with_classes(fake_results())
    results["methods"]["full_data"]["ensemble"]["average"]["error"] = 0.0499
    assert "No ensemble is better" not in page_of(results).text


def test_errors_and_confusions_class_by_class():
    page = page_of(with_classes(fake_results()))
    errors = next(table for table in page.tables if "test images" in table[1])
    assert errors[1:] == [
        {"": name, "training images": train, "test images": test}
        | {"MotherNets": error, "Full data": error}
        for name, train, test, error in (
            ("cat<", "940", "190", "1.05%"),
            ("bee", "60", "10", "80.00%"),
        )
    ]
    matrices = [table for table in page.tables if "as bee" in table[1]]
    expected = [
        {"": "cat<", "as cat<": "188", "as bee": "2"},
        {"": "bee", "as cat<": "8", "as bee": "2"},
    ]
    assert [matrix[1:] for matrix in matrices] == [expected, expected]


def test_of_many_classes_the_worst_are_shown():
    names = [f"c{i:02}" for i in range(30)]
    results = fake_results(("full_data",), (0.1,), (1e12,))
    results = with_classes(results, [20] * 30, names, [10] * 30)
    (method,) = results["methods"].values()
    method["class_errors"] = {n: i / 100 for i, n in enumerate(names)} | {"c29": None}
    method["confusion"] = [[i, i, 10 - i % 9] for i in range(30)]
    method["confusion"] += [[i, 0, i % 9] for i in range(1, 30) if i % 9]
    page = page_of(results)
    errors = next(table for table in page.tables if "training images" in table[1])
    assert [row[""] for row in errors[1:]] == names[28:18:-1]
    (frequent,) = (table for table in page.tables if "taken for" in table[1])
    # Three classes lost 8 images to the first, three 7, three 6, and four 5.
    counts = [row["test images"] for row in frequent[1:]]
    assert counts == [f"{n} of 10" for n in (8, 8, 8, 7, 7, 7, 6, 6, 6, 5)]
    assert frequent[1] == {"": "c08", "taken for": "c00", "test images": "8 of 10"}
    assert "10 classes with the largest" in page.text


def test_equal_classes_and_earlier_versions_stay_calm():
    equal = with_classes(fake_results(), (94, 93), test=(9, 9))
    calm = [page_of(fake_results()), page_of(equal)]
    for page in calm:
        assert not any("balanced error" in row for t in page.tables for row in t[1:])
        assert "Classes:" not in page.text and "Balanced" not in page.text
    assert "Class by class" not in calm[0].text
    assert "Class by class" in calm[1].text
    # Counts, but nothing by class: a run of the version before.
    older = with_classes(fake_results())
    del older["data"]["majority_error"]
    for method in older["methods"].values():
        del method["class_errors"], method["confusion"]
        del method["ensemble"]["average"]["balanced_error"]
        for member in method["members"].values():
            del member["balanced_error"]
    page = page_of(older)
    assert REMARK in page.text and "Class by class" not in page.text
    assert not any("always" in row[""] for row in page.tables[0][1:])


def test_the_terminal_s_table_has_the_balanced_error_and_still_fits():
    table = comparison_table(with_classes(fake_results()))
    stream = io.StringIO()
    Console(file=stream, width=80).print(table)
    lines = [" ".join(line.split()) for line in stream.getvalue().splitlines()]
    assert "MotherNets 5.00% 40.53% 0.85% 4.26% 321 T 38% 264 81.3 12.5 1,234" in lines
    assert "always 5.00% 50.00% – – – – – – – –" in lines  # the class below it


@pytest.mark.parametrize("unequal", [True, False])
def test_a_comparison_shows_the_same(tmp_path, unequal):
    runs = []
    for seed in (0, 1):
        results = with_classes(copy.deepcopy(fake_results()))
        if not unequal:  # as of an earlier version
            results["data"] = fake_results()["data"]
        results["provenance"] = {}
        runs.append(Run(f"run{seed}", {"seed": seed}, results))
    path = write_comparison(compare(runs), tmp_path / "page.html", [])
    page = Page(path.read_text(encoding="utf-8"))
    assert (REMARK in page.text) == unequal
    row = page.tables[0][1]
    assert row.get("balanced error") == ("40.53%\n± 0.00%" if unequal else None)
    assert (page.tables[0][-1][""] == "always “cat<”") == unequal


def test_the_interval_is_wilson_s():
    """By hand: (8 + 1.96²/2 ± 1.96 √(8 x 0.92 + 1.96²/4)) / (100 + 1.96²)."""
    results = fake_results(("full_data",), (0.08,), (1e12,))
    results["data"]["test_examples"] = 100
    said = "On 100 test images, an average error of 8.00% has a 95% confidence"
    assert f"{said} interval of 4.11% to 15.00%." in page_of(results).text
    results["methods"]["full_data"]["ensemble"]["average"]["error"] = 0.0
    assert "interval of 0.00% to 3.70%." in page_of(results).text


@pytest.mark.parametrize("kept", [None, 20])
def test_the_plan_names_unequal_classes(kept):
    """All digits, and all zeros with 20 of each other digit."""
    images, labels, *test, names = load_digits_fold(0)
    places = [i for i in range(len(labels)) if kept is None or not labels[i]]
    for digit in range(1, 10) if kept else ():
        places += [i for i in range(len(labels)) if labels[i] == digit][:kept]
    data = split(images[places], labels[places], *test, names, validation_fraction=0.0)
    task = make_task(
        data, crop_padding=0, crop_border="black", flip="none", seed=0, batch_size=32
    )
    stream = io.StringIO()
    plan = {"num_clusters": 0, "apart": [], "clusters": []}
    print_plan(
        Console(file=stream, width=200),
        plan,
        {},
        task,
        noise=0.0,
        budget=None,
    )
    zeros, total = sum(labels == 0), len(places)
    error = 100 * sum(test[1] != 0) / len(test[1])
    said = (
        f"Classes: '0' has {100 * zeros / total:.1f}% of the {total:,} training "
        f"images, '1' {100 * 20 / total:.1f}% (20); always answering '0' errs on "
        f"{error:.1f}% of the test set."
    )
    assert (said in stream.getvalue()) == (kept is not None)
    assert ("Classes" in stream.getvalue()) == (kept is not None)
