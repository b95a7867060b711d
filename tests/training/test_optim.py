"""The optimiser against its rule, written out."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mothernets_jax.training.optim import sgd

PARAMS = {
    "conv": {
        "layer": {"kernel": [[1.0, -2.0], [0.5, 4.0]]},
        "norm": {"scale": [1.0, 2.0], "bias": [0.5, -1.0]},
    },
    "head": {"kernel": [[3.0, -1.0]], "bias": [2.0, 1.0]},
}


def as_arrays(tree):
    is_leaf = lambda node: isinstance(node, list)
    return jax.tree.map(jnp.array, tree, is_leaf=is_leaf)


def run(learning_rate_of, weight_decay, grads_of, steps):
    """Parameters after each step, by one compiled step with everything traced."""

    @jax.jit
    def step(params, momentum, grads, learning_rate, weight_decay):
        updates, momentum = sgd(
            grads,
            momentum,
            params,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
        )
        return optax.apply_updates(params, updates), momentum

    params = as_arrays(PARAMS)
    momentum = jax.tree.map(jnp.zeros_like, params)
    for i in range(steps):
        rate = jnp.float32(learning_rate_of(i))
        grads = grads_of(params, i)
        params, momentum = step(params, momentum, grads, rate, weight_decay)
        yield params
    assert step._cache_size() == 1


def test_nesterov_by_hand():
    """Momentum 0.9, gradients 1, then 1, then -2: what is stepped along is worked out.

    velocity: 1, then 0.9 + 1 = 1.9, then 1.71 - 2 = -0.29;
    direction, gradient + 0.9 velocity: 1.9, then 2.71, then -2.261.
    """
    gradients, rates = [1.0, 1.0, -2.0], [0.1, 0.2, 0.5]
    moved = 0.0
    results = run(
        lambda i: rates[i],
        0.0,
        lambda params, i: jax.tree.map(
            lambda p: jnp.full_like(p, gradients[i]), params
        ),
        steps=3,
    )
    expected = [0.1 * 1.9, 0.2 * 2.71, 0.5 * -2.261]
    for params, step in zip(results, expected, strict=True):
        moved -= step
        jax.tree.map(
            lambda p, start, m=moved: np.testing.assert_allclose(
                p, start + m, rtol=1e-5, atol=1e-6
            ),
            params,
            as_arrays(PARAMS),
        )


def test_weight_decay_spares_biases_and_normalisation():
    (params,) = run(
        lambda i: 0.1, 0.5, lambda params, i: jax.tree.map(jnp.zeros_like, params), 1
    )
    start = as_arrays(PARAMS)
    # One step on the gradient 0.5 x kernel: 0.1 x (1 + 0.9) x 0.5 of it is gone.
    for found, before in [
        (params["conv"]["layer"]["kernel"], start["conv"]["layer"]["kernel"]),
        (params["head"]["kernel"], start["head"]["kernel"]),
    ]:
        np.testing.assert_allclose(found, 0.905 * before, rtol=1e-6)
    for found, before in [
        (params["conv"]["norm"]["scale"], start["conv"]["norm"]["scale"]),
        (params["conv"]["norm"]["bias"], start["conv"]["norm"]["bias"]),
        (params["head"]["bias"], start["head"]["bias"]),
    ]:
        np.testing.assert_array_equal(found, before)


def test_weight_decay_enters_the_momentum():
    """L2: the same as a gradient of decay x kernel in the loss."""
    decayed = list(
        run(lambda i: 0.1, 0.5, lambda p, i: jax.tree.map(jnp.ones_like, p), steps=3)
    )[-1]

    def with_decay(params, i):
        return jax.tree_util.tree_map_with_path(
            lambda path, p: 1 + 0.5 * p * (path[-1].key == "kernel"), params
        )

    expected = list(run(lambda i: 0.1, 0.0, with_decay, steps=3))[-1]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), decayed, expected
    )


def test_a_rate_of_zero_stays():
    (params,) = run(
        lambda i: 0.0, 0.5, lambda params, i: jax.tree.map(jnp.ones_like, params), 1
    )
    jax.tree.map(np.testing.assert_array_equal, params, as_arrays(PARAMS))
