"""A MotherNet that was trained before: which network, its start, and what it costs."""

import re

import jax
import numpy as np
import pytest
from tiny_methods import compose, noise_task, settings_of

import mothernets_jax as mn
from mothernets_jax.methods.budget import budget_flops
from mothernets_jax.methods.saved_mother import with_saved_normalisation
from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.stage import planned_flops

SHAPE = (8, 8, 1)
NETWORKS = {
    "small": "vgg (3:3) | (3:3); batch_norm",
    "fitting": "vgg (3:4) | (3:4); batch_norm",  # into A, B and C
    "large": "vgg (3:9) | (3:9); batch_norm",
}


@pytest.fixture(scope="module")
def task():
    return noise_task()


def saved(path, class_names=("a", "b", "c"), shape=SHAPE, names=tuple(NETWORKS)):
    members = {}
    for number, name in enumerate(names):
        network = mn.parse(NETWORKS[name])
        key = jax.random.key(number)
        members[name] = network, mn.init(network, key, shape, len(class_names))
    channels = shape[2]
    ensemble = mn.Ensemble(
        members,
        mean=np.full(channels, 100.0),
        std=np.full(channels, 50.0),
        class_names=class_names,
        input_shape=shape,
    )
    ensemble.save(path)
    return ensemble


def begun(task, path, **options):
    return compose(task, "mothernets", **{"mother.init": str(path), **options})


def test_the_largest_that_can_become_every_member_is_begun_from(task, tmp_path):
    variables = saved(tmp_path).members["fitting"].variables
    plan = begun(task, tmp_path)
    (cluster,) = plan.clusters
    assert cluster.mothernet == mn.parse(NETWORKS["fitting"])
    assert set(cluster.members) == set(plan.members) == {"A", "B", "C"}
    mother, *hatched = plan.stages
    assert mother.members == ("mothernet_1",) and mother.recipe.epochs == 0
    assert planned_flops(mother, task) == 0 < planned_flops(hatched[0], task)
    executables = Executables()
    (state,) = mother.start({}, executables).states.values()
    jax.tree.map(np.testing.assert_array_equal, state.variables, variables)
    start = hatched[0].start({"mothernet_1": state}, executables)
    assert start.checks["A"]["relative_logit_difference"] < 1e-5


def test_the_head_is_kept_for_the_same_classes_alone(task, tmp_path):
    for names in (("a", "b", "z"), ("a", "b", "c", "d")):
        theirs = saved(tmp_path, names).members["fitting"].variables["params"]
        mother = begun(task, tmp_path).stages[0]
        (state,) = mother.start({}, Executables()).states.values()
        ours = dict(state.params)
        assert ours["head"]["kernel"].shape == (4, 3)
        if len(names) == 3:
            same = np.asarray(ours["head"]["kernel"] == theirs["head"]["kernel"])
            assert not same.any()
        kept = [{k: v for k, v in p.items() if k != "head"} for p in (ours, theirs)]
        jax.tree.map(np.testing.assert_array_equal, *kept)


def test_it_trains_on_and_the_members_get_the_rest_of_a_budget(task, tmp_path):
    saved(tmp_path)
    options = {"mother.init_epochs": 2, "mother.average": "ema", "budget.epochs": 20.0}
    mother, *hatched = begun(task, tmp_path, **options).stages
    assert mother.recipe.epochs == 2 and mother.recipe.average == "ema"
    settings = settings_of(**options)
    budget = budget_flops(task, settings, settings.members)
    spent = sum(planned_flops(stage, task) for stage in (mother, *hatched))
    one_more = sum(planned_flops(s, task) / s.recipe.epochs for s in hatched)
    assert spent <= budget < spent + one_more
    # Without epochs there is nothing to average.
    mother = begun(task, tmp_path, **{"mother.average": "ema"}).stages[0]
    assert not mother.spec.averaged
    with pytest.raises(ValueError, match="beside its MotherNet, takes"):
        begun(task, tmp_path, **options | {"budget.epochs": 1.0})


def test_members_that_are_added_train_as_long_as_those_before(task, tmp_path):
    """And MotherNets that are added, from which the saved one is too large, in full."""
    saved(tmp_path)
    options = {"mother.init": str(tmp_path), "budget.epochs": 20.0}
    options["grown"] = ("replicas 2", "add S=vgg (3:2) | (3:2); batch_norm")
    settings = settings_of(methods=("mothernets",), **options)
    stages = method_plans(task, settings)["mothernets"].stages
    of_member = {name: stage for stage in stages for name in stage.members}
    assert of_member["A_2"].recipe == of_member["A"].recipe == of_member["S"].recipe
    assert of_member["mothernet_1"].recipe.epochs == 0
    assert of_member["mothernet_2"].recipe == settings.mother_recipe


def test_images_are_normalised_as_it_expects(task, tmp_path):
    saved(tmp_path)
    settings = settings_of(**{"mother.init": str(tmp_path)})
    found = with_saved_normalisation(task.dataset, settings)
    assert (found.mean.tolist(), found.std.tolist()) == ([100.0], [50.0])
    assert "whose own training is not counted" in found.notes[-1]
    assert "head is kept, as its classes have the same names." in found.notes[-1]
    assert with_saved_normalisation(task.dataset, settings_of()) is task.dataset


def test_classes_named_by_numbers_alone_are_told_of(task, tmp_path):
    def note(theirs, ours):
        saved(tmp_path, theirs)
        dataset = task.dataset._replace(class_names=ours)
        settings = settings_of(**{"mother.init": str(tmp_path)})
        return with_saved_normalisation(dataset, settings).notes[-1]

    numbers = ("0", "1", "2")
    assert "head is kept" in (kept := note(numbers, numbers))
    assert "numbers alone: where they stand for other classes" in kept
    assert "drawn anew" in note(numbers, ("1", "2", "3"))
    assert "drawn anew" in note(numbers, ("a", "b", "c"))


def test_refused(task, tmp_path):
    def check(message):
        with pytest.raises(ValueError, match=re.escape(message)):
            begun(task, tmp_path / "net")

    check("config.mother.init cannot be used: ")
    saved(tmp_path / "net", names=("large",))
    check("none can become every member of this run: large: 'vgg (3:4) | (3:4); batch")
    saved(tmp_path / "net", shape=(8, 8, 3))
    check("for uint8 images of 3 channels: expected uint8 and 1")
    saved(tmp_path / "net")
    mother = begun(task, tmp_path / "net").stages[0]
    saved(tmp_path / "net", class_names=("a", "b"))
    with pytest.raises(ValueError, match="was changed since this run was planned"):
        mother.start({}, Executables())


def test_mlps_are_for_inputs_of_one_shape(task, tmp_path):
    network = mn.parse("mlp 3")
    variables = mn.init(network, jax.random.key(0), (4, 4, 1), 3)
    mn.Ensemble({"M": (network, variables)}, mean=0, std=1, input_shape=(4, 4, 1)).save(
        tmp_path
    )
    with pytest.raises(ValueError, match=r"is for inputs of \(4, 4, 1\), not \(8"):
        begun(task, tmp_path, architectures={"A": "mlp 5"})
