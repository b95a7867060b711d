"""Stages side by side: what becomes of the others when one fails."""

import threading
import time
import types

import pytest

from mothernets_jax import execution
from mothernets_jax.interruption import InterruptedRunError, Interruption


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
