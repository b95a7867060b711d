"""Prune and Tune: masks that are halves and opposites, and stay through training."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_specs import OPTIMIZER
from tiny_methods import STEPS, compose, noise_task
from tiny_stages import Account, StopAt, tiny_context

import mothernets_jax as mn
from mothernets_jax.architectures import parse
from mothernets_jax.ensembles.ensemble import Ensemble, Member
from mothernets_jax.methods.prune_and_tune import half_mask, opposite_mask
from mothernets_jax.models.variables import abstract_variables, init
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.runtime.interruption import InterruptedRunError
from mothernets_jax.stages import trainer
from mothernets_jax.stages.autosave import StageAutosave
from mothernets_jax.stages.run_stage import run_stage
from mothernets_jax.stages.stage import stage_rates
from mothernets_jax.training.member_step import begin_average, new_state
from mothernets_jax.training.schedules import learning_rates

SHAPE, CLASSES = (8, 8, 1), 3
FAMILIES = (
    "mlp 5 3",
    "vgg (3:3)x2 | (3:5); dense 7; batch_norm",
    "resnet 4 (3:3)x1 | 6 (3:5)x1",
)


@pytest.fixture(scope="module")
def task():
    return noise_task()


def kernels(tree):
    """The kernels by layer, but for the head's; and all else by layer and name."""
    inner, others = {}, {}
    for layer, leaves in tree.items():
        for name, leaf in leaves.items():
            pruned = name == "kernel" and layer != "head"
            (inner if pruned else others)[layer, name] = np.asarray(leaf)
    return inner, others


@pytest.mark.parametrize("notation", FAMILIES)
def test_masks_are_halves_and_opposites(notation, seed):
    params = abstract_variables(parse(notation), SHAPE, CLASSES)["params"]
    mask = half_mask(params, jax.random.key(seed))
    other = opposite_mask(mask)
    chex.assert_trees_all_equal_shapes(params, mask, other)
    (first, kept), (second, also_kept) = kernels(mask), kernels(other)
    assert len(first) > 1 and len(kept) > 1
    assert all(leaf.all() for leaf in (*kept.values(), *also_kept.values()))
    for layer, leaf in first.items():
        assert leaf.dtype == bool
        pruned = round(leaf.size / 2)  # `torch.nn.utils.prune`, amount=0.5
        assert leaf.sum() == leaf.size - pruned and second[layer].sum() == pruned
        np.testing.assert_array_equal(second[layer], ~leaf)


def test_masks_are_random(seed):
    """No rows nor columns are favoured; layers and keys draw independently."""
    kernel = jax.ShapeDtypeStruct((100, 100), jnp.float32)
    params = {"a": {"kernel": kernel}, "b": {"kernel": kernel}}
    keys = jax.random.split(jax.random.key(seed), 2)
    one, other = (half_mask(params, key) for key in keys)
    masks = [
        np.asarray(mask[layer]["kernel"]) for mask in (one, other) for layer in "ab"
    ]
    for i, mask in enumerate(masks):
        for axis in (0, 1):
            assert np.abs(mask.mean(axis) - 0.5).max() < 0.3  # six standard errors
        for second in masks[:i]:
            assert abs((mask == second).mean() - 0.5) < 0.03
    chex.assert_trees_all_equal(half_mask(params, keys[0]), one)


def children_from(task, variables, **options):
    """The children's stage, and their start from a parent with these variables."""
    parent, children = compose(task, "prune_and_tune", **options).stages
    trained = {parent.members[0]: new_state(variables, OPTIMIZER)}
    return children, children.start(trained, Executables())


@pytest.fixture(scope="module")
def variables(task):
    (parent, _) = compose(task, "prune_and_tune").stages
    found = init(parent.architecture, jax.random.key(0), SHAPE, CLASSES)
    # As after training: nothing is 0 by chance.
    return jax.tree.map(lambda leaf: leaf + jnp.float32(0.01), found)


def test_children_come_in_pairs(task, variables):
    children, start = children_from(task, variables)
    assert children.spec.masked and children.needs == ("B",)
    masks = [start.states[name].mask for name in children.members]
    assert children.members == ("B_child_1", "B_child_2", "B_child_3")
    (one, _), (two, _), (odd, _) = map(kernels, masks)
    for layer, leaf in one.items():
        np.testing.assert_array_equal(two[layer], ~leaf)
        if leaf.size > 100:  # the third has a mask of its own
            assert 0.3 < (odd[layer] == leaf).mean() < 0.7
    for state in start.states.values():
        expected = jax.tree.map(lambda p, k: p * k, variables["params"], state.mask)
        chex.assert_trees_all_equal(state.params, expected)
        chex.assert_trees_all_equal(state.batch_stats, variables["batch_stats"])
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(state.opt_state))
    # Of a larger ensemble the first pairs are the same.
    _, more = children_from(task, variables, replicas=2)
    assert len(more.states) == 6
    for name, state in start.states.items():
        chex.assert_trees_all_equal(more.states[name], state)


def test_children_begin_at_their_parents_average(task, variables):
    """Where one is kept: that is what the parent predicts with."""
    parent, children = compose(
        task, "prune_and_tune", **{"train.average": "ema"}
    ).stages
    assert parent.spec.averaged and children.spec.averaged
    state = begin_average(new_state(variables, OPTIMIZER), parent.spec)
    state = state._replace(params=jax.tree.map(jnp.zeros_like, state.params))
    start = children.start({"B": state}, Executables())
    first = start.states["B_child_1"]
    expected = jax.tree.map(lambda p, k: p * k, variables["params"], first.mask)
    chex.assert_trees_all_equal(first.params, expected)


def test_schedules_are_the_authors(task):
    """The parent's half way, then down; the children's one cycle, without warm-ups."""
    options = {
        "train.epochs": 140,
        "prune_and_tune.epochs": 10,
        "train.stop": "plateau",
    }
    parent, children = compose(task, "prune_and_tune", **options).stages
    assert {s.recipe.stop for s in (parent, children)} == {"epochs"}
    expected = []
    for epoch in range(140):  # `learning_rate_schedule`, at the start of an epoch
        alpha = epoch / 140
        if alpha <= 0.5:
            factor = 1.0
        elif alpha <= 0.9:
            factor = 1.0 - (alpha - 0.5) / 0.4 * 0.99
        else:
            factor = 0.01
        expected.append(factor * 0.1)
    np.testing.assert_allclose(stage_rates(parent, task)[:, 0], expected, rtol=1e-5)
    rates = stage_rates(children, task).ravel()
    cycle = learning_rates("one_cycle", 0.1, total_steps=10 * STEPS)
    np.testing.assert_array_equal(rates, cycle)
    assert rates.argmax() == STEPS - 1 and rates[0] == np.float32(0.001)


def test_a_budget_is_divided_as_the_authors_divide_it(task):
    """Of 200 epochs 140 for the parent and 60 for six children."""
    options = {"budget.epochs": 200.0, "budget.reference": "B", "replicas": 2}
    parent, children = compose(task, "prune_and_tune", **options).stages
    assert (parent.recipe.epochs, children.recipe.epochs) == (140, 10)
    # Of few epochs, each child gets one and the parent what is left.
    options["budget.epochs"] = 8.0
    parent, children = compose(task, "prune_and_tune", **options).stages
    assert (parent.recipe.epochs, children.recipe.epochs) == (2, 1)


TRAINED = {
    "architectures": {"M": "mlp 6 5; batch_norm"},
    "replicas": 3,
    "train.batch_size": 25,  # 4 steps an epoch
    "train.average": "ema",
    "prune_and_tune.epochs": 2,
}


@pytest.fixture(scope="module")
def children(task):
    """The stage of three children, as a stage that needs no other, and its start."""
    parent, stage = compose(task, "prune_and_tune", **TRAINED).stages
    variables = init(parent.architecture, jax.random.key(0), SHAPE, CLASSES)
    state = new_state(variables, OPTIMIZER)
    begun = stage.start({parent.members[0]: state}, Executables())
    return stage._replace(start=lambda trained, executables: begun), begun


@pytest.fixture(scope="module")
def train(task, children):
    """A function that trains the children, in calls of a step."""
    store = ProgramStore()

    def run(folder=None, stop_at=0):
        context = tiny_context(store, Account(), "loop", StopAt(stop_at))
        context.saves = StageAutosave(folder, interval_seconds=1e9)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer, "_CALL_SECONDS", 0.0)
            try:
                return run_stage(children[0], task, {}, context)
            finally:
                context.saves.close()

    return run


@pytest.fixture(scope="module")
def trained(train):
    return train().states


def test_what_is_pruned_stays_zero_in_training_and_in_the_saved_ensemble(
    task, children, trained, tmp_path
):
    (stage, start), dataset = children, task.dataset
    saved = Ensemble(
        {n: Member(stage.architecture, s.predictor) for n, s in trained.items()},
        mean=dataset.mean,
        std=dataset.std,
        class_names=dataset.class_names,
        input_shape=dataset.input_shape,
    )
    saved.save(tmp_path / "ensemble")
    loaded = mn.Ensemble.load(tmp_path / "ensemble").members
    for name, state in trained.items():
        first = start.states[name]
        chex.assert_trees_all_equal(state.mask, first.mask)
        of_network = loaded[name].variables["params"]
        for params in (state.params, state.predictor["params"], of_network):
            (own, others), (mask, _) = kernels(params), kernels(first.mask)
            for layer, leaf in own.items():
                assert not leaf[~mask[layer]].any()
                # The control: what is kept was trained.
                before = kernels(first.params)[0][layer]
                assert (leaf != before)[mask[layer]].mean() > 0.5
            assert all(leaf.any() for leaf in others.values())


def test_stopped_and_resumed_children_are_the_same_bits(train, trained, tmp_path):
    for asked in (2, 7):  # in the middle of both epochs
        folder = tmp_path / str(asked)
        with pytest.raises(InterruptedRunError):
            train(folder, asked)
        chex.assert_trees_all_equal(train(folder).states, trained)
