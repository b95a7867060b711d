"""StarSSE: MotherNets of equal members, and nothing else."""

import jax
import numpy as np
import pytest
from tiny_methods import compose, noise_task

from mothernets_jax.methods.budget import single_network
from mothernets_jax.methods.scratch import start_at_random
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.stage import planned_flops, stage_rates


@pytest.fixture(scope="module")
def task():
    return noise_task()


@pytest.mark.parametrize(
    "options",
    [
        {"hatch.schedule": "linear", "hatch.bags": True, "mother.schedule": "constant"},
        {"budget.epochs": 40.0, "mother.budget_share": 0.6, "hatch.average": "ema"},
        {"mother.cycles": 2, "num_clusters": 1},
    ],
    ids=["epochs", "budget", "cycles"],
)
def test_it_is_mothernets_of_equal_members(task, options):
    """Three replicas of the one network: all but the names is the same."""
    equal = {"architectures": {"B": "vgg (3:6)x2 | (3:6); batch_norm"}, "replicas": 3}
    options = {**options, "budget.reference": "B"}
    theirs = compose(task, "mothernets", **equal, **options)
    ours = compose(task, "star", **options)
    assert list(ours.members) == ["B_ray_1", "B_ray_2", "B_ray_3"]
    assert ours.clusters == () and len(theirs.clusters) == 1
    assert len(ours.stages) == len(theirs.stages) == 2
    for our, their in zip(ours.stages, theirs.stages, strict=True):
        assert our.method == "star" and our.name.startswith("star-mothernet_1")
        assert our.spec == their.spec and our.recipe == their.recipe
        assert our.with_replacement == their.with_replacement
        assert our.needs == their.needs and len(our.members) == len(their.members)
        np.testing.assert_array_equal(stage_rates(our, task), stage_rates(their, task))
        assert planned_flops(our, task) == planned_flops(their, task)


def test_its_members_begin_as_copies_and_its_clusters_are_no_ones(task):
    plan = compose(task, "star", num_clusters=3, **{"hatch.noise": 0.0})
    mother, rays = plan.stages
    executables = Executables()
    begun = mother.start({}, executables).states
    start = rays.start(begun, executables)
    (variables,) = [state.variables for state in begun.values()]
    for state in start.states.values():
        same = jax.tree.map(lambda a, b: (a == b).all(), state.variables, variables)
        assert all(jax.tree.leaves(same))
    assert start.checks.keys() == plan.members.keys()
    # Keys are the method's own: MotherNets begin elsewhere.
    other = start_at_random(task, "mothernets", mother.spec, mother.members)
    theirs = other({}, executables).states[mother.members[0]]
    kernels = (s["head"]["kernel"] for s in (theirs.params, variables["params"]))
    assert not np.array_equal(*kernels)


def test_it_trains_the_single_network(task):
    plan = compose(task, "star")
    members = compose(task, "mothernets").members
    assert {*plan.members.values()} == {single_network(task, members)[1]}
