"""A hatched momentum is what the member's own gradients would have summed to."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mothernets_jax.architectures import parse
from mothernets_jax.growth.hatching import hatch
from mothernets_jax.growth.momentum import hatch_momentum
from mothernets_jax.models.models import apply, init

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
hatch_jitted = jitted(functools.partial(hatch, split="equal"))
hatch_momentum_jitted = jitted(hatch_momentum)


# Much of these is in the others, too.
SLOW = ("mlp", "basic", "preact")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in PAIRS],
)
def test_gradients_grow_like_the_momentum(name, seed):
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
    hatched = hatch_jitted(start, mother, member, key)
    expected = gradients(member, hatched, images, labels)
    found = hatch_momentum_jitted(grads, mother, member, key)
    # What is not new carries a share of the mother's, which that of ones shows.
    ones = jax.tree.map(np.ones_like, grads)
    shares = hatch_momentum_jitted(ones, mother, member, key)
    expected, found, shares = jax.device_get((expected, found, shares))
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
        mine = hatch_momentum(grads, mother, member, key)["dense1"]["bias"]
        return share - mine

    found = np.asarray(errors(jax.random.split(jax.random.key(seed), 2000)))
    deviation = found.std(axis=0)
    assert deviation.max() > 0.01 * float(jnp.abs(grads["dense1"]["bias"]).max())
    uncertainty = deviation / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(found.mean(axis=0)), 5 * uncertainty + 1e-12)
