"""What each method composes: who trains, how long, from where, and what it may cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_specs import OPTIMIZER, plain_spec
from tiny_methods import compose, noise_task, settings_of

from mothernets_jax.architectures.costs import num_params
from mothernets_jax.config.settings import Recipe
from mothernets_jax.methods import METHODS
from mothernets_jax.methods.budget import budget_flops, single_network
from mothernets_jax.methods.distillation import DistillationLoss
from mothernets_jax.models.apply import apply
from mothernets_jax.models.variables import init
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.stage import epoch_flops, planned_flops, stage_rates
from mothernets_jax.stages.task import step_spec, steps_per_epoch
from mothernets_jax.training.augment import FlipState
from mothernets_jax.training.epoch_inputs import (
    MemberKeys,
    MemberRates,
    make_epoch_inputs,
)
from mothernets_jax.training.member_step import (
    StepInputs,
    TrainingData,
    make_member_step,
    new_state,
)
from mothernets_jax.training.schedules import learning_rates

RIVALS = [name for name in METHODS if name != "mothernets"]


@pytest.fixture(scope="module")
def task():
    return noise_task()


def test_the_single_network_is_as_large_as_the_mean(task):
    members = settings_of().members
    sizes = {n: num_params(a, (8, 8, 1), 3) for n, a in members.items()}
    name, architecture = single_network(task, members)
    total = sum(sizes.values())
    nearest = min(sizes, key=lambda n: abs(3 * sizes[n] - total))
    assert (name, architecture) == (nearest, members[nearest])
    # Replicas are known by their architecture.
    twice = settings_of(replicas=2).members
    assert single_network(task, twice)[0] == nearest


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_as_many_members(task, method):
    composed = compose(task, method)
    assert len(composed.members) == (1 if method == "swa" else 3)
    trained = [name for stage in composed.stages for name in stage.members]
    assert len(set(trained)) == len(trained)
    architectures = {n: s.architecture for s in composed.stages for n in s.members}
    assert composed.members.items() <= architectures.items()
    assert len({stage.name for stage in composed.stages}) == len(composed.stages)
    done = set()
    for stage in composed.stages:  # in an order in which they can be trained
        assert set(stage.needs) <= done
        done |= set(stage.members)
        rates = stage_rates(stage, task)
        assert rates.shape == (stage.recipe.epochs, 10) and rates.min() >= 0
    mixed = {"mothernets", "full_data", "bagging", "distillation"}
    assert len(set(composed.members.values())) == (3 if method in mixed else 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("epochs", "average"), [(30.0, "none"), (47.5, "none"), (31.3, "ema")]
)
def test_a_budget_is_spent_and_never_exceeded(task, method, epochs, average):
    options = {"budget.epochs": epochs, "budget.reference": "C"}
    options |= {f"{own}.average": average for own in ("train", "hatch")}
    composed = compose(task, method, **options)
    settings = settings_of(**options)
    budget = budget_flops(task, settings, settings.members)
    full = compose(task, "full_data")
    (c,) = [stage for stage in full.stages if stage.members == ("C",)]
    assert budget == epochs * epoch_flops(c, task)
    spent = sum(planned_flops(stage, task) for stage in composed.stages)
    # What is left would not pay for one epoch more of all that is trained.
    everything = sum(
        len(stage.members) * epoch_flops(stage, task) for stage in composed.stages
    )
    assert budget - everything < spent <= budget
    averaged = [stage.spec.averaged for stage in composed.stages]
    assert any(averaged) == (average != "none" or method == "swa")


def test_few_epochs_have_a_short_warmup(task):
    options = {"train.epochs": 97, "train.warmup_epochs": 3.0, "budget.reference": "C"}
    for method in METHODS:
        for stage in compose(task, method, **options, **{"budget.epochs": 12.0}).stages:
            rates = stage_rates(stage, task)  # raises where the warm-up is longer
            if stage.rates is None:
                assert rates.max() == np.float32(stage.recipe.learning_rate), stage
                # What was asked for, or half of what there is.
                asked = 0.5 if "mothernet_1-" in stage.label else 3.0
                half = min(asked, stage.recipe.epochs / 2)
                assert stage.recipe.warmup_epochs in (0.0, half), stage
    (stage, *_) = compose(task, "full_data", **{"train.warmup_epochs": 4.0}).stages
    assert stage.recipe.warmup_epochs == 4.0  # without a budget, as it says


def test_too_small_a_budget(task):
    for method in METHODS:
        for epochs in (0.0, 0.5):
            with pytest.raises(ValueError, match="config.budget.epochs pays for"):
                compose(task, method, **{"budget.epochs": epochs})
    with pytest.raises(ValueError, match="config.budget.epochs pays for 4 epochs of B"):
        compose(task, "fge", **{"budget.epochs": 4.5})
    with pytest.raises(ValueError, match="reference is 'D': expected one of A, B, C"):
        compose(task, "snapshot", **{"budget.epochs": 9, "budget.reference": "D"})


def test_how_mothernets_divide_a_budget(task):
    flops = {}
    for share in (0.2, 0.5, 0.8):
        options = {"budget.epochs": 60.0, "mother.budget_share": share}
        mother, *members = compose(task, "mothernets", **options).stages
        total = sum(planned_flops(stage, task) for stage in (mother, *members))
        flops[share] = planned_flops(mother, task) / total
        assert len({stage.recipe.epochs for stage in members}) == 1
    # To half an epoch of all members, a thirtieth of this budget.
    for share, found in flops.items():
        assert found == pytest.approx(share, abs=0.05)


def test_of_larger_budgets_mothernets_take_less(task):
    """By default they train for epochs that grow with the budget's square root."""
    found = {}
    for epochs in (50.0, 200.0, 800.0):
        options = {"budget.epochs": epochs, "mother.budget_share": None}
        mother, *members = compose(task, "mothernets", **options).stages
        found[epochs] = mother.recipe.epochs
        spent = sum(planned_flops(stage, task) for stage in (mother, *members))
        settings = settings_of(**options)
        budget = budget_flops(task, settings, settings.members)
        assert 0.98 * budget < spent <= budget
    assert found[200.0] / found[50.0] == pytest.approx(2, rel=0.15)
    assert found[800.0] / found[200.0] == pytest.approx(2, rel=0.15)


def test_snapshots_are_cycles_of_one_network(task):
    stages = compose(task, "snapshot", **{"snapshot.learning_rate": 0.4}).stages
    rates = np.concatenate([stage_rates(stage, task).ravel() for stage in stages])
    expected = [
        0.4 / 2 * (np.cos(np.pi * (t % 30) / 30) + 1) for t in range(90)
    ]  # Huang et al. 2017, equation 2, iterations from 0
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    start = init(stages[0].architecture, jax.random.key(0), (8, 8, 1), 3)
    state = new_state(start, OPTIMIZER)
    state = state._replace(opt_state=jax.tree.map(jnp.ones_like, state.opt_state))
    start = stages[1].start({stages[0].members[0]: state}, Executables())
    assert start.states[stages[1].members[0]] is state  # momentum is not reset


def test_fge_collects_where_the_rate_is_smallest(task):
    stages = compose(task, "fge", **{"fge.cycle_epochs": 4}).stages
    steps = steps_per_epoch(stages[0].recipe, task)
    assert [stage.recipe.epochs for stage in stages] == [4, 2, 4, 4]
    before = stage_rates(stages[0], task).ravel()
    whole = learning_rates("hold_linear", 0.1, total_steps=14 * steps)
    np.testing.assert_array_equal(before, whole[: 4 * steps])
    rates = [stage_rates(stage, task).ravel() for stage in stages[1:]]
    for cycle in rates:
        assert cycle[-1] == pytest.approx(1e-4) and cycle.argmin() == len(cycle) - 1
    np.testing.assert_allclose(rates[1].max(), 0.05, rtol=1e-6)
    np.testing.assert_array_equal(rates[1], rates[2])


@pytest.mark.parametrize(
    ("budget", "epochs"),
    [(None, [4, 2, 4, 4]), (40.0, [30, 2, 4, 4]), (39.0, [34, 1, 2, 2])],
)
def test_fge_trains_before_its_cycles_for_three_quarters(task, budget, epochs):
    """Three members make 10 epochs of cycles of 4, and 5 of cycles of 2."""
    options = {"fge.cycle_epochs": None, "budget.epochs": budget}
    stages = compose(task, "fge", **options).stages
    assert [stage.recipe.epochs for stage in stages] == epochs


def test_mother_cycles(task):
    mother, *_ = compose(task, "mothernets", **{"mother.cycles": 2}).stages
    rates = stage_rates(mother, task).ravel()
    assert np.flatnonzero(rates == rates.max()).tolist() == [0, 20]


@pytest.mark.parametrize("name", ["", "constant"])
def test_a_mothernet_has_a_schedule_of_its_own(task, name):
    options = {"mother.schedule": name, "hatch.schedule": "linear"}
    mother, member, *_ = compose(task, "mothernets", **options).stages
    falls = stage_rates(mother, task).ravel()[-1] < 0.01
    assert falls == (name == "")  # that of `train`, which is cosine
    assert stage_rates(member, task).ravel()[-1] < 0.01


def test_trees_share_what_their_trunk_costs(task):
    (tree,) = compose(task, "treenets").stages
    (alone,) = [
        stage
        for stage in compose(task, "full_data").stages
        if stage.architecture == tree.architecture
    ]
    saved = 3 * epoch_flops(alone, task) - 3 * epoch_flops(tree, task)
    # Two of three trunks: 100 images x 6 x 64 pixels x 9 taps x (1 x 6 + 6 x 6).
    assert saved == pytest.approx(2 * 100 * 6 * 64 * 9 * 42)
    states = tree.start({}, Executables()).states
    kernels = [state.params["block1_conv1"]["kernel"] for state in states.values()]
    heads = [state.params["head"]["kernel"] for state in states.values()]
    assert all((kernel == kernels[0]).all() for kernel in kernels)
    assert not (heads[0] == heads[1]).any()


def test_students_pay_for_their_teacher(task):
    teacher, *students = compose(task, "distillation").stages
    assert (
        teacher.members == ("teacher",)
        and teacher.architecture == (settings_of().members["C"])
    )
    for student in students:
        assert student.needs == ("teacher",)
        alone = step_spec(task, student.architecture, recipe=Recipe())
        alone = student._replace(spec=alone)
        looks = epoch_flops(student, task) - epoch_flops(alone, task)
        assert looks == pytest.approx(epoch_flops(teacher, task) / 3)


def test_the_distillation_loss_by_hand(seed):
    student, teacher = (settings_of().members[name] for name in "AC")
    rng = np.random.default_rng(seed)
    keys = jax.random.split(jax.random.key(seed), 2)
    state = new_state(init(student, keys[0], (8, 8, 1), 3), OPTIMIZER)
    taught = init(teacher, keys[1], (8, 8, 1), 3)
    images = rng.integers(0, 256, (6, 8, 8, 1), np.uint8)
    labels = np.array([0, 1, 2, 0, 1, 2], np.int32)
    mean, std = jnp.full(1, 127.0), jnp.full(1, 74.0)
    arrays = jnp.asarray(images), jnp.asarray(labels), mean, std
    data = TrainingData(*arrays, (taught,))
    sides = FlipState(keys[0], jnp.int32(0))
    rates = jnp.float32(0.1), jnp.float32(0), jnp.float32(0)
    inputs = StepInputs(jnp.arange(6), keys[1], *rates, sides, jnp.bool_(True))
    spec = plain_spec(student, loss=DistillationLoss((teacher,), 4.0, 0.3))
    step = make_member_step(spec)
    loss, _ = jax.jit(step.loss)(state.params, state.batch_stats, data, inputs)

    def softmax(scores):
        exps = np.exp(scores - scores.max(1, keepdims=True))
        return exps / exps.sum(1, keepdims=True)

    seen = (images - 127.0) / 74.0
    logits_of = jax.jit(apply, static_argnums=0, static_argnames="train")
    own = np.asarray(logits_of(student, state.variables, seen, train=True), np.float64)
    told = np.asarray(logits_of(teacher, taught, seen), np.float64)
    cross_entropy = -np.log(softmax(own)[range(6), labels]).mean()
    p, q = softmax(told / 4), softmax(own / 4)
    divergence = (p * np.log(p / q)).sum(1).mean()
    expected = 0.7 * cross_entropy + 0.3 * 16 * divergence
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    assert abs(float(loss) - cross_entropy) > 0.01


def test_bags_are_drawn_with_replacement_once():
    examples = 1000
    keys = MemberKeys(*[jax.random.split(jax.random.key(0), 2)] * 3)
    zeros = jnp.zeros(2)
    rates = MemberRates(jnp.zeros((2, 10)), zeros, zeros, jnp.ones(2, bool))
    draw = make_epoch_inputs(examples, 100, with_replacement=True)
    bags, again = (
        np.asarray(draw(keys, np.int32(epoch), rates).indices).reshape(2, -1)
        for epoch in (0, 1)
    )
    assert (bags != again).any()
    for bag, other in zip(bags, again, strict=True):
        # The same bag whatever the order, with 1 - 1/e of the images in it.
        assert sorted(bag) == sorted(other)
        assert len(set(bag)) / examples == pytest.approx(1 - 1 / np.e, abs=0.05)
    assert (bags[0] != bags[1]).mean() > 0.9


@pytest.mark.parametrize(
    ("method", "field"), [("bagging", "'bagging'"), ("mothernets", "hatch.bags")]
)
def test_streamed_images_have_no_bags(task, method, field):
    streamed = task._replace(training_data=None)
    with pytest.raises(ValueError, match=f"{field}.* draws images by their place"):
        compose(streamed, method, **{"hatch.bags": True})


def test_bagged_stages_say_so(task):
    assert all(stage.with_replacement for stage in compose(task, "bagging").stages)
    mother, *members = compose(task, "mothernets", **{"hatch.bags": True}).stages
    assert not mother.with_replacement
    assert all(stage.with_replacement for stage in members)
