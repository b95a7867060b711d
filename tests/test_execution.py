"""Stages side by side: what becomes of the others when one fails."""

import threading
import time
import types

import pytest

from mothernets_jax import execution
from mothernets_jax.interruption import InterruptedRunError, Interruption
from mothernets_jax.stage_run import StageResult


def test_where_one_stage_fails_the_others_save_and_stop(monkeypatch):
    interruption, began, ended = Interruption(), [], []
    both = threading.Barrier(2, timeout=30)

    def run(stage, task, trained, how):
        how.interruption.check()
        began.append(stage.name)
        both.wait()
        if stage.name == "fails":
            raise OSError("the disk is full")
        deadline = time.monotonic() + 30  # hours, if nobody told it to stop
        while not how.interruption.requested() and time.monotonic() < deadline:
            time.sleep(0.01)
        ended.append(stage.name)
        how.interruption.check()

    monkeypatch.setattr(execution, "_run_or_restore", run)
    monkeypatch.setattr(execution, "planned_flops", lambda stage, task: stage.flops)
    stages = [
        types.SimpleNamespace(name=name, flops=flops)
        for name, flops in (("later", 1), ("long", 3), ("fails", 2))
    ]
    task = types.SimpleNamespace(
        devices=("one", "two"),
        _replace=lambda devices: types.SimpleNamespace(devices=devices),
    )
    how = types.SimpleNamespace(interruption=interruption)
    with pytest.raises(OSError, match="the disk is full"):
        execution._side_by_side(stages, task, {}, how)  # type: ignore[arg-type]
    assert sorted(began) == ["fails", "long"]
    assert ended == ["long"]
    with pytest.raises(InterruptedRunError):
        interruption.check()


def test_who_goes_on_where_a_network_failed_is_told_of_that_one(monkeypatch):
    """However far back in the chain; nobody waits for ever, and work is written off."""
    needs = {"a": (), "b": ("a",), "c": ("b",), "d": ("c",), "x": (), "y": ("x", "b")}
    stages = [
        types.SimpleNamespace(name=name, members=(name,), needs=own, flops=1)
        for name, own in needs.items()
    ]
    ran, skipped = [], []

    def run(stage, task, trained, how):
        del task, how
        assert set(stage.needs) <= trained.keys()
        ran.append(stage.name)
        failed = stage.name == "b"
        states = {} if failed else {stage.name: "state"}
        return StageResult(states, {"left_out": {"b": "why"} if failed else {}})

    monkeypatch.setattr(execution, "_run_or_restore", run)
    monkeypatch.setattr(execution, "read_records", lambda workdir, stages: {})
    monkeypatch.setattr(execution, "prepare_stage", lambda *args: None)
    monkeypatch.setattr(execution, "planned_flops", lambda stage, task: stage.flops)
    how = types.SimpleNamespace(
        workdir=None,
        strategy="loop",
        store=None,
        progress=types.SimpleNamespace(skip=skipped.append),
    )
    task = types.SimpleNamespace(devices=("one",))
    trained = execution.run_stages(stages, task, how)  # type: ignore[arg-type]
    assert ran == ["a", "x", "b"]
    assert trained.states.keys() == {"a", "x"}
    needed = dict.fromkeys("cyd", "it needs b, which was left out: why")
    assert trained.left_out == {"b": "why", **needed}
    assert sum(skipped) == 3


def test_what_a_finished_stage_could_not_train_is_compiled_for_nobody(monkeypatch):
    stages = [
        types.SimpleNamespace(name=name, members=(name,), needs=own, flops=1)
        for name, own in {"a": (), "b": ("a",), "c": ()}.items()
    ]
    records = {"a": {"left_out": {"a": "why"}}}
    prepared = []
    monkeypatch.setattr(
        execution,
        "_run_or_restore",
        lambda stage, *args: StageResult({}, records.get(stage.name, {"left_out": {}})),
    )
    monkeypatch.setattr(execution, "read_records", lambda workdir, stages: records)
    monkeypatch.setattr(
        execution, "prepare_stage", lambda stage, *args: prepared.append(stage.name)
    )
    monkeypatch.setattr(execution, "planned_flops", lambda stage, task: stage.flops)
    how = types.SimpleNamespace(
        workdir=None,
        strategy="loop",
        store=None,
        progress=types.SimpleNamespace(skip=lambda flops: None),
    )
    task = types.SimpleNamespace(devices=("one",))
    execution.run_stages(stages, task, how)  # type: ignore[arg-type]
    assert prepared == ["c"]
