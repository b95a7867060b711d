"""Weighted losses: by copies of the images, by NumPy, and in every strategy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.utils.class_weight import compute_class_weight
from step_specs import OPTIMIZER, plain_spec
from tiny_stages import RECIPE, make_dataset

from mothernets_jax.architectures import mlp
from mothernets_jax.config.settings import Recipe
from mothernets_jax.methods.distillation import DistillationLoss
from mothernets_jax.models.apply import apply
from mothernets_jax.models.variables import abstract_variables, init
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.inputs import class_weights
from mothernets_jax.stages.prepare import prepare_training
from mothernets_jax.stages.stage import Stage, Start
from mothernets_jax.stages.task import make_task, step_spec
from mothernets_jax.stages.trainer import GroupTrainer
from mothernets_jax.training.augment import FlipState
from mothernets_jax.training.branching_step import SharedTrunk, first_of_branches
from mothernets_jax.training.group_step import STRATEGIES
from mothernets_jax.training.losses import (
    balanced_class_weights,
    smoothed_cross_entropy,
)
from mothernets_jax.training.member_step import (
    StepInputs,
    TrainingData,
    make_member_step,
    new_state,
)
from mothernets_jax.utils.pytrees import stack, unstack

NETWORK, SHAPE, CLASSES = mlp((5, 4)), (2, 2, 1), 3
LABELS = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2], np.int32)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, *SHAPE), np.uint8)


def data_of(places, weights=None, teachers=()):
    """Some of the images, as often as their places are given."""
    return TrainingData(
        jnp.asarray(IMAGES[places]),
        jnp.asarray(LABELS[places]),
        jnp.array([128.0]),
        jnp.array([64.0]),
        teachers,
        weights,
    )


def inputs_of(count, smoothing=0.1):
    key = jax.random.key(0)
    scalars = map(jnp.float32, (0.1, 0.01, smoothing))
    sides = FlipState(key, jnp.int32(0))
    return StepInputs(jnp.arange(count), key, *scalars, sides, jnp.bool_(True))


def new_network(seed=0):
    return init(NETWORK, jax.random.key(seed), SHAPE, CLASSES)


def step(places, weights, variables=None):
    function = jax.jit(make_member_step(plain_spec(NETWORK)))
    data = data_of(places, weights)
    return function(
        new_state(variables or new_network(), OPTIMIZER), data, inputs_of(len(places))
    )


def assert_near(one, other, rtol=1e-5):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6), one, other
    )


def test_balanced_weights_are_those_of_scikit_learn(seed):
    labels = np.random.default_rng(seed).choice(4, 200, p=[0.6, 0.25, 0.1, 0.05])
    labels[:4] = range(4)
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    found = balanced_class_weights(labels, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[labels].mean() == pytest.approx(1, rel=1e-6)


def test_weights_do_what_copies_of_rare_images_do():
    """Twice as many images of class 0: the others once more make all classes equal."""
    every, rare = np.arange(12), np.arange(6, 12)
    weights = jnp.asarray(balanced_class_weights(LABELS, CLASSES))
    found, metrics = step(every, weights)
    expected, of_copies = step(np.concatenate([every, rare]), None)
    assert_near(found, expected)
    assert metrics.loss == pytest.approx(float(of_copies.loss), rel=1e-5)
    # The control: without weights it is another step.
    plain, unweighted = step(every, None)
    moved = found.params["head"]["bias"] - plain.params["head"]["bias"]
    assert np.abs(moved).max() > 1e-3
    # Images count once in the accuracy.
    assert metrics.accuracy == unweighted.accuracy


def test_a_weighted_loss_and_its_gradient_by_numpy():
    rng = np.random.default_rng(1)
    logits, weights = rng.normal(size=(12, 3)), np.array([0.5, 2.0, 1.25])
    targets = 0.8 * np.eye(3)[LABELS] + 0.2 / 3
    losses = -(targets * log_softmax(logits, axis=1)).sum(1) * weights[LABELS]
    probabilities = np.exp(log_softmax(logits, axis=1))
    gradient = (probabilities - targets) * weights[LABELS, None] / 12

    def mean_loss(logits):
        found = smoothed_cross_entropy(logits, LABELS, 0.2, jnp.asarray(weights))
        return found.mean()  # by the number of images, not by the sum of weights

    found = jax.value_and_grad(mean_loss)(jnp.asarray(logits))
    assert_near(found, (losses.mean(), gradient))


def test_without_weights_there_is_no_factor_in_the_program():
    def operations(weights):
        loss = make_member_step(plain_spec(NETWORK)).loss
        args = new_network()["params"], {}, data_of(np.arange(12), weights)
        jaxpr = jax.make_jaxpr(loss)(*args, inputs_of(12))
        return len(jaxpr.in_avals), sum(
            equation.primitive.name == "mul" for equation in jaxpr.jaxpr.eqns
        )

    inputs, products = operations(None)
    assert operations(jnp.ones(3)) == (inputs + 1, products + 1)


def test_branches_are_weighted_as_networks_are():
    weights = jnp.asarray(balanced_class_weights(LABELS, CLASSES))
    cut = first_of_branches(NETWORK, 1)
    starts = [new_network(0), new_network(1)]
    starts[1]["params"]["dense1"] = starts[0]["params"]["dense1"]
    states = [new_state(start, OPTIMIZER) for start in starts]
    data, inputs = data_of(np.arange(12), weights), inputs_of(12)
    alone = [step(np.arange(12), weights, start) for start in starts]
    for vmapped in (False, True):
        spec = plain_spec(NETWORK, coupling=SharedTrunk(cut))
        branching = spec.coupling.group_step(spec, vmapped=vmapped, batch_axis=None)
        found, metrics = jax.jit(branching)(stack(states), data, stack([inputs] * 2))
        for i, member in enumerate(unstack(found, 2)):
            expected, own = alone[i]
            for layer in ("dense2", "head"):
                assert_near(member.params[layer], expected.params[layer])
            assert metrics.loss[i] == pytest.approx(float(own.loss), rel=1e-5)


def test_of_a_taught_network_the_label_s_part_is_weighted():
    student, teacher = new_network(0), new_network(1)
    weights = np.array([0.5, 2.0, 1.25], np.float32)
    taught = DistillationLoss((NETWORK,), 4.0, 0.3)
    loss = jax.jit(make_member_step(plain_spec(NETWORK, loss=taught)).loss)
    data = data_of(np.arange(12), jnp.asarray(weights), (teacher,))
    found, _ = loss(student["params"], {}, data, inputs_of(12, smoothing=0.0))
    seen = (IMAGES - 128.0) / 64.0
    own, told = (
        np.asarray(apply(NETWORK, variables, seen), np.float64)
        for variables in (student, teacher)
    )
    cross_entropies = -log_softmax(own, axis=1)[range(12), LABELS]
    p, q = log_softmax(told / 4, axis=1), log_softmax(own / 4, axis=1)
    divergence = (np.exp(p) * (p - q)).sum(1).mean()
    labels_part = (weights[LABELS] * cross_entropies).mean()
    expected = 0.7 * labels_part + 0.3 * 16 * divergence
    assert found == pytest.approx(expected, rel=1e-4)


# In a stage.


def rare_task():
    """12 images of one class and 4 of another, in one batch."""
    dataset = make_dataset(4)
    labels = np.repeat([0, 1], [12, 4]).astype(np.int32)
    dataset = dataset._replace(
        train_images=np.random.default_rng(2).integers(0, 256, (16, 2, 2, 1), np.uint8),
        train_labels=labels,
    )
    options = {"crop_padding": 0, "crop_border": "black", "flip": "none"}
    return make_task(dataset, **options, seed=0, batch_size=16)


def train(strategy, weights, executables):
    """Two members' states after two epochs of one step each."""
    task = rare_task()
    recipe = dataclasses.replace(
        RECIPE, batch_size=16, learning_rate=0.1, class_weights=weights
    )
    names = ("a", "b")
    spec = step_spec(task, mlp((3,)), recipe=Recipe())
    stage = Stage("m", "s", names, recipe, spec, lambda *_: Start({}, {}))
    keys = jax.random.split(jax.random.key(0), 2)
    shape, classes = task.input_shape, task.num_classes
    starts = [
        new_state(init(stage.architecture, key, shape, classes), OPTIMIZER)
        for key in keys
    ]
    task = task._replace(devices=task.devices[:1])
    variables = abstract_variables(stage.architecture, shape, classes)
    prepare_training(stage, task, variables, strategy, executables.store)
    trainer = GroupTrainer(stage, task, starts, strategy, executables)
    for epoch in (0, 1):
        trainer.run_epoch(epoch, [True, True])
    return trainer.states()


def test_all_strategies_weigh_alike_and_compile_once():
    executables = Executables()
    found = [train(strategy, "balanced", executables) for strategy in STRATEGIES]
    # What was prepared is what ran, for the first member and for the second.
    assert executables.store.count("train_steps") == len(STRATEGIES)
    for states in found[1:]:
        assert_near(states, found[0], rtol=1e-4)
    plain = train("vmap", "none", executables)
    assert executables.store.count("train_steps") == len(STRATEGIES) + 1
    apart = plain["a"].params["head"]["bias"] - found[0]["a"].params["head"]["bias"]
    assert np.abs(apart).max() > 1e-3


def test_weights_are_of_the_training_split():
    task, recipe = rare_task(), dataclasses.replace(RECIPE, class_weights="balanced")
    found = class_weights(recipe, task)
    np.testing.assert_allclose(found, [16 / (2 * 12), 16 / (2 * 4)], rtol=1e-6)
    assert class_weights(RECIPE, task) is None
