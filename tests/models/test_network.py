"""A network as a Linen module: what Flax makes of it, this package takes, and back."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

import mothernets_jax as mn

SHAPE = (4, 4, 2)
SMALL, LARGE = mn.parse("vgg (3:2); batch_norm"), mn.parse("vgg (3:4)x2; batch_norm")


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(0), (6, *SHAPE))


def test_its_own_variables_are_of_the_distribution_of_init(images):
    wide = mn.mlp((400,), batch_norm=True)
    found = mn.Network(wide, 500).init(jax.random.key(1), images, train=False)
    drawn = mn.init(wide, jax.random.key(1), SHAPE, 500)
    assert jax.tree.structure(found) == jax.tree.structure(drawn)
    for layer, gain, inputs in (("dense1", 2, 32), ("head", 1, 400)):
        deviation = math.sqrt(gain / inputs)
        for variables in (found, drawn):
            kernel = np.asarray(variables["params"][layer].pop("kernel"))
            assert kernel.std() == pytest.approx(deviation, rel=0.05)
            assert np.abs(kernel).max() > 3 * deviation  # not truncated
    jax.tree.map(np.testing.assert_array_equal, found, drawn)  # biases, statistics


def test_variables_of_one_are_those_of_the_other_and_hatch(images):
    network = mn.Network(SMALL, num_classes=3)
    variables = network.init(jax.random.key(1), images, train=False)
    logits, updates = network.apply(
        variables, images, train=True, mutable=["batch_stats"]
    )
    expected, statistics = mn.apply_train(SMALL, variables, images)
    np.testing.assert_array_equal(logits, expected)
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], statistics)
    grown = mn.hatch(variables, SMALL, LARGE, jax.random.key(2))
    found = mn.Network(LARGE, num_classes=3).apply(grown, images, train=False)
    np.testing.assert_allclose(
        found, mn.apply(SMALL, variables, images), rtol=1e-4, atol=1e-5
    )


def test_it_trains_in_flaxs_own_state_and_joins_an_ensemble(images):
    network, labels = mn.Network(mn.mlp((8,)), num_classes=2), jnp.arange(6) % 2
    params = network.init(jax.random.key(1), images, train=False)["params"]
    apply = network.apply
    state = TrainState.create(apply_fn=apply, params=params, tx=optax.sgd(0.3))

    @jax.jit
    def step(state):
        def loss(params):
            logits = state.apply_fn({"params": params}, images, train=True)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean()

        value, grads = jax.value_and_grad(loss)(state.params)
        return state.apply_gradients(grads=grads), value

    losses = []
    for _ in range(40):
        state, value = step(state)
        losses.append(float(value))
    assert losses[-1] < 0.2 * losses[0]
    ensemble = mn.Ensemble(
        {"A": (network.architecture, {"params": state.params})},
        mean=0,
        std=1,
        input_shape=SHAPE,
    )
    pixels = np.random.default_rng(0).integers(0, 3, (2, *SHAPE), np.uint8)
    logits = network.apply({"params": state.params}, pixels.astype(float), train=False)
    np.testing.assert_allclose(
        ensemble.predict(pixels), jax.nn.softmax(logits), rtol=1e-4
    )
