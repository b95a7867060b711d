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

from mothernets_jax.architectures import mlp, vgg
from mothernets_jax.augment import pad_for_crops
from mothernets_jax.compilation import Executables
from mothernets_jax.groups import STRATEGIES, choose_strategy, make_epoch, train_epoch
from mothernets_jax.models import init
from mothernets_jax.training import Augmentation, TrainingData, new_state

INPUT_SHAPE, CLASSES, STEPS, BATCH, MEMBERS = (4, 4, 2), 3, 5, 8, 2
FAMILIES = {"mlp": mlp((6,)), "vgg": vgg("(3:3) | (1:4)")}  # the latter normalises
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}


class Group:
    """Members of one architecture with keys, data, and programs to train them."""

    def __init__(self, family: str, dtype: str):
        self.architecture = FAMILIES[family]
        # In one case only: compiling the draws takes longer than all the rest.
        varied = family == "mlp" and dtype == "float32"
        self.augmentation = Augmentation(crop_padding=int(varied), flip=varied)
        self.tolerance, self.executables = TOLERANCES[dtype], Executables()
        generator = np.random.default_rng(0)
        examples = STEPS * BATCH + 3  # three sit the epoch out
        images = generator.integers(0, 256, (examples, *INPUT_SHAPE), np.uint8)
        self.data = TrainingData(
            pad_for_crops(jnp.asarray(images), self.augmentation.crop_padding),
            jnp.asarray(generator.integers(0, CLASSES, examples, np.int32)),
            jnp.asarray([120.0, 130.0], dtype),
            jnp.asarray([70.0, 75.0], dtype),
        )
        rates = jnp.linspace(0.02, 0.1, STEPS, dtype=dtype)
        self.recipe = rates, jnp.asarray(1e-2, dtype)  # and weight decay
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
        return [new_state(start) for start in starts or self.starts]

    def program(self, strategy, states, keys):
        together = 1 if strategy == "loop" else len(states)
        return self.executables.get(
            make_epoch(self.architecture, self.augmentation, BATCH, strategy),
            tuple(states[:together]),
            self.data,
            tuple(keys[:together]),
            *self.recipe,
        )

    def train(self, strategy, starts=None, keys=None, active=None, recipe=None):
        """Five steps; the members' states and metrics as NumPy arrays."""
        states, keys = self.states(starts), keys or self.keys
        trained = train_epoch(
            self.program(strategy, states, keys),
            strategy,
            states,
            active or [True] * len(states),
            self.data,
            keys,
            *(recipe or self.recipe),
        )
        return jax.device_get(trained)


@pytest.fixture(
    scope="module",
    params=itertools.product(FAMILIES, TOLERANCES),
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
    assert {len(jax.tree.leaves(state.optimiser)) for state in states} == {
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
    assert metrics[idle] is None
    for i in range(MEMBERS):
        if i != idle:  # the others train as they do beside a busy one
            assert_same_bits(states[i], expected_states[i])
            assert_same_bits(metrics[i], expected_metrics[i])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_member_s_place_does_not_matter(group, trained, strategy):
    expected, _ = trained[strategy]
    states, _ = group.train(strategy, group.starts[::-1], group.keys[::-1])
    assert relative_difference(states[::-1], expected) < group.tolerance


def test_metrics_are_means_over_the_epoch(group, trained):
    for loss, accuracy in trained["loop"][1]:
        assert 0.3 * math.log(CLASSES) < loss < 3 * math.log(CLASSES)
        right = accuracy * STEPS * BATCH  # a whole number of images
        assert right == pytest.approx(round(float(right)), abs=1e-4)


def test_a_group_compiles_once_and_its_likes_not_at_all(group, trained):
    assert trained.keys() == set(STRATEGIES)
    assert group.executables.count == len(STRATEGIES)
    for strategy in STRATEGIES:
        # A second group of the same shape, and another recipe.
        group.train(strategy, group.starts[1:] + group.starts[:1], group.keys[::-1])
        group.train(strategy, recipe=jax.tree.map(lambda leaf: leaf / 2, group.recipe))
    assert group.executables.count == len(STRATEGIES)


def test_other_shapes_are_other_programs():
    """The control: what counts the groups' programs does tell shapes apart."""
    executables = Executables()
    double = jax.jit(lambda tree: jax.tree.map(lambda leaf: 2 * leaf, tree))
    half = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf / 2, tree))
    four, five = jnp.arange(4.0), jnp.arange(5.0)
    program = executables.get(double, {"a": four})
    np.testing.assert_array_equal(program({"a": four})["a"], [0, 2, 4, 6])
    assert executables.get(double, {"a": four + 1}) is program
    assert executables.count == 1
    for count, args in enumerate(
        [
            (double, {"a": five}),
            (double, {"a": four.astype(jnp.int32)}),
            (double, {"b": four}),
            (half, {"a": four}),
        ],
        start=2,
    ):
        assert executables.get(*args) is not program
        assert executables.count == count
    assert executables.seconds > 0


@pytest.mark.parametrize(
    ("requested", "members", "backend", "expected"),
    [
        ("auto", 1, "cpu", "loop"),
        ("auto", 2, "cpu", "unroll"),
        ("auto", 4, "cpu", "unroll"),
        ("auto", 5, "cpu", "loop"),
        ("auto", 1, "gpu", "loop"),
        ("auto", 2, "gpu", "vmap"),
        ("auto", 5, "tpu", "vmap"),
        ("vmap", 2, "cpu", "vmap"),
        ("unroll", 9, "gpu", "unroll"),
        ("loop", 2, "gpu", "loop"),
    ],
)
def test_auto_follows_its_written_rule(
    monkeypatch, requested, members, backend, expected
):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert choose_strategy(requested, members) == expected
