"""Members stepped together learn what each learns alone, whatever the strategy.

Every case is one epoch of five steps for a group of two members, compiled once
for each strategy and shared by all tests of the case.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_specs import OPTIMIZER, plain_spec

from mothernets_jax.architectures import mlp, vgg
from mothernets_jax.models.variables import init
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.training.augment import pad_for_crops
from mothernets_jax.training.epoch_inputs import (
    MemberKeys,
    MemberRates,
    make_epoch_inputs,
)
from mothernets_jax.training.group_step import (
    STRATEGIES,
    make_steps,
    new_group,
)
from mothernets_jax.training.member_step import TrainingData, new_state
from mothernets_jax.training.step_spec import Augmentation
from mothernets_jax.utils.pytrees import unstack

INPUT_SHAPE, CLASSES, STEPS, BATCH, MEMBERS = (4, 4, 2), 3, 5, 8, 2
FAMILIES = {"mlp": mlp((6,)), "vgg": vgg("(3:3)")}  # the latter normalises
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}


class Group:
    """Members of one architecture with keys, data, and programs to train them."""

    def __init__(self, family: str, dtype: str):
        self.architecture = FAMILIES[family]
        # In one case only: compiling the draws takes longer than all the rest.
        varied = family == "mlp" and dtype == "float32"
        self.augmentation = Augmentation(
            crop_padding=int(varied), flip="random" if varied else "none"
        )
        self.tolerance, self.executables = TOLERANCES[dtype], Executables()
        generator = np.random.default_rng(0)
        examples = STEPS * BATCH + 3  # three sit the epoch out
        images = generator.integers(0, 256, (examples, *INPUT_SHAPE), np.uint8)
        self.data = TrainingData(
            jnp.asarray(pad_for_crops(images, self.augmentation.crop_padding, "black")),
            jnp.asarray(generator.integers(0, CLASSES, examples, np.int32)),
            jnp.asarray([120.0, 130.0], dtype),
            jnp.asarray([70.0, 75.0], dtype),
        )
        self.rates = np.linspace(0.02, 0.1, STEPS, dtype=dtype)
        self.examples = examples
        self.keys = list(jax.random.split(jax.random.key(1), MEMBERS))
        keys = jax.random.split(jax.random.key(2), MEMBERS)
        self.starts = [
            jax.tree.map(
                lambda leaf: leaf.astype(dtype),
                init(self.architecture, key, INPUT_SHAPE, CLASSES),
            )
            for key in keys
        ]

    def states(self, starts=None):
        return [new_state(start, OPTIMIZER) for start in starts or self.starts]

    def inputs(self, keys, active=None, rates=None, decay=None):
        """An `EpochInputs` for as many members as there are keys."""
        dtype, members = self.rates.dtype, len(keys)
        rates = self.rates if rates is None else rates
        rates = MemberRates(
            jnp.broadcast_to(rates, (members, STEPS)).astype(dtype),
            jnp.full(members, 1e-2 if decay is None else decay, dtype),
            jnp.full(members, 0.1, dtype),
            jnp.asarray(active or [True] * members),
        )
        keys = MemberKeys(*[jnp.stack(keys)] * 3)
        return make_epoch_inputs(self.examples, BATCH)(keys, np.int32(0), rates)

    def run(self, strategy, states, inputs, calls=((0, STEPS),)):
        """The members' states and the sums of their metrics as NumPy arrays."""
        spec = plain_spec(self.architecture, self.augmentation)
        function = make_steps(spec, strategy)
        size = 1 if strategy == "loop" else len(states)
        found = []
        for i in range(0, len(states), size):
            group = new_group(states[i : i + size])
            own = jax.tree.map(lambda leaf, i=i: leaf[i : i + size], inputs)
            for first, stop in calls:
                args = (group, self.data, own, jnp.int32(first), jnp.int32(stop))
                group = self.executables.get(function, *args)(*args)
            found += unstack(jax.device_get(group), size)
        return [state.members for state in found], [state.sums for state in found]

    def train(self, strategy, starts=None, keys=None, calls=((0, STEPS),), **inputs):
        """Five steps; the members' states and metrics as NumPy arrays."""
        inputs = self.inputs(keys or self.keys, **inputs)
        return self.run(strategy, self.states(starts), inputs, calls)


@pytest.fixture(
    scope="module",
    params=[("mlp", "float32"), ("vgg", "float32"), ("vgg", "float64")],
    ids=lambda param: "-".join(param),
)
def group(request):
    family, dtype = request.param
    with jax.enable_x64(dtype == "float64"):
        made = Group(family, dtype)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(made.starts)} == {dtype}
        yield made


@pytest.fixture(scope="module")
def trained(group):
    """States and metrics of the whole group, by strategy."""
    return {strategy: group.train(strategy) for strategy in STRATEGIES}


def relative_difference(one, other):
    """The largest difference of two trees, each leaf relative to its largest entry."""

    def of_leaf(a, b):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        return np.abs(a - b).max() / max(np.abs(b).max(), 1e-3)

    return max(jax.tree.leaves(jax.tree.map(of_leaf, one, other)))


def assert_same_bits(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def pairs(members):
    return itertools.combinations(members, 2)


def test_all_strategies_learn_the_same(group, trained):
    states, metrics = trained["loop"]  # every member alone
    for strategy in STRATEGIES:
        found_states, found_metrics = trained[strategy]
        assert relative_difference(found_states, states) < group.tolerance
        assert relative_difference(found_metrics, metrics) < group.tolerance
    assert {len(jax.tree.leaves(state.opt_state)) for state in states} == {
        len(jax.tree.leaves(states[0].params))  # momentum was compared, too
    }
    # The control: the comparison sees members apart, and that they have learned.
    assert min(relative_difference(a, b) for a, b in pairs(states)) > 0.01
    for state, start in zip(states, group.starts, strict=True):
        assert relative_difference(state.variables, jax.device_get(start)) > 0.01


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_equal_beginnings_part_by_their_keys_alone(group, strategy):
    equal = group.starts[:1] * MEMBERS
    states, _ = group.train(strategy, equal)
    assert min(relative_difference(a.params, b.params) for a, b in pairs(states)) > 0.01
    # The control: with equal keys they stay one network.
    states, _ = group.train(strategy, equal, group.keys[:1] * MEMBERS)
    assert max(relative_difference(a, b) for a, b in pairs(states)) < group.tolerance


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_stands_idle_is_left_as_it_was(group, trained, strategy):
    expected_states, expected_metrics = trained[strategy]
    idle = 1
    active = [i != idle for i in range(MEMBERS)]
    states, metrics = group.train(strategy, active=active)
    assert_same_bits(states[idle], jax.device_get(group.states()[idle]))
    for i in range(MEMBERS):
        if i != idle:  # the others train as they do beside a busy one
            assert_same_bits(states[i], expected_states[i])
            assert_same_bits(metrics[i], expected_metrics[i])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_how_an_epoch_is_divided_into_calls_changes_no_bit(group, trained, strategy):
    found = group.train(strategy, calls=((0, 1), (1, 1), (1, 4), (4, STEPS)))
    assert_same_bits(found, trained[strategy])


def test_members_of_a_group_may_differ_in_all_that_is_traced(group):
    """Each learns what it learns alone: rates, decay, smoothing, a bag of examples."""
    bags = np.random.default_rng(1).integers(0, group.examples, (MEMBERS, STEPS, BATCH))
    factors = np.array([[1.0], [0.3]])
    options = {"rates": factors * group.rates, "decay": np.array([0.0, 0.1])}
    starts = group.starts[:1] * MEMBERS
    inputs = group.inputs(group.keys, **options)
    smoothing = jnp.asarray([0.0, 0.5], group.rates.dtype)
    inputs = inputs._replace(
        indices=jnp.asarray(bags, jnp.int32),
        rates=inputs.rates._replace(label_smoothing=smoothing),
    )
    together, _ = group.run("vmap", group.states(starts), inputs)
    alone, _ = group.run("loop", group.states(starts), inputs)
    assert relative_difference(together, alone) < group.tolerance
    for changed in ("indices", "learning_rate", "weight_decay", "label_smoothing"):
        # The control: each of them matters.
        if changed == "indices":
            other = inputs._replace(indices=inputs.indices[::-1])
        else:
            turned = {changed: getattr(inputs.rates, changed)[::-1]}
            other = inputs._replace(rates=inputs.rates._replace(**turned))
        states, _ = group.run("loop", group.states(starts), other)
        assert relative_difference(states, alone) > 10 * group.tolerance


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_member_s_place_does_not_matter(group, trained, strategy):
    expected, _ = trained[strategy]
    states, _ = group.train(strategy, group.starts[::-1], group.keys[::-1])
    assert relative_difference(states[::-1], expected) < group.tolerance


def test_metrics_are_summed_over_the_steps(group, trained):
    for loss, accuracy in trained["loop"][1]:
        assert 0.3 * math.log(CLASSES) < loss / STEPS < 3 * math.log(CLASSES)
        right = accuracy * BATCH  # a whole number of images
        assert right == pytest.approx(round(float(right)), abs=1e-4)


def test_a_group_compiles_once_and_its_likes_not_at_all(group, trained):
    assert trained.keys() == set(STRATEGIES)
    store = group.executables.store
    assert store.count("train_steps") == len(STRATEGIES)
    for strategy in STRATEGIES:
        # A second group of the same shape, and another recipe.
        group.train(strategy, group.starts[1:] + group.starts[:1], group.keys[::-1])
        group.train(strategy, rates=group.rates / 2)
    assert store.count("train_steps") == len(STRATEGIES)
