"""The optimiser against its rule, written out."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mothernets_jax.config.settings import OPTIMIZERS as NAMES
from mothernets_jax.training import optim
from mothernets_jax.training.optim import OPTIMIZERS, SGD

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


def run(learning_rate_of, weight_decay, grads_of, steps, optimizer=OPTIMIZERS["sgd"]):
    """Parameters after each step, by one compiled step with everything traced."""

    @jax.jit
    def step(params, opt_state, grads, learning_rate, weight_decay):
        updates, opt_state = optim.update(
            optimizer,
            grads,
            opt_state,
            params,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
        )
        return optax.apply_updates(params, updates), opt_state

    params = as_arrays(PARAMS)
    opt_state = optim.init(optimizer, params)
    for i in range(steps):
        rate = jnp.float32(learning_rate_of(i))
        grads = grads_of(params, i)
        params, opt_state = step(params, opt_state, grads, rate, weight_decay)
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


def kernels(tree):
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key == "kernel", tree
    )


# By optax's own aliases, each with a rate that stays.
PEERS = {
    "sgd": lambda rate, decay: optax.chain(
        optax.add_decayed_weights(decay, kernels),
        optax.sgd(rate, momentum=0.9, nesterov=True),
    ),
    "adamw": lambda rate, decay: optax.adamw(rate, weight_decay=decay, mask=kernels),
    "lion": lambda rate, decay: optax.lion(rate, weight_decay=decay, mask=kernels),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_five_steps_are_those_of_optax(name, seed):
    rng = np.random.default_rng(seed)
    params, rate, decay = as_arrays(PARAMS), 0.03, 0.2
    gradients = [
        jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape), p.dtype), params)
        for _ in range(5)
    ]
    found = run(
        lambda i: rate, decay, lambda _, i: gradients[i], 5, optimizer=OPTIMIZERS[name]
    )
    peer = PEERS[name](rate, decay)
    state = peer.init(params)
    for own, gradient in zip(found, gradients, strict=True):
        updates, state = peer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6),
            own,
            params,
        )


def test_descriptions_made_apart_are_equal_and_transformations_are_not():
    assert SGD() == SGD() and hash(SGD()) == hash(SGD()) != hash(SGD(momentum=0.5))
    assert SGD().transformation(0.1, 0.0) != SGD().transformation(0.1, 0.0)
    assert NAMES == tuple(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_has_the_slots_that_it_is_said_to_have(name):
    optimizer = OPTIMIZERS[name]
    state = optim.init(optimizer, as_arrays(PARAMS))
    assert state.keys() == optimizer.slots.keys()
    arrays = sum(leaf.size for leaf in jax.tree.leaves(state))
    entire = jax.tree.leaves(optimizer.transformation(0.0, 0.0).init(as_arrays(PARAMS)))
    assert arrays == sum(leaf.size for leaf in entire)  # none is forgotten
