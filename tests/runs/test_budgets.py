"""A budget of time becomes epochs once, and as many as fit."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
from faults import smallest

from mothernets_jax.methods import hatched_recipes
from mothernets_jax.methods.budget import budget_flops
from mothernets_jax.runs import budgets
from mothernets_jax.runs.budgets import plan_budget
from mothernets_jax.runs.load_task import load_task
from mothernets_jax.runs.measure import Measurement
from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.stages.timing import StageTiming

STEP = 0.25  # seconds, of every program


def settings_of(limit, **prices):
    settings = smallest.settings_of(
        **{"budget.limit": limit, "budget.epochs": None, "methods": ("mothernets",)}
    )
    return dataclasses.replace(settings, prices=prices or {"cpu": 1.0})


@pytest.fixture(scope="module")
def task():
    return load_task(settings_of("1 h"))


@pytest.fixture
def measured(monkeypatch):
    """The settings that were measured, by a clock that has a fixed second."""
    found = []

    def measure(settings, task, *, store, memory, seconds):
        found.append(settings)
        memory.remember("a device", {"strategy": "loop"})
        stages = method_plans(task, settings)["mothernets"].stages
        timing = StageTiming("loop", STEP, 0.0, 0.0, None)
        return Measurement(0.0, {stage.name: timing for stage in stages}, None)

    monkeypatch.setattr(budgets, "measure", measure)
    monkeypatch.setattr(budgets, "time", SimpleNamespace(perf_counter=lambda: 7.0))
    return found


def plan(settings, task, workdir):
    return plan_budget(settings, task, workdir, None, started=2.0)


def seconds_of(settings, task):
    """By hand: 5 s are gone; then 0.25 s a step of the group, and what stages add."""
    stages = method_plans(task, settings)["mothernets"].stages
    steps = 256 // 32
    epochs = sum(stage.recipe.epochs for stage in stages)
    trained = epochs * (steps * STEP + 0.002)
    return 5.0 + trained + 0.5 * len(stages) + 4.0


@pytest.mark.parametrize("limit", ["60 s", "10min", "1 h", "$0.5"])
def test_as_many_epochs_as_fit(task, measured, tmp_path, limit):
    seconds = {"60 s": 60.0, "10min": 600.0, "1 h": 3600.0, "$0.5": 1800.0}[limit]
    found = plan(settings_of(limit), task, tmp_path)
    taken = seconds_of(found.settings, task)
    assert found.record["expected_seconds"] == pytest.approx(taken)
    epochs = found.settings.budget.epochs
    assert found.record == {
        "limit": limit,
        "epochs": epochs,
        "expected_seconds": found.record["expected_seconds"],
    }
    assert taken <= seconds
    more = dataclasses.replace(found.settings.budget, epochs=epochs * 1.01 + 4)
    assert seconds_of(dataclasses.replace(found.settings, budget=more), task) > seconds


def test_what_was_found_is_kept_and_not_timed_again(task, measured, tmp_path):
    settings = settings_of("10min")
    found = plan(settings, task, tmp_path)
    assert not list(tmp_path.iterdir())  # a refusal leaves nothing
    found.keep(tmp_path)
    assert json.loads((tmp_path / "strategies.json").read_text())
    again = plan(settings, task, tmp_path)
    assert len(measured) == 1
    assert again.settings == found.settings and again.record is None
    again.keep(tmp_path)
    record = tmp_path / "budget.json"
    for content in ("{", "[]", '{"limit": "10min", "epochs": 3.0}', '{"limit": 1}'):
        record.write_text(content)
        with pytest.raises(ValueError, match=r"budget\.json is damaged, which says"):
            plan(settings, task, tmp_path)
    record.write_text(json.dumps({**found.record, "epochs": float("1e300")}))
    with pytest.raises(ValueError, match="restore it, or begin the run in another"):
        plan(settings, task, tmp_path)


def test_epochs_and_flops_need_no_clock(task, measured, tmp_path):
    forty = plan(settings_of("40 epochs"), task, tmp_path)
    assert forty.settings.budget.epochs == 40.0
    given = plan(settings_of("1e9 flops"), task, tmp_path).settings
    assert budget_flops(task, given, given.members) == pytest.approx(1e9)
    without = dataclasses.replace(given.budget, limit="", epochs=None)
    none = dataclasses.replace(given, budget=without)
    assert plan(none, task, tmp_path) == (none, None, {})
    assert not measured


def test_what_no_run_can_be_made_of_is_refused(task, measured, tmp_path):
    with pytest.raises(
        ValueError, match=r"'8 s', of which 5 s are gone .*the smallest"
    ):
        plan(settings_of("8 s"), task, tmp_path)
    with pytest.raises(ValueError, match=r"no price is known of 'cpu': set config"):
        plan(settings_of("$2", H100=3.0), task, tmp_path)


def test_clusters_are_looked_for_once(task, measured, tmp_path, monkeypatch):
    """However many numbers of epochs are tried: of many networks it takes seconds."""
    looked, look = [], hatched_recipes.cluster

    def count(*given, **options):
        looked.append(given)
        return look(*given, **options)

    monkeypatch.setattr(hatched_recipes, "cluster", count)
    hatched_recipes._clusters_of.cache_clear()
    plan(settings_of("10min"), task, tmp_path)
    assert len(looked) == 1
