"""Differences of runs, paired by seed."""

import numpy as np
import pytest

from mothernets_jax.ensembles.image_scores import ImageScores
from mothernets_jax.report.finished_runs import Run
from mothernets_jax.report.paired_runs import paired_runs


def run(method, error, wrong=None, nll=0.5):
    figures = {"error": error} if nll is None else {"error": error, "nll": nll}
    scores = {}
    if wrong is not None:
        wrong = np.array(wrong, bool)
        scores = {method: ImageScores(wrong, 1.0 * wrong)}
    entry = {"ensemble": {"average": figures}}
    return Run("folder", {}, {"methods": {method: entry}}, scores=scores)


def test_only_seeds_that_both_have_are_paired():
    trained = {
        ("a", ""): {0: run("a", 0.10), 1: run("a", 0.20), 2: run("a", 0.90)},
        ("b", "x=1"): {1: run("b", 0.26), 0: run("b", 0.12), 5: run("b", 0.0)},
        ("b", "x=2"): {7: run("b", 0.3)},
    }
    (pair,) = paired_runs(trained)
    assert (pair["first"], pair["second"]) == (["a", ""], ["b", "x=1"])
    assert pair["seeds"] == [0, 1]
    # -2 and -6 points: -4, with a standard deviation of sqrt(8).
    assert pair["error"] == pytest.approx({"difference": -0.04, "std": 0.08**0.5 / 10})
    assert pair["nll"] == {"difference": 0.0, "std": 0.0}


def test_one_seed_has_no_spread_and_an_older_run_no_nll():
    (pair,) = paired_runs(
        {("a", ""): {3: run("a", 0.25)}, ("b", ""): {3: run("b", 0.2)}}
    )
    assert pair["error"] == {"difference": pytest.approx(0.05)}
    old = {("a", ""): {3: run("a", 0.25, nll=None)}, ("b", ""): {3: run("b", 0.2)}}
    assert "nll" not in paired_runs(old)[0]


def test_intervals_need_every_image_of_every_seed():
    ours = {0: run("a", 0.5, [1, 1, 0, 0]), 1: run("a", 0.25, [1, 0, 0, 0])}
    theirs = {0: run("b", 0.0, [0, 0, 0, 0]), 1: run("b", 0.25, [1, 0, 0, 0])}
    (pair,) = paired_runs({("a", ""): ours, ("b", ""): theirs})
    # Means over seeds: 1, 1/2, 0, 0 less 1/2, 0, 0, 0; t(3) at 97.5% is 3.18245.
    half = 3.18245 * np.std([0.5, 0.5, 0, 0], ddof=1) / 2
    assert pair["error"]["difference"] == 0.25
    ends = pair["error"]["low"], pair["error"]["high"]
    assert ends == pytest.approx((0.25 - half, 0.25 + half), abs=1e-5)
    # One seed: Bonett and Price, of 2 + 1 and 0 + 1 of 4 + 2.
    (pair,) = paired_runs({("a", ""): {0: ours[0]}, ("b", ""): {0: theirs[0]}})
    half = 1.959964 * np.sqrt((4 / 6 - (2 / 6) ** 2) / 6)
    ends = pair["error"]["low"], pair["error"]["high"]
    assert ends == pytest.approx((2 / 6 - half, 2 / 6 + half), abs=1e-6)
    for other in (run("b", 0.25), run("b", 0.25, [1, 0, 0])):
        theirs[1] = other
        (pair,) = paired_runs({("a", ""): ours, ("b", ""): theirs})
        assert pair["error"].keys() == {"difference", "std"}
