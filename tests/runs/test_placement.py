"""Numbers of devices of a run's stages: decided once, kept, and told where too many."""

import json
import types

import pytest
from tiny_methods import noise_task, settings_of

from mothernets_jax.runs import timed_here
from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.runs.placement import stage_devices, tell_of_fewer
from mothernets_jax.runs.schedule import simulate
from mothernets_jax.runs.stage_jobs import stage_jobs
from mothernets_jax.runtime.interruption import InterruptedRunError, Interruption
from mothernets_jax.stages.context import PLACEMENT
from mothernets_jax.stages.stage import planned_flops
from mothernets_jax.stages.timing import StageTiming


@pytest.fixture(scope="module")
def one_device():
    return noise_task()


@pytest.fixture(scope="module")
def plan(one_device):
    return method_plans(one_device, settings_of())["mothernets"]


@pytest.fixture
def decide(one_device, plan, tmp_path):
    """A function that decides on a machine with some devices."""

    def devices_of(devices, placement="flops", interruption=None):
        task = one_device._replace(devices=one_device.devices * devices)
        context = types.SimpleNamespace(
            workdir=tmp_path,
            placement=placement,
            strategy="loop",
            store=None,
            guard=lambda path: None,
            interruption=interruption or Interruption(),
        )
        jobs = stage_jobs(plan.stages, lambda stage: planned_flops(stage, task))
        if devices == 1:
            return tell_of_fewer(jobs, task, context)  # type: ignore[arg-type]
        return stage_devices(plan.stages, jobs, task, context)  # type: ignore[arg-type]

    return devices_of


@pytest.fixture
def timed(monkeypatch):
    """Programs and devices that were timed; a step takes as long on many as on one."""
    found = []

    def time_stage(stage, task, *args, seconds):
        found.append((stage.name, len(task.devices)))
        return StageTiming("loop", 0.5, 0.0, 0.0, None)

    monkeypatch.setattr(timed_here, "time_stage", time_stage)
    return found


def test_by_flops_devices_are_divided_evenly_and_that_is_kept(
    decide, plan, one_device, tmp_path, caplog
):
    jobs = stage_jobs(plan.stages, lambda stage: planned_flops(stage, one_device))
    even = {name: slot.devices for name, slot in simulate(jobs, 4).items()}
    assert decide(4) == even
    assert max(even.values()) == 4  # the MotherNet's
    path = tmp_path / PLACEMENT
    assert json.loads(path.read_text(encoding="utf-8")) == even
    assert decide(8) == even  # a larger machine changes nothing
    assert not caplog.records
    assert decide(2) == {name: min(count, 2) for name, count in even.items()}
    assert "stages on up to 4 devices, and this machine has 2" in caplog.text
    assert json.loads(path.read_text(encoding="utf-8")) == even
    caplog.clear()
    decide(1)
    assert "stages on up to 4 devices, and this machine has 1" in caplog.text


def test_timed_a_stage_that_several_devices_make_no_faster_has_one(
    decide, plan, timed, tmp_path
):
    counts = decide(4, "timed")
    assert set(counts.values()) == {1}
    assert {devices for _, devices in timed} == {1, 2, 4}  # more were tried
    assert (plan.stages[0].name, 4) in timed
    timed.clear()
    assert decide(4, "timed") == counts
    assert not timed


def test_what_a_method_lacks_is_decided_beside_what_was_before(decide, tmp_path):
    (tmp_path / PLACEMENT).write_text('{"mothernets-mothernet_1": 3, "other": 2}')
    counts = decide(4)
    assert counts.pop("mothernets-mothernet_1") == 3
    kept = json.loads((tmp_path / PLACEMENT).read_text(encoding="utf-8"))
    assert kept == {"mothernets-mothernet_1": 3, "other": 2} | counts


def test_a_run_that_is_asked_to_stop_does_not_time_on(decide, timed, tmp_path):
    interruption = Interruption()
    interruption.request(15)
    with pytest.raises(InterruptedRunError):
        decide(4, "timed", interruption)
    assert not timed and not (tmp_path / PLACEMENT).exists()


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 0}', '{"a": true}', '{"a": "2"}'])
def test_a_damaged_record_is_refused(decide, tmp_path, text, devices):
    (tmp_path / PLACEMENT).write_text(text)
    with pytest.raises(ValueError, match="on how many devices each stage runs"):
        decide(devices)
