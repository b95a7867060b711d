"""A run whose MotherNet was trained before it."""

import dataclasses
from io import StringIO

import numpy as np
import pytest
from faults.smallest import run, settings_of
from rich.console import Console

import mothernets_jax as mn
from mothernets_jax.report.compare import compare
from mothernets_jax.report.findings import comparison_warnings
from mothernets_jax.report.finished_runs import read_run
from mothernets_jax.runs.outline import show_outline

EPOCHS = {"hatch.epochs": 1, "hatch.noise": 0.0, "hatch.learning_rate": 0.0}
OPTIONS = EPOCHS | {"budget.epochs": None}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two members, and one of larger ones that begins from its ensemble."""
    folder = tmp_path_factory.mktemp("begun")
    run(folder / "first", settings_of(**OPTIONS), report=False)
    settings = settings_of(
        **OPTIONS,
        **{
            "mother.init": str(folder / "first"),
            "architectures": {"C": "mlp 9", "D": "mlp 12"},
        },
    )
    return folder, settings, run(folder / "second", settings)


def test_members_compute_at_first_what_the_saved_network_computes(finished):
    """At a rate of 0 they stay so; the network is B, the larger of the two."""
    folder, _, _ = finished
    first, second = (mn.Ensemble.load(folder / name) for name in ("first", "second"))
    assert list(first.members) == ["A", "B"]
    np.testing.assert_array_equal(second.mean, first.mean)
    np.testing.assert_array_equal(second.std, first.std)
    shape = (20, *first.input_shape)
    images = np.random.default_rng(0).integers(0, 17, shape, np.uint8)
    _, expected = first.member_logits(images)
    for found in second.member_logits(images):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_its_cost_is_not_counted_and_the_results_and_the_page_say_so(finished):
    folder, settings, results = finished
    assert any("not counted" in note for note in results["data"]["notes"])
    page = (folder / "second" / "report.html").read_text(encoding="utf-8")
    assert "own training is not counted" in page
    entry = results["methods"]["mothernets"]
    stages = {stage["name"]: stage for stage in entry["stages"]}
    assert stages["mothernets-mothernet_1"]["train_flops"] == 0
    hatched = sum(s["train_flops"] for s in stages.values())
    assert entry["cost"]["train_flops"] == hatched > 0
    assert run(folder / "second", settings, report=False) == results


def test_a_plan_without_jax_says_so_and_what_becomes_of_the_head(finished):
    _, settings, _ = finished
    hatch = dataclasses.replace(settings.hatch, bags=False)
    shown = StringIO()
    console = Console(file=shown, width=1000)
    assert show_outline(dataclasses.replace(settings, hatch=hatch), console)
    text = shown.getvalue()
    assert "own training is not counted" in text
    assert "head is kept, as its classes have the same names, which are numbers" in text


def test_comparisons_mark_it(finished):
    folder, _, _ = finished
    runs = [read_run(folder / name) for name in ("first", "second")]
    found = compare(runs)
    assert [own.get("begun", False) for own in found["runs"]] == [False, True]
    (warning,) = comparison_warnings(found["runs"])
    assert warning.startswith(str(folder / "second"))
    assert "trained before the run, at a cost that is not counted" in warning
