"""Times of stages on the devices that are here: each program once, and no others."""

import pytest
from tiny_methods import noise_task, settings_of

from mothernets_jax.runs import timed_here
from mothernets_jax.runs.measure import stage_seconds, untimed_seconds
from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.runs.timed_here import TimesHere
from mothernets_jax.stages.timing import StageTiming

TIMING = StageTiming("loop", 0.5, 0.25, 0.01, None)


@pytest.fixture
def timed(monkeypatch):
    """The stages that are timed, in the place of timing them, and their devices."""
    found = []

    def time_stage(stage, task, *args, seconds):
        found.append((stage.name, len(task.devices)))
        return TIMING

    monkeypatch.setattr(timed_here, "time_stage", time_stage)
    return found


def test_every_program_is_timed_once_on_each_number_of_devices(timed):
    task = noise_task()
    task = task._replace(devices=task.devices * 2)
    stages = method_plans(task, settings_of(methods=("snapshot",)))["snapshot"].stages
    times = TimesHere(task, "auto", None)  # type: ignore[arg-type]
    expected = stage_seconds(stages[0], TIMING, task) + untimed_seconds(stages[0])
    for _ in range(2):
        for devices in (1, 2):
            found = times(stages[0], devices, hatched=False)
            assert found == (pytest.approx(expected), True)
    for stage in stages[1:]:  # the same network, from another beginning
        times(stage, 2, hatched=False)
    assert timed == [(stages[0].name, 1), (stages[0].name, 2)]


def test_on_more_devices_than_there_are_a_stage_takes_its_device_seconds(timed):
    task = noise_task()
    task = task._replace(devices=task.devices * 2)
    stage = method_plans(task, settings_of())["full_data"].stages[0]
    times = TimesHere(task, "auto", None)  # type: ignore[arg-type]
    trained = stage_seconds(stage, TIMING, task)
    found = times(stage, 8, hatched=False)
    assert found == (pytest.approx(trained / 4 + untimed_seconds(stage)), False)
    assert timed == [(stage.name, 2)]
