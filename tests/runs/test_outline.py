"""The plan without JAX is that of the stages, number by number."""

import dataclasses
from types import SimpleNamespace

import pytest
from tiny_methods import noise_task, settings_of

from mothernets_jax.runs.method_plans import method_plans, planned_stages
from mothernets_jax.runs.outline import outline, show_outline
from mothernets_jax.runs.planned_stages import PlannedStage, remarks_on_costs


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"replicas": 2, "num_clusters": 2, "strategy": "vmap"},
        {"budget.epochs": 60.0, "train.average": "ema", "hatch.average": "ema"},
    ],
)
def test_it_is_the_plan_of_the_stages(overrides):
    methods = ("full_data", "mothernets", "bagging")
    settings, task = settings_of(methods=methods, **overrides), noise_task()
    clusters, outlined = outline(settings, task)  # type: ignore[arg-type]
    plans = method_plans(task, settings)
    assert clusters == plans["mothernets"].clusters
    assert list(outlined) == list(plans)
    for method, plan in plans.items():
        expected = planned_stages(plan, task, settings.strategy)
        assert len(outlined[method]) == len(expected)
        for own, other in zip(outlined[method], expected, strict=True):
            for field in ("flops", "scratch_flops"):
                assert getattr(own, field) == pytest.approx(getattr(other, field))
            same = {"name": "", "flops": 0.0, "scratch_flops": 0.0}
            assert own._replace(**same) == other._replace(**same)


def test_other_methods_need_their_stages():
    settings = settings_of(methods=("snapshot",))
    assert not show_outline(settings, SimpleNamespace())  # type: ignore[arg-type]
    bags = dataclasses.replace(settings_of().hatch, bags=True)
    settings = dataclasses.replace(settings_of(), hatch=bags)
    assert not show_outline(settings, SimpleNamespace())  # type: ignore[arg-type]


def stages(mother, hatched, scratch):
    """A MotherNet and its two members, with these FLOPs."""
    return {
        "mothernets": [
            PlannedStage("m", ("mothernet_1",), "loop", 4, mother),
            PlannedStage("a", ("A", "B"), "loop", 2, hatched, "mothernet_1", scratch),
        ]
    }


def test_a_mothernet_that_costs_more_than_it_saves_is_named():
    assert remarks_on_costs(stages(4.0, 5.0, 9.0)) == []
    (remark,) = remarks_on_costs(stages(4.0, 5.0, 8.5))
    assert remark.startswith(
        "mothernet_1 costs more than it saves: training it takes 4"
    )
    assert "saves 3.50e+00" in remark
    assert "its 2 members" in remark
    (remark,) = remarks_on_costs(stages(4.0, 5.0, 2.0))
    assert "saves 0.00e+00" in remark
