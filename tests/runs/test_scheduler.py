"""Stages side by side: when each starts, and what becomes of others when one fails."""

import threading
import time
import types

import pytest

from mothernets_jax.runs import scheduler
from mothernets_jax.runtime.interruption import InterruptedRunError, Interruption
from mothernets_jax.stages.run_stage import StageResult


def make_stages(needs, flops=None):
    """Stages of one member each, named after it, by what each needs."""
    return [
        types.SimpleNamespace(
            name=name, members=(name,), needs=own, flops=(flops or {}).get(name, 1)
        )
        for name, own in needs.items()
    ]


def make_task(*devices):
    task = types.SimpleNamespace(devices=devices)
    task._replace = lambda devices: types.SimpleNamespace(devices=devices)
    return task


def trained_result(stage):
    return StageResult(dict.fromkeys(stage.members, "state"), {"left_out": {}})


@pytest.fixture
def context(tmp_path):
    return types.SimpleNamespace(
        workdir=tmp_path,
        placement="flops",
        guard=lambda path: None,
        strategy="loop",
        store=None,
        interruption=Interruption(),
        skipped=(skipped := []),
        progress=types.SimpleNamespace(skip=skipped.append),
    )


@pytest.fixture
def replaced(monkeypatch):
    """A function that puts another in the place of running a stage."""

    def replace(run, records=None, prepare=lambda *args: None):
        monkeypatch.setattr(scheduler, "run_or_restore", run)
        monkeypatch.setattr(scheduler, "read_records", lambda *args: records or {})
        monkeypatch.setattr(scheduler, "prepare_stage", prepare)
        monkeypatch.setattr(scheduler, "planned_flops", lambda stage, task: stage.flops)

    return replace


def test_members_start_while_another_cluster_s_mothernet_trains(replaced, context):
    """Two clusters on two devices; the second MotherNet ends long after the first."""
    needs = {"m1": (), "m2": (), "a": ("m1",), "b": ("m2",)}
    flops = {"m1": 1, "m2": 5, "a": 2, "b": 1}
    a_began = threading.Event()
    devices, order = {}, []

    def run(stage, task, trained, context):
        assert set(stage.needs) <= trained.keys()
        order.append(stage.name)
        devices[stage.name] = task.devices
        if stage.name == "a":
            a_began.set()
        if stage.name == "m2":  # in waves this would wait for ever
            assert a_began.wait(30)
        return trained_result(stage)

    replaced(run)
    trained = scheduler.run_stages(
        make_stages(needs, flops),
        make_task("one", "two"),
        context,
    )
    assert trained.states.keys() == needs.keys()
    assert order.index("a") < order.index("b")
    assert devices["m1"] != devices["m2"] and devices["a"] == devices["m1"]
    assert len(devices["b"]) == 2  # nothing else is left


def test_few_stages_have_several_devices_each_and_always_as_many(replaced, context):
    needs = {"m1": (), "m2": (), "a": ("m1",), "b": ("m2",), "c": ("m2",)}
    flops = {"m1": 4, "m2": 1, "a": 2, "b": 3, "c": 2}
    for pause in (0.0, 0.05):  # however long each takes
        counts = {}

        def run(stage, task, trained, context, counts=counts, pause=pause):
            counts[stage.name] = len(task.devices)
            time.sleep(pause * stage.flops)
            return trained_result(stage)

        replaced(run)
        task = make_task(*"abcdefgh")
        scheduler.run_stages(make_stages(needs, flops), task, context)
        # Four each for two MotherNets, four that are free for two members, the rest.
        assert counts == {"m1": 4, "m2": 4, "b": 2, "c": 2, "a": 4}


def test_where_one_stage_fails_the_others_save_and_stop(replaced, context):
    interruption, began, ended = context.interruption, [], []
    both = threading.Barrier(2, timeout=30)

    def run(stage, task, trained, context):
        context.interruption.check()
        began.append(stage.name)
        both.wait()
        if stage.name == "fails":
            raise OSError("the disk is full")
        deadline = time.monotonic() + 30  # hours, if nobody told it to stop
        while not context.interruption.requested() and time.monotonic() < deadline:
            time.sleep(0.01)
        ended.append(stage.name)
        context.interruption.check()

    replaced(run)
    flops = {"later": 1, "long": 3, "fails": 2}
    stages = make_stages(dict.fromkeys(flops, ()), flops)
    with pytest.raises(OSError, match="the disk is full"):
        scheduler.run_stages(stages, make_task("one", "two"), context)
    assert sorted(began) == ["fails", "long"]
    assert ended == ["long"]
    with pytest.raises(InterruptedRunError):
        interruption.check()


@pytest.mark.parametrize("devices", [("one",), ("one", "two")])
def test_who_goes_on_where_a_network_failed_is_told_of_that_one(
    replaced, context, devices
):
    """However far back in the chain; nobody waits for ever, and work is written off."""
    needs = {"a": (), "b": ("a",), "c": ("b",), "d": ("c",), "x": (), "y": ("x", "b")}
    ran = []

    def run(stage, task, trained, context):
        assert set(stage.needs) <= trained.keys()
        ran.append(stage.name)
        if stage.name == "b":
            return StageResult({}, {"left_out": {"b": "why"}})
        return trained_result(stage)

    replaced(run)
    trained = scheduler.run_stages(make_stages(needs), make_task(*devices), context)
    assert sorted(ran) == ["a", "b", "x"]
    assert trained.states.keys() == {"a", "x"}
    needed = dict.fromkeys("cyd", "it needs b, which was left out: why")
    assert trained.left_out == {"b": "why", **needed}
    assert sum(context.skipped) == 3


def test_what_a_finished_stage_could_not_train_is_compiled_for_nobody(
    replaced, context
):
    records = {"a": {"left_out": {"a": "why"}}}
    prepared = []
    replaced(
        lambda stage, *args: StageResult({}, records.get(stage.name, {"left_out": {}})),
        records,
        lambda stage, *args: prepared.append(stage.name),
    )
    stages = make_stages({"a": (), "b": ("a",), "c": ()})
    scheduler.run_stages(stages, make_task("one"), context)
    assert prepared == ["c"]
