"""Ends of stages on other machines: by hand, and on devices that are divided."""

import pytest
from tiny_methods import noise_task, settings_of

from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.runs.predicted import TableTimes, predict
from mothernets_jax.runs.step_times import DeviceTimes, Estimate, Fit
from mothernets_jax.stages.stage import planned_flops

HATCH = 7.0


@pytest.fixture(scope="module")
def task():
    return noise_task()


@pytest.fixture(scope="module")
def plans(task):
    methods = ("mothernets", "full_data", "treenets", "snapshot")
    return method_plans(task, settings_of(methods=methods, replicas=2))


def by_flops(flop_seconds=1.0):
    """A device on which a step takes a time for each FLOP and none for a layer."""
    fit = Fit(0.0, flop_seconds, 0.0)
    return DeviceTimes("chip", "nowhere", "bfloat16", HATCH, (), fit)


def ten_seconds(stage, devices, *, hatched):
    return Estimate(10.0 / devices + hatched, not hatched)


def test_a_mothernet_then_its_members(plans, task):
    """10 s for the MotherNet and, hatched, 11 for each of three stages of members."""
    plan = plans["mothernets"]
    assert len(plan.stages) == 4
    found = predict(plan, task, 1, ten_seconds)
    assert found.seconds == found.busy_seconds == 43.0
    assert found.chain_seconds == 21.0
    assert found.measured == pytest.approx(10 / 43)
    three = predict(plan, task, 3, ten_seconds)  # all for the MotherNet, then one each
    assert three.seconds == three.chain_seconds == pytest.approx(10 / 3 + 11)
    assert three.busy_seconds == pytest.approx(10 + 33)
    undivided = predict(plan, task, 3, ten_seconds, placement="one")
    assert undivided.seconds == 10 + 11
    slots = sorted(undivided.slots.values())
    assert slots == [(0.0, 10.0, 1)] + 3 * [(10.0, 21.0, 1)]
    timed = predict(plan, task, 3, ten_seconds, placement="timed")
    assert timed == three


def test_by_flops_alone_a_stage_takes_its_flops(plans, task):
    for method, plan in plans.items():
        times = TableTimes(by_flops(), task, "auto")
        for stage in plan.stages:
            found = times(stage, 1, hatched=False)
            assert found == (pytest.approx(planned_flops(stage, task)), False), method
            hatched = times(stage, 1, hatched=True).seconds
            assert hatched - found.seconds == pytest.approx(HATCH * len(stage.members))
        total = sum(planned_flops(stage, task) for stage in plan.stages)
        assert predict(plan, task, 1, times).seconds >= total


@pytest.mark.parametrize(
    ("strategy", "devices", "share"),
    [
        ("loop", 2, 1 / 2),  # a batch of 10 in two
        ("loop", 4, 1 / 2),  # and not in four, nor in three
        ("loop", 5, 1 / 5),
        ("vmap", 2, 1 / 2),  # a member each
        ("vmap", 4, 1 / 4),  # and half a batch each
        ("auto", 5, 1 / 5),  # the batch in five; members would leave one idle
    ],
)
def test_members_and_batches_are_divided_as_in_a_run(
    plans, task, strategy, devices, share
):
    stage = plans["full_data"].stages[0]
    assert len(stage.members) == 2 and stage.recipe.batch_size == 10
    times = TableTimes(by_flops(), task, strategy)
    alone = times(stage, 1, hatched=False).seconds
    divided = times(stage, devices, hatched=False)
    assert divided == (pytest.approx(share * alone), False)


def test_members_that_share_a_trunk_stay_together(plans, task):
    (stage,) = plans["treenets"].stages
    times = TableTimes(by_flops(), task, "loop")
    alone = times(stage, 1, hatched=False).seconds
    assert times(stage, 3, hatched=False).seconds == pytest.approx(alone / 2)


def test_layers_take_as_long_however_small_the_batch(plans, task):
    stage = plans["snapshot"].stages[0]
    fit = Fit(1e-3, 1e-30, 0.0)  # kernels that nothing but their start takes time
    times = TableTimes(by_flops()._replace(fit=fit), task, "auto")
    one, five = (times(stage, n, hatched=False).seconds for n in (1, 5))
    assert one == pytest.approx(five, rel=1e-6) and one > 0.1
