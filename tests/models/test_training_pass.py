"""The training pass: the same logits as `apply`, and the running statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mothernets_jax as mn

NETWORK, SHAPE, CLASSES = mn.mlp((5,), batch_norm=True), (2, 3, 1), 4


@pytest.fixture(scope="module")
def variables():
    return mn.init(NETWORK, jax.random.key(0), SHAPE, CLASSES)


@pytest.fixture(scope="module")
def images():
    return 2 + 3 * jax.random.normal(jax.random.key(1), (16, *SHAPE))


def test_statistics_move_a_tenth_of_the_way_to_those_of_the_batch(variables, images):
    logits, batch_stats = mn.apply_train(NETWORK, variables, images)
    expected = mn.apply(NETWORK, variables, images, train=True)
    np.testing.assert_array_equal(logits, expected)
    kernel = np.asarray(variables["params"]["dense1"]["kernel"], np.float64)
    values = np.asarray(images, np.float64).reshape(len(images), -1) @ kernel
    (name,) = batch_stats
    old, new = variables["batch_stats"][name], batch_stats[name]
    for moment, own in [("mean", values.mean(axis=0)), ("var", values.var(axis=0))]:
        np.testing.assert_allclose(
            new[moment], 0.9 * old[moment] + 0.1 * own, rtol=1e-4, atol=1e-5
        )


def test_kept_statistics_make_evaluation_what_training_was(variables, images):
    """The same batch again and again; parameters stay as they are."""
    step = jax.jit(mn.apply_train, static_argnums=0)
    kept = variables
    for _ in range(200):
        trained, batch_stats = step(NETWORK, kept, images)
        kept = {**kept, "batch_stats": batch_stats}
    found = mn.apply(NETWORK, kept, images)
    np.testing.assert_allclose(found, trained, rtol=1e-3, atol=1e-4)
    dropped = mn.apply(NETWORK, variables, images)
    assert np.abs(dropped - trained).max() > 0.1


def test_it_composes_with_jit_grad_and_vmap(variables, images):
    """Of two members at once, each as by itself."""
    labels = jnp.arange(16) % CLASSES

    def loss(params, batch_stats):
        own = {"params": params, "batch_stats": batch_stats}
        logits, new = mn.apply_train(NETWORK, own, images)
        return -jax.nn.log_softmax(logits)[jnp.arange(16), labels].mean(), new

    step = jax.value_and_grad(loss, has_aux=True)
    other = mn.init(NETWORK, jax.random.key(2), SHAPE, CLASSES)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), variables, other)
    found = jax.jit(jax.vmap(step))(both["params"], both["batch_stats"])
    for member, own in enumerate((variables, other)):
        expected = step(own["params"], own["batch_stats"])
        jax.tree.map(
            lambda a, b, member=member: np.testing.assert_allclose(
                a[member], b, rtol=1e-4, atol=1e-5
            ),
            found,
            expected,
        )


def test_without_normalisation_there_are_no_statistics(images):
    plain = mn.mlp((5,))
    variables = mn.init(plain, jax.random.key(0), SHAPE, CLASSES)
    logits, batch_stats = mn.apply_train(plain, variables, images)
    np.testing.assert_array_equal(logits, mn.apply(plain, variables, images))
    assert batch_stats == {}


@pytest.mark.parametrize("shape", [(1, 1, 64), (4, 4, 512), (1, 28, 1), (3, 3, 3)])
def test_shapes_that_may_be_meant_are_taken(shape):
    network = mn.mlp((2,))
    variables = mn.init(network, jax.random.key(0), shape, CLASSES)
    images = np.ones((2, *shape), np.float32)
    assert mn.apply(network, variables, images).shape == (2, CLASSES)
