"""Pages say how many networks ensembles are worth, and how sure differences are."""

import copy
from pathlib import Path

import numpy as np
import pytest
from fake_runs import Page, add_predictions, fake_results
from scipy import stats
from test_compare import save, settings

from mothernets_jax.ensembles.image_scores import ImageScores, write_scores
from mothernets_jax.report import run_page
from mothernets_jax.report.__main__ import main
from mothernets_jax.report.certainty import paired_lines
from mothernets_jax.report.compare import compare
from mothernets_jax.report.comparison_page import rows_of
from mothernets_jax.report.findings import remarks
from mothernets_jax.report.finished_runs import Run

ROWS = ("mothernets", "full_data", "fge")
CURVE = {"nll": [0.5, 0.4, 0.35], "deviation": [0.05, 0.02, 0.0], "subsets": [3, 3, 1]}
OUTSIDE = {"below": 0.6, "above": 0.3}


def interval(difference, low, high):
    return {"difference": difference, "low": low, "high": high}


def measured(nlls, methods=ROWS, errors=(0.02, 0.03, 0.05)):
    """Results with calibrated NLLs and, where there is full data, its curve."""
    flops = (3e14, 6e14, 3e14)[: len(methods)]
    results = add_predictions(fake_results(methods, errors, flops, replicas=1))
    for method, nll in zip(results["methods"].values(), nlls, strict=True):
        method["deep_ensemble_equivalent"] = {"nll": nll, "temperature": "the cloth"}
    if "full_data" in methods:
        results["methods"]["full_data"]["deep_ensembles"] = copy.deepcopy(CURVE)
    return results


def paired(results):
    """The results with intervals, chosen by hand."""
    results["paired"] = [
        {
            "first": first,
            "second": second,
            "error": interval(*error),
            "nll": interval(-0.0123, -0.0206, -0.0047),
        }
        for first, second, error in (
            ("mothernets", "full_data", (-0.01, -0.0181, 0.0003)),
            ("fge", "mothernets", (0.03, 0.0201, 0.0399)),
            ("full_data", "fge", (-0.02, -0.03, -0.01)),
        )
    ]
    return results


def test_differences_are_on_the_page_whichever_way_they_were_taken():
    results = paired(measured((0.4, 0.35, 0.5)))
    page = Page(run_page._page(results, {}, Path("run")))
    table = next(t for t in page.tables if "error, points" in t[1])
    assert table[1:] == [
        {
            "": "MotherNets − Full data",
            "error, points": "−1.00 [−1.81, +0.03]",
            "NLL": "−0.012 [−0.021, −0.005]",
        },
        {
            "": "MotherNets − FGE",
            "error, points": "−3.00 [−3.99, −2.01]",
            "NLL": "+0.012 [+0.005, +0.021]",
        },
    ]
    assert "All other pairs are in results.json." in page.text
    assert paired_lines(results) == [
        "MotherNets − Full data: −1.00 [−1.81, +0.03] points",
        "MotherNets − FGE: −3.00 [−3.99, −2.01] points",
    ]
    remark = next(iter(remarks(results)))
    assert remark == (
        "Of 1,797 test images MotherNets get 36 wrong, full data 54: too close to say "
        "which is better "
        "(the 95% interval, paired over the images, is −1.81 to +0.03 points)."
    )
    results["paired"][0]["error"]["high"] = -0.0003
    assert "full data 54 (the 95%" in next(iter(remarks(results)))


def test_without_mothernets_the_best_is_the_base():
    results = paired(measured((0.4, 0.35, 0.5)))
    del results["methods"]["mothernets"]
    results["paired"] = results["paired"][2:]
    assert paired_lines(results) == ["Full data − FGE: −2.00 [−3.00, −1.00] points"]
    (remark,) = remarks(results)
    assert remark == (
        "Next is FGE, with 5.0%: the test images tell the two apart (the 95% interval, "
        "paired over the images, is −3.00 to −1.00 points), though other seeds may "
        "differ."
    )


def test_a_run_of_an_earlier_version_has_neither_section():
    page = Page(run_page._page(fake_results(), {}, Path("run")))
    assert "How sure" not in page.text and "they are worth" not in page.text
    assert paired_lines(fake_results()) == []


def run(folder, seed, nlls, *, methods=ROWS, errors=(0.02, 0.03, 0.05), **how):
    return Run(folder, settings(seed=seed, **how), measured(nlls, methods, errors))


def networks(comparison):
    return {
        row.short: row.mean["deep_ensemble_equivalent"].get("networks", {}).get("value")
        for row in rows_of(comparison)
    }


def test_equivalents_are_those_of_the_mean_over_seeds():
    runs = [run("a", 0, (0.44, 0.35, 0.6)), run("b", 1, (0.42, 0.35, 0.5))]
    runs[1].results["methods"]["full_data"]["deep_ensembles"]["nll"] = [0.5, 0.42, 0.33]
    found = networks(compare(runs))
    # Means: 0.43 between 0.5 of one and 0.41 of two; 0.55 is worse than one.
    assert found["MotherNets"] == pytest.approx(1 + 0.07 / 0.09)
    assert found["FGE"] == "below 1"
    assert found["Full data"] == pytest.approx(2 + 0.06 / 0.07)


def test_other_runs_lend_their_networks_only_for_the_same_seed_and_data():
    alone = {"methods": ("fge",), "errors": (0.05,)}
    reference = run("full", 0, (0.35,), methods=("full_data",), errors=(0.03,))
    same, seed, data = (
        run("one", 0, (0.4,), **alone),
        run("two", 1, (0.4,), **alone),
        run("three", 0, (0.4,), **alone, data__train_examples=9),
    )
    assert networks(compare([reference, same]))["FGE"] == pytest.approx(2)
    assert networks(compare([reference, seed]))["FGE"] is None
    assert networks(compare([reference, data]))["FGE"] is None
    # Some seeds without a reference, and full data trained in two ways.
    assert networks(compare([reference, same, seed]))["FGE"] is None
    other = run(
        "more", 0, (0.3,), methods=("full_data",), errors=(0.03,), budget__epochs=24
    )
    assert networks(compare([reference, other, same]))["FGE"] is None


def test_the_comparison_shows_both(tmp_path):
    nlls = (0.4, OUTSIDE["above"], OUTSIDE["below"])
    made = [run(name, seed, nlls) for seed, name in enumerate("ab")]
    folders = [save(each, tmp_path / each.folder) for each in made]
    generator = np.random.default_rng(0)
    scores = {}
    for folder in "ab":
        for method, error in zip(ROWS, (0.02, 0.03, 0.05), strict=True):
            wrong = generator.random(1797) < error
            own = ImageScores(wrong, generator.gamma(0.3, size=1797))
            write_scores(tmp_path / folder, method, own)
            scores[folder, method] = own
    assert main(folders) == 0
    page = Page((tmp_path / "comparison.html").read_text(encoding="utf-8"))
    worth = next(t for t in page.tables if "independent networks" in t[1])
    assert [row["independent networks"] for row in worth[1:]] == [
        "2.0\n1.7 to 2.3",  # (0.45 - 0.4) / (0.45 - 0.38); 2 + 0.02 / 0.07
        "more than 3",
        "below 1",
    ]
    assert "beyond full data’s 3 networks" in page.text
    (table,) = [t for t in page.tables if "seeds" in t[1] and "error, points" in t[1]]
    assert [row[""] for row in table[1:]] == [
        "MotherNets − Full data",
        "MotherNets − FGE",
    ]
    wrong, nll = (
        [
            np.mean([getattr(scores[f, m], name).astype(float) for f in "ab"], axis=0)
            for m in ("mothernets", "fge")
        ]
        for name in ("wrong", "nll")
    )
    low, high = 100 * np.array(stats.ttest_rel(*wrong).confidence_interval(0.95))
    shown = table[2]["error, points"].replace("−", "-")
    # The errors are those of results.json, equal in both seeds.
    assert shown == f"-3.00 [{low:+.2f}, {high:+.2f}]\n± 0.00"
    assert table[2]["seeds"] == "2"
    low, high = stats.ttest_rel(*nll).confidence_interval(0.95)
    assert (
        table[2]["NLL"]
        .replace("−", "-")
        .startswith(f"+0.000 [{low:+.3f}, {high:+.3f}]")
    )
