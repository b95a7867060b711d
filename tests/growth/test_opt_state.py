"""A hatched optimiser's state is what the member's own gradients would have made."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mothernets_jax.architectures import parse
from mothernets_jax.growth.hatching import hatch
from mothernets_jax.growth.opt_state import (
    COUNTER,
    FIRST_MOMENT,
    SECOND_MOMENT,
    hatch_moment,
    hatch_opt_state,
)
from mothernets_jax.models.apply import apply
from mothernets_jax.models.variables import init

pytestmark = pytest.mark.usefixtures("x64")

# Wider by 2/3 or more, so that copies are uneven; deeper; larger filters.
PAIRS = {
    "mlp": ("mlp 3 4; batch_norm", "mlp 5 9 9; batch_norm"),
    "vgg": ("vgg (1:3) | (3:4); dense 3", "vgg (3:5)x2 | (3:6)x2; dense 4 4"),
    "basic": ("resnet 4 (3:3)", "resnet 7 (5:4) (3:3)"),
    "bottleneck": (
        "resnet 4 (3:3); unit bottleneck",
        "resnet 7 (5:4) (3:3); unit bottleneck",
    ),
    "preact": ("resnet 4 (3:3); unit preact", "resnet 7 (5:4) (3:3); unit preact"),
    "dense": (
        "densenet (3:3) | (3:4); stem 4; transitions 6",
        "densenet (3:4)x2 | (5:4); stem 7; transitions 9",
    ),
    "one layer becomes two": ("densenet (3:4); stem 4", "densenet (3:2)x2; stem 5"),
}
SHAPE, CLASSES = (8, 8, 2), 3


def gradients(architecture, variables, images, labels):
    """Of the loss in evaluation mode, by the parameters."""

    def loss(params):
        logits = apply(architecture, {**variables, "params": params}, images)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean()

    return jax.jit(jax.grad(loss))(variables["params"])


# Where one dense layer becomes two, these share what its normalisation has.
PARTS = {"one layer becomes two": ("block1_layer1_norm1", "block1_layer2_norm1")}

jitted = functools.partial(jax.jit, static_argnums=(1, 2))
hatch_jitted = jitted(functools.partial(hatch, split="equal"), static_argnames="growth")
hatch_moment_jitted = jax.jit(
    hatch_moment, static_argnums=(1, 2), static_argnames=("power", "growth")
)


# Much of these is in the others, too.
SLOW = ("mlp", "basic", "bottleneck", "dense")


@pytest.mark.parametrize(
    "name, growth",
    [
        *(
            pytest.param(n, "copies", marks=pytest.mark.slow if n in SLOW else ())
            for n in PAIRS
        ),
        ("mlp", "pairs"),
        *(
            pytest.param(n, growth, marks=pytest.mark.slow)
            for n in PAIRS
            for growth in ("pairs", "zeros")
            if (n, growth) != ("mlp", "pairs")
        ),
    ],
)
def test_gradients_and_their_squares_grow_like_the_moments(name, growth, seed):
    mother, member = map(parse, PAIRS[name])
    rng = np.random.default_rng(seed)
    key = jax.random.key(seed)
    images = jnp.asarray(rng.normal(size=(8, *SHAPE)))
    labels = jnp.asarray(rng.integers(0, CLASSES, 8))
    start = jax.tree.map(
        lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape) ** 2,
        jax.device_get(init(mother, key, SHAPE, CLASSES)),
    )
    grads = jax.device_get(gradients(mother, start, images, labels))
    hatched = hatch_jitted(start, mother, member, key, growth=growth)
    expected = gradients(member, hatched, images, labels)
    found = hatch_moment_jitted(grads, mother, member, key, growth=growth)
    # What is not new carries a share of the mother's, which that of ones shows.
    ones = jax.tree.map(np.ones_like, grads)
    shares = hatch_moment_jitted(ones, mother, member, key, growth=growth)
    squares = hatch_moment_jitted(
        jax.tree.map(np.square, grads), mother, member, key, power=2, growth=growth
    )
    expected, found, shares, squares = jax.device_get(
        (expected, found, shares, squares)
    )
    # Of a single gradient the second moment is its square, entry by entry.
    jax.tree.map(
        lambda one, two: np.testing.assert_allclose(one**2, two, rtol=1e-10),
        found,
        squares,
    )
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    if name in PARTS:
        one, other = PARTS[name]
        for tree in (found, expected, shares):
            rest = tree.pop(other)
            tree[one] = jax.tree.map(lambda a, b: a + b[: a.size], tree[one], rest)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected))
    new = 0.0
    for layer, leaves in expected.items():
        for leaf, true in leaves.items():
            share = shares[layer][leaf]
            assert share.max() <= 1 + 1e-12
            continued, mine = share > 0, found[layer][leaf]
            error = np.abs(mine - true)[continued].max(initial=0) / largest
            assert error < 1e-10, f"{layer}/{leaf} differs by {error}"
            new = max(new, np.abs(true[~continued]).max(initial=0) / largest)
    # All of the mother's entries are there, and what is new had been left out.
    mothers = sum(leaf.size for leaf in jax.tree.leaves(grads))
    assert sum(leaf.sum() for leaf in jax.tree.leaves(shares)) >= mothers - 1e-9
    assert new > 1e-4


def test_random_shares_give_the_mean(seed):
    """Over many draws, the copies' gradients are on average the momentum."""
    mother, member = parse("mlp 3"), parse("mlp 5")
    rng = np.random.default_rng(seed)
    images = jnp.asarray(rng.normal(size=(8, *SHAPE)))
    labels = jnp.asarray(rng.integers(0, CLASSES, 8))
    start = jax.tree.map(
        lambda leaf: jnp.asarray(leaf + 0.1, jnp.float64),
        init(mother, jax.random.key(seed), SHAPE, CLASSES),
    )
    grads = gradients(mother, start, images, labels)

    @jax.jit
    @jax.vmap
    def errors(key):
        hatched = hatch(start, mother, member, key, split="random")
        share = gradients(member, hatched, images, labels)["dense1"]["bias"]
        mine = hatch_moment(grads, mother, member, key)["dense1"]["bias"]
        return share - mine

    found = np.asarray(errors(jax.random.split(jax.random.key(seed), 2000)))
    deviation = found.std(axis=0)
    assert deviation.max() > 0.01 * float(jnp.abs(grads["dense1"]["bias"]).max())
    uncertainty = deviation / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(found.mean(axis=0)), 5 * uncertainty + 1e-12)


def test_each_slot_is_hatched_by_its_kind(seed):
    mother, member = parse("mlp 3"), parse("mlp 5")
    rng = np.random.default_rng(seed)
    params = init(mother, jax.random.key(seed), SHAPE, CLASSES)["params"]
    one, two = (
        jax.tree.map(lambda leaf: jnp.asarray(rng.random(leaf.shape)), params)
        for _ in range(2)
    )
    state = {"count": jnp.int32(7), "mu": one, "nu": two}
    slots = {"count": COUNTER, "mu": FIRST_MOMENT, "nu": SECOND_MOMENT}
    key = jax.random.key(1)
    hatched = hatch_opt_state(state, slots, mother, member, key)
    assert hatched["count"] == 7
    # By hand: five units of three, so that two are copied once more or one twice.
    bias = np.asarray(hatched["mu"]["dense1"]["bias"])
    mothers = np.asarray(one["dense1"]["bias"])
    assert bias.shape == (5,) and bias.sum() == pytest.approx(mothers.sum())
    bias = np.asarray(hatched["nu"]["dense1"]["bias"])
    mothers = np.asarray(two["dense1"]["bias"])
    for own in mothers:  # n copies have 1 / n^2 each
        assert any(
            np.isclose(bias, own / copies**2).sum() == copies for copies in (1, 2, 3)
        )


def test_other_slots_are_refused():
    mother, member = parse("mlp 3"), parse("mlp 5")
    message = "the slot 'hessian', whose kind is 'curvature': expected one of 'first"
    with pytest.raises(ValueError, match=message):
        hatch_opt_state(
            {"hessian": {}}, {"hessian": "curvature"}, mother, member, jax.random.key(0)
        )
