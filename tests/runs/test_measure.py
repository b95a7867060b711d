"""What is measured before a run, and the seconds and dollars that follow from it."""

import dataclasses
from types import SimpleNamespace

import pytest
from tiny_methods import noise_task, settings_of

from mothernets_jax.runs import measure as measuring
from mothernets_jax.runs.measure import dollars, measure, method_seconds, stage_seconds
from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.stages import timing as stage_timing
from mothernets_jax.stages.timing import StageTiming

NETWORKS = {"A": "mlp 3", "B": "mlp 4"}
TIMING = StageTiming(
    "loop",
    step_seconds=0.5,
    epoch_seconds=0.25,
    evaluation_seconds=0.01,
    peak_bytes=None,
)


@pytest.fixture(scope="module")
def task():
    return noise_task()


@pytest.fixture(scope="module")
def settings():
    own = settings_of(replicas=2, strategy="loop")
    methods = ("mothernets", "full_data")
    return dataclasses.replace(own, architectures=NETWORKS, methods=methods)


def test_every_stage_is_timed_and_programs_that_are_shared_once(
    task, settings, monkeypatch
):
    timed, time_stage = {}, measuring.time_stage

    def noted(stage, *args, seconds):
        timed[stage.name] = seconds
        return time_stage(stage, *args)

    monkeypatch.setattr(measuring, "time_stage", noted)
    monkeypatch.setattr(stage_timing, "_CALL_SECONDS", 0.01)  # nobody reads the times
    store = ProgramStore()
    found = measure(settings, task, store=store, seconds=6.0)
    stages = [s for p in method_plans(task, settings).values() for s in p.stages]
    assert list(found.stages) == [stage.name for stage in stages]
    for timing in found.stages.values():
        assert timing.strategy == "loop"
        assert 0 < timing.step_seconds < 10
        assert 0 <= timing.epoch_seconds < 10
        assert 0 < timing.evaluation_seconds < 1
    # Members from scratch are stepped by the programs of those that are hatched.
    names = [s.name for s in stages if s.method == "mothernets"]
    assert len(names) == 3
    assert timed == dict.fromkeys(names, 2.0)
    assert found.compile_seconds > 0
    # The images, 105 of 8x8 bytes, and the parameters are in it.
    assert found.peak_bytes is None or found.peak_bytes > 105 * 64
    # A run that shares the programs compiles nothing again.
    before = len(store._programs)
    measure(settings, task, store=store)
    store.close()
    assert len(store._programs) == before


def test_seconds_of_a_stage_by_hand(task, settings):
    """10 steps an epoch, 9 images to validate on; a batch of 16 checks what hatched."""
    plan = method_plans(task, settings)["full_data"]
    stage = plan.stages[0]
    assert (len(stage.members), stage.recipe.epochs) == (2, 4)
    expected = 4 * 10 * 0.5 + 4 * 0.25 + 4 * 2 * 9 * 0.01
    assert stage_seconds(stage, TIMING, task) == pytest.approx(expected)
    hatched = stage._replace(needs=("mothernet_1",))
    assert stage_seconds(hatched, TIMING, task) == pytest.approx(
        expected + 3 * 16 * 0.01
    )


def test_stages_of_a_method_share_the_devices(task, settings):
    plan = method_plans(task, settings)["full_data"]
    assert len(plan.stages) == 2
    timings = {stage.name: TIMING for stage in plan.stages}
    of_stage = stage_seconds(plan.stages[0], TIMING, task)
    evaluating = 4 * (9 + 9 + 9) * 0.01
    alone = method_seconds(plan, timings, task)
    assert alone == pytest.approx(2 * of_stage + evaluating)
    two = task._replace(devices=task.devices * 2)
    assert method_seconds(plan, timings, two) == pytest.approx(of_stage + evaluating)


def test_dollars_are_of_all_devices():
    devices = (SimpleNamespace(device_kind="NVIDIA H100 80GB HBM3"),) * 4
    task = SimpleNamespace(devices=devices)
    assert dollars(1800, task, {"H100": 3.0}) == pytest.approx(6.0)  # type: ignore[arg-type]
    assert dollars(1800, task, {"TPU": 3.0}) is None  # type: ignore[arg-type]
