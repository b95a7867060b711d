"""Runs compared: seeds are averaged, other settings stand side by side."""

import copy
import json
import math
import statistics

import pytest
from fake_runs import Page, add_predictions, fake_results

from mothernets_jax.report.__main__ import main
from mothernets_jax.report.compare import (
    compare,
    differing_settings,
    merge,
    variant_names,
    variant_settings,
)
from mothernets_jax.report.comparison_page import rows_of
from mothernets_jax.report.findings import (
    Finding,
    comparison_headline,
    comparison_remarks,
)
from mothernets_jax.report.finished_runs import Run, check_comparable
from mothernets_jax.report.trials import read_trials, trial_counts, trial_rows

SETTINGS = {
    "seed": 0,
    "methods": ["mothernets", "full_data"],
    "architectures": {"V13": "vgg (3:8)", "V16": "vgg (3:9)"},
    "data": {"name": "digits", "dir": "/here", "fold": 0},
    "budget": {"epochs": 12},
}


def settings(**changed):
    """Settings with others in some places, `budget__epochs=6`."""
    made = copy.deepcopy(SETTINGS)
    for name, value in changed.items():
        *groups, last = name.split("__")
        place = made
        for group in groups:
            place = place[group]
        place[last] = value
    return made


def run(
    folder, seed=0, errors=(0.02, 0.03), methods=("mothernets", "full_data"), **how
):
    results = add_predictions(fake_results(methods, errors, (3e14, 6e14), replicas=1))
    return Run(folder, settings(seed=seed, **how), results)


def save(made, folder):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(made.settings), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(made.results), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("values", "mean", "std"),
    [
        ([1, 2, 6], 3.0, math.sqrt(7)),
        ([{"a": 1, "b": 2}, {"a": 3, "c": 2}], {"a": 2.0}, {"a": math.sqrt(2)}),
        ([[1, 4], [3, 4]], [2.0, 4.0], [math.sqrt(2), 0.0]),
        ([[1], [1, 2]], None, None),
        ([{"a": "x", "b": True, "c": None}] * 2, {}, {}),
    ],
)
def test_trees_are_averaged_number_by_number(values, mean, std):
    assert merge(values, statistics.fmean) == pytest.approx(mean)
    assert merge(values, statistics.stdev) == pytest.approx(std)


def test_seeds_are_averaged():
    errors = (0.02, 0.03), (0.04, 0.03), (0.06, 0.03)
    runs = [run(f"r{seed}", seed, each) for seed, each in enumerate(errors)]
    methods = compare(runs)["methods"]
    (ours,) = methods["mothernets"]
    assert ours["seeds"] == [0, 1, 2]
    assert ours["mean"]["ensemble"]["average"]["error"] == pytest.approx(0.04)
    assert ours["std"]["ensemble"]["average"]["error"] == pytest.approx(0.02)
    assert ours["mean"]["cost"]["share_of_full_data"] == pytest.approx(0.5)
    assert ours["mean"]["anytime"][-1]["seconds"] == pytest.approx(6 * (81.26 + 2.5))
    assert ours["std"]["anytime"][-1]["error"] == pytest.approx(0.02)
    (full_data,) = methods["full_data"]
    assert full_data["std"]["ensemble"]["average"]["error"] == 0


def test_runs_on_other_training_images_are_variants():
    """Their folder's name tells nothing, and settings alone do not tell them apart."""
    splits = [{"training": {"labels": "a", "pixels": p}} for p in ("x", "x", "y", "y")]
    runs = [
        run(f"r{seed}", seed, data__dir=f"/{seed}")._replace(splits=own)
        for seed, own in enumerate(splits)
    ]
    variants = compare(runs)["methods"]["mothernets"]
    assert [variant["seeds"] for variant in variants] == [[0, 1], [2, 3]]
    assert all(variant["name"].startswith("data.images=") for variant in variants)
    # As are runs of which one does not tell its images, or with other settings.
    alike = [*runs[:2], run("old", 2)]
    (variant,) = compare(alike)["methods"]["mothernets"]
    assert variant["seeds"] == [0, 1, 2] and variant["name"] == ""
    other = [runs[0], run("fold", 2, data__fold=1)._replace(splits=splits[2])]
    names = [v["name"] for v in compare(other)["methods"]["mothernets"]]
    assert names == ["data.fold=0", "data.fold=1"]


def test_runs_tested_on_other_images_are_not_compared():
    runs = [
        run("one", 0)._replace(splits={"test": {"labels": "a", "pixels": "x"}}),
        run("two", 1)._replace(splits={"test": {"labels": "a", "pixels": "y"}}),
    ]
    with pytest.raises(ValueError, match="not tested on the same images.*pixels: 'y'"):
        check_comparable(runs)
    check_comparable([runs[0], run("old", 1)])


def test_methods_of_several_runs_of_one_seed_are_put_together():
    found = compare(
        [run("a", methods=("mothernets",)), run("b", methods=("full_data",))]
    )["methods"]
    assert {name: [v["seeds"] for v in own] for name, own in found.items()} == {
        "mothernets": [[0]],
        "full_data": [[0]],
    }
    (ours,) = found["mothernets"]
    assert ours["std"] == {}
    # Both are the first of their run, with 300 T.
    assert ours["mean"]["cost"]["share_of_full_data"] == 1


def test_the_same_seed_twice_is_refused():
    with pytest.raises(ValueError, match="b and a both hold mothernets of seed 0"):
        compare([run("a"), run("b")])


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"seed": 7}, [""]),
        ({"methods": ["fge"]}, [""]),
        ({"data__dir": "/there"}, [""]),
        ({"budget__epochs": 6}, ["budget.epochs=12", "budget.epochs=6"]),
        ({"budget__epochs": None}, ["budget.epochs=12", "budget.epochs=none"]),
        ({"new": {"a": 1}}, ["new.a=none", "new.a=1"]),
        (
            {"architectures": {"V19": "vgg"}},
            ["architectures=V13+V16", "architectures=V19"],
        ),
        (
            {"architectures__V13": "vgg (5:8)"},
            ["architectures=V13+V16", "architectures=V13+V16 (2)"],
        ),
        (
            {"budget__epochs": 6, "data__fold": 1},
            ["data.fold=0, budget.epochs=12", "data.fold=1, budget.epochs=6"],
        ),
    ],
)
def test_variants_are_named_by_what_differs(changed, names):
    found = [variant_settings(each) for each in (SETTINGS, settings(**changed))]
    distinct = found[:1] if found[0] == found[1] else found
    assert variant_names(differing_settings(distinct)) == names


def test_variants_stand_side_by_side():
    runs = [run("a", 0), run("b", 1), run("c", 0, (0.01, 0.05), budget__epochs=6)]
    comparison = compare(runs)
    assert [each["differs"] for each in comparison["runs"]] == (
        ["budget.epochs=12", "budget.epochs=12", "budget.epochs=6"]
    )
    rows = rows_of(comparison)
    assert [(row.short, row.label, row.seeds) for row in rows] == [
        ("MotherNets A", "MotherNets A (budget.epochs=12)", [0, 1]),
        ("MotherNets B", "MotherNets B (budget.epochs=6)", [0]),
        ("Full data A", "Full data A (budget.epochs=12)", [0, 1]),
        ("Full data B", "Full data B (budget.epochs=6)", [0]),
    ]
    assert len({row.look for row in rows}) == 4
    assert len({colour for colour, *_ in (row.look for row in rows)}) == 2


def test_methods_that_were_tuned_apart_have_no_letters():
    runs = [
        run("a", methods=("mothernets",), hatch={"noise": 0.1}, fge={"cycle": 4}),
        run("b", methods=("mothernets",), hatch={"noise": 0.3}, fge={"cycle": 4}),
        run("c", methods=("fge",), hatch={"noise": 0.1}, fge={"cycle": 2}),
    ]
    comparison = compare(runs)
    assert [row.label for row in rows_of(comparison)] == [
        "MotherNets A (hatch.noise=0.1)",
        "MotherNets B (hatch.noise=0.3)",
        "FGE",
    ]
    assert [each["differs"] for each in comparison["runs"]] == [
        "hatch.noise=0.1",
        "hatch.noise=0.3",
        "fge.cycle=2",
    ]


def test_what_a_method_does_not_read_makes_no_variant():
    runs = [
        run("a", 0, (0.02, 0.03), hatch={"noise": 0.1}, num_clusters=1),
        run("b", 0, (0.02, 0.05), hatch={"noise": 0.3}, num_clusters=1),
        run("c", 1, (0.02, 0.04), hatch={"noise": 0.3}, num_clusters=2),
    ]
    rows = rows_of(compare(runs))
    assert [(row.label, row.seeds) for row in rows] == [
        ("MotherNets A (num_clusters=1, hatch.noise=0.1)", [0]),
        ("MotherNets B (num_clusters=1, hatch.noise=0.3)", [0]),
        ("MotherNets C (num_clusters=2, hatch.noise=0.3)", [1]),
        ("Full data", [0, 1]),
    ]
    # Of the two with seed 0 the first counts: (3% + 4%) / 2.
    error = rows[-1].mean["ensemble"]["average"]["error"]
    assert error == pytest.approx(0.035)


def test_the_same_name_has_the_same_letter():
    budgets = [("mothernets", 6), ("mothernets", 12), ("fge", 12), ("fge", 24)]
    rows = rows_of(
        compare(
            [
                run(f"r{number}", methods=(method,), budget__epochs=epochs)
                for number, (method, epochs) in enumerate(budgets)
            ]
        )
    )
    assert [row.short for row in rows] == [
        "MotherNets A",
        "MotherNets B",
        "FGE B",
        "FGE C",
    ]


def test_without_one_full_data_training_there_are_no_shares():
    several = [
        run("a", methods=("mothernets",)),
        run("b", methods=("full_data",)),
        run("c", methods=("full_data",), budget__epochs=24),
    ]
    (ours,) = compare(several)["methods"]["mothernets"]
    assert "share_of_full_data" not in ours["mean"]["cost"]


def test_variants_of_one_method_have_colours():
    each = {"methods": ("mothernets",)}
    rows = rows_of(compare([run("a", **each), run("b", **each, budget__epochs=6)]))
    assert len({row.look[0] for row in rows}) == 2


def finding(label, error, std, seeds, flops=1e15):
    mean, spread = ({"ensemble": {"average": {"error": e}}} for e in (error, std))
    mean["cost"] = {"train_flops": flops}
    return Finding(label, ("m", label), mean, spread if seeds > 1 else {}, seeds)


def test_the_best_is_not_praised_without_its_price():
    """Against the best of those that cost less, and only where one does."""
    rows = [finding("A", 0.02, 0, 1, 3e15), finding("B", 0.05, 0, 1)]
    told = comparison_headline(rows, {}, ())
    assert told.endswith("2.0%, with 3.0 times the training FLOPs of B (5.0%).")
    rows = [*rows, finding("C", 0.03, 0, 1, 2e15), finding("D", 0.025, 0, 1, 2.95e15)]
    told = comparison_headline(rows, {}, ())
    assert told.endswith("2.0%, with 1.5 times the training FLOPs of C (3.0%).")
    told = comparison_headline(
        [finding("A", 0.02, 0, 1), finding("B", 0.05, 0, 1, 9e15)], {}, ()
    )
    assert told.endswith("2.0%.")
    tied = [finding("A", 0.02, 0, 1, 9e15), finding("B", 0.02, 0, 1)]
    assert comparison_headline(tied, {}, ()).endswith(
        "B makes the fewest errors: 2.0%."
    )


@pytest.mark.parametrize(
    ("rows", "headline", "remark"),
    [
        ([("A", 0.02, 0, 1)], "A makes 2.0% errors.", ""),
        (
            [("A", 0.03, 0.01, 4), ("B", 0.02, 0.01, 4)],
            "Of 2 ensembles, B makes the fewest errors: 2.0%, on average over 4 seeds.",
            # 2 x sqrt(0.01^2 / 4 + 0.01^2 / 4) = 1.41%
            (
                "Next is A, with 3.0%: the difference is no more than two of its "
                "standard errors over seeds."
            ),
        ),
        (
            [("A", 0.035, 0.01, 4), ("B", 0.02, 0.01, 4)],
            "Of 2 ensembles, B makes the fewest errors: 2.0%, on average over 4 seeds.",
            (
                "Next is A, with 3.5%: the difference is more than two of its "
                "standard errors over seeds."
            ),
        ),
        (
            [("A", 0.035, 0.01, 4), ("B", 0.02, 0.0, 1)],
            "Of 2 ensembles, B makes the fewest errors: 2.0%.",
            (
                "Next is A, with 3.5%. With one seed, nothing tells how much of that "
                "is chance."
            ),
        ),
    ],
)
def test_what_a_comparison_finds(rows, headline, remark):
    findings = [finding(*row) for row in rows]
    assert comparison_headline(findings, {}, ()) == headline
    assert " ".join(comparison_remarks(findings, ())) == remark


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (
            -0.0061,
            0.0055,
            (
                "do not tell which of the two is better (the 95% interval, paired over "
                "the images, is −0.55 to +0.61 points)."
            ),
        ),
        (
            0.001,
            0.02,
            (
                "tell the two apart (the 95% interval, paired over the images, is "
                "−2.00 to −0.10 points), though other seeds may differ."
            ),
        ),
    ],
)
def test_single_runs_are_told_apart_by_their_test_images(low, high, told):
    rows = [finding("A", 0.03, 0, 1), finding("B", 0.02, 0, 1)]
    error = {"difference": 0.01, "low": low, "high": high}
    paired = [{"first": ["m", "A"], "second": ["m", "B"], "error": error}]
    next_is = "Next is A, with 3.0%: the test images"
    assert list(comparison_remarks(rows, paired)) == [f"{next_is} {told}"]
    headline = comparison_headline(rows, {}, paired)
    assert headline == (
        "Of 2 ensembles, B makes the fewest errors: 2.0%."
        if told.startswith("tell")
        else "Of 2 ensembles, no one is surely the best: B makes 2.0% errors, A 3.0%."
    )


def test_the_page_and_its_figures(tmp_path, capsys):
    made = [
        run("a", 0, (0.02, 0.03)),
        run("b", 1, (0.04, 0.03)),
        run("c", 0, (0.01, 0.05), budget__epochs=6),
    ]
    folders = [save(each, tmp_path / each.folder) for each in made]
    assert main(folders) == 0
    path = tmp_path / "comparison.html"
    assert capsys.readouterr().out == f"report: {path}\n"
    page = Page(path.read_text(encoding="utf-8"))
    rows = page.tables[0][1:]
    assert [row["seeds"] for row in rows] == ["2", "1", "2", "1"]
    # The mean and the sample's standard deviation of 2% and 4%; equal errors; one seed.
    errors = [row["average error"] for row in rows]
    assert errors == ["3.00%\n± 1.41%", "1.00%", "3.00%\n± 0.00%", "5.00%"]
    assert rows[0]["train FLOPs"] == "300 T"
    assert {address[:5] for address in page.addresses} == {"data:"}
    assert len(page.svgs()) == 4
    figures = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    ours = figures["methods"]["mothernets"][0]
    assert ours["mean"]["ensemble"]["average"]["error"] == pytest.approx(0.03)
    assert page.tables[-1][1]["settings"] == "budget.epochs=12"

    out = tmp_path / "elsewhere" / "page.html"
    assert main([*folders[:2], f"--out={out}"]) == 0
    rows = Page(out.read_text(encoding="utf-8")).tables[0][1:]
    assert [row[""] for row in rows] == ["MotherNets", "Full data"]
    assert out.with_suffix(".json").exists()


def tried(*errors, **overrides):
    return {"overrides": overrides, "validation_errors": list(errors)}


def test_trials_are_listed(tmp_path):
    folders = [save(run(name, n), tmp_path / name) for n, name in enumerate("ab")]
    trials = {
        "mothernets": [tried(0.25, noise=0.5), tried(0.125)],
        "full_data": [tried(0.5, rate=0.1)],
    }
    file = tmp_path / "frontier.json"
    file.write_text(json.dumps({"trials": trials, "runs": []}), encoding="utf-8")
    assert main([*folders, f"--trials={file}"]) == 0
    page = Page((tmp_path / "comparison.html").read_text(encoding="utf-8"))
    assert page.tables[-2][1:] == [
        {"": name, "settings": what, "validation error": error}
        for name, what, error in (
            ("MotherNets", "noise=0.5", "25.00%"),
            ("MotherNets", "the config’s", "12.50%, the best"),
            ("Full data", "rate=0.1", "50.00%"),
        )
    ]
    assert "not tried equally often: MotherNets 2, Full data 1." in page.text
    figures = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert figures["trials"] == trials


def test_trials_of_several_folds():
    rows = trial_rows({"fge": [tried(0.1, 0.3, 0.2), tried(0.2, 0.1, 0.1)]})
    # The mean and the sample's standard deviation.
    assert [row["validation error"] for row in rows] == [
        "20.00% ± 10.00%, the best in 1 of 3 tunings",
        "13.33% ± 5.77%, the best in 2 of 3 tunings",
    ]
    assert trial_counts({"fge": [1, 2], "bagging": [3, 4]}) == (
        "Trials of each method: 2."
    )


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"trials": {}}',
        "[" * 100_000,
        '{"trials": {"fge": []}}',
        '{"trials": {"fge": [{"overrides": {}, "validation_errors": [NaN]}]}}',
        '{"trials": {"fge": [{"overrides": {}, "validation_errors": [true]}]}}',
        '{"trials": {"fge": [{"overrides": {}, "validation_errors": [50]}]}}',
        json.dumps({"trials": {"fge": [tried(0.1), tried(0.1, 0.2)]}}),
        '{"trials": {"fge": [{"overrides": {}}]}}',
        '{"trials": {"fge": [{"overrides": {}, "validation_errors": []}]}}',
        '{"trials": {"fge": [{"overrides": {}, "validation_errors": ["0.1"]}]}}',
        '{"trials": {"fge": [{"overrides": 3, "validation_errors": [0.1]}]}}',
    ],
)
def test_other_files_hold_no_trials(tmp_path, content):
    file = tmp_path / "file.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"file.json .*: expected what `python"):
        read_trials(file)


def test_one_run_gets_its_own_page(tmp_path):
    folder = save(run("a"), tmp_path / "a")
    assert main([folder]) == 0
    assert "fewer than full-data" in (tmp_path / "a/report.html").read_text("utf-8")


def test_what_cannot_be_compared_is_said(tmp_path, capsys):
    made = save(run("a"), tmp_path / "a")
    same = save(run("b"), tmp_path / "b")
    other_seed = save(run("g", 1), tmp_path / "g")
    fold = save(run("c", data__fold=1), tmp_path / "c")
    unfinished, damaged, other = (tmp_path / name for name in ("d", "e", "f"))
    save(run("d"), unfinished)
    (unfinished / "results.json").unlink()
    save(run("e"), damaged)
    (damaged / "results.json").write_text("{")
    save(run("f"), other)
    (other / "results.json").write_text("[]")
    for arguments, message in (
        (
            [str(tmp_path / "none")],
            "none is no folder: expected that of a finished run",
        ),
        ([str(unfinished)], "d holds no results.json: expected the folder of a"),
        ([made, str(damaged)], "results.json is damaged ("),
        ([str(other)], "results.json is not what a run writes"),
        ([made, fold], "not tested on the same images (fold: 1 and 0)"),
        ([made, same], "both hold mothernets of seed 0 with the same settings"),
        ([made, same, "--out=page"], "--out=page: expected a file that ends in .html"),
        ([made, "--out=page.html"], "--out is for a comparison"),
        ([made, "--trials=trials.json"], "--trials is for a comparison"),
        ([made, other_seed, "--trials=none.json"], "none.json"),
    ):
        assert main(arguments) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("error: ")
        assert message in printed.err
        assert printed.err.count("\n") == 1
        assert printed.out == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "cifar10"}, "data set: 'cifar10' and 'digits'"),
        ({"test_examples": 5}, "test images: 5 and 1797"),
        ({"input_shape": [32, 32, 3]}, r"their size: \[32, 32, 3\] and \[8, 8, 1\]"),
        ({"class_names": ["a"]}, "classes: "),
        ({"class_counts": {"test": [1]}}, r"images of each class: \[1\] and \[2\]"),
    ],
)
def test_other_test_sets_are_refused(change, words):
    one, other = run("a"), run("b", 1)
    check_comparable([one, other])
    one.results["data"]["class_counts"] = {"test": [2]}
    check_comparable([one, other])  # an older version did not count
    other.results["data"].update(change)
    with pytest.raises(ValueError, match=f"b and a were not tested on .*{words}"):
        check_comparable([one, other])
