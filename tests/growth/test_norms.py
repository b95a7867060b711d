"""Fresh channels live: their statistics are those that they have, and they learn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mothernets_jax.architectures import parse
from mothernets_jax.architectures.operations import Norm
from mothernets_jax.growth.hatching import hatch
from mothernets_jax.models.apply import apply_and_update, intermediates
from mothernets_jax.models.variables import init

pytestmark = pytest.mark.usefixtures("x64")

# With the fresh channels of each normalisation that has some, by hand.
NETWORKS = {
    "vgg": (
        "vgg (3:3) | (3:4); batch_norm",
        "vgg (3:6)x2 | (3:9); batch_norm",
        {
            "block1_conv1_norm": [3, 4, 5],
            "block1_conv2_norm": [3, 4, 5],
            "block2_conv1_norm": [4, 5, 6, 7, 8],
        },
    ),
    "preact": (
        "resnet 3 (3:3); unit preact",
        "resnet 5 (3:6); unit preact",
        {
            "stage1_unit1_norm1": [3, 4],
            "stage1_unit1_norm2": [3, 4, 5],
            "final_norm": [3, 4],
        },
    ),
    "densenet": (
        "densenet (3:3); stem 3",
        "densenet (3:5); stem 4",
        {"block1_layer1_norm1": [3], "final_norm": [3, 7, 8]},
    ),
}
SHAPE, CLASSES = (8, 8, 2), 3
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(16, *SHAPE))
LABELS = RNG.integers(0, CLASSES, 16)
grow = jax.jit(hatch, static_argnums=(1, 2), static_argnames="growth")
values_of = jax.jit(intermediates, static_argnums=0)


@functools.cache
def mother_of(notation):
    """A network and its variables, in float64, with running statistics of its own."""
    mother = parse(notation)
    variables = init(mother, jax.random.key(0), SHAPE, CLASSES)
    variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), variables)
    stats = jax.tree.map(lambda leaf: leaf + 0.5, variables["batch_stats"])
    return mother, {**variables, "batch_stats": stats}


@pytest.mark.parametrize(
    "name, growth", [("vgg", "zeros"), ("preact", "pairs"), ("densenet", "pairs")]
)
def test_statistics_of_fresh_channels(name, growth):
    small, large, fresh = NETWORKS[name]
    (mother, variables), member = mother_of(small), parse(large)
    args = variables, mother, member, jax.random.key(1)
    hatched = grow(*args, images=jnp.asarray(IMAGES), growth=growth)
    estimated = grow(*args, growth=growth)
    values = jax.device_get(values_of(member, hatched, IMAGES))
    found = set()
    for norm in member.operations():
        if not isinstance(norm, Norm) or norm.name not in fresh:
            continue
        own, found = fresh[norm.name], found | {norm.name}
        given = values[norm.reads][..., own].reshape(-1, len(own))
        stats, guess = (v["batch_stats"][norm.name] for v in (hatched, estimated))
        np.testing.assert_allclose(stats["mean"][np.array(own)], given.mean(0))
        np.testing.assert_allclose(stats["var"][np.array(own)], given.var(0))
        ratio = np.asarray(guess["var"])[own] / given.var(0)
        assert np.all((ratio > 0.2) & (ratio < 5)), ratio
        distance = np.abs(np.asarray(guess["mean"])[own] - given.mean(0))
        assert np.all(distance < 2 * given.std(0))
        # What continues the mother's has its running statistics.
        if norm.name != "block1_conv2_norm":
            assert stats["mean"][0] == 0.5 and stats["var"][0] == 1.5
    assert found == fresh.keys()


@pytest.mark.parametrize(
    "small, large, layer, reader",
    [
        ("mlp 3", "mlp 6", "dense1", "head"),
        pytest.param(
            "vgg (3:3) | (3:3); batch_norm",
            "vgg (3:6) | (3:3); batch_norm",
            "block1_conv1",
            "block2_conv1",
            marks=pytest.mark.slow,
        ),
        ("resnet 3 (3:3); unit preact", "resnet 6 (3:3); unit preact", "stem", "head"),
        pytest.param(
            "densenet (3:3); stem 3",
            "densenet (3:6); stem 3",
            "block1_layer1_conv1",
            "",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_pairs_part_in_one_step(small, large, layer, reader):
    """Channels 3 and 4 are a pair, 5 is left over; all of them are read at once."""
    (mother, variables), member = mother_of(small), parse(large)
    args = variables, mother, member, jax.random.key(1)
    hatched = grow(*args, images=jnp.asarray(IMAGES), growth="pairs")

    @jax.jit
    @jax.grad
    def gradient(params):
        logits, _ = apply_and_update(member, {**hatched, "params": params}, IMAGES)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, LABELS)
        return losses.mean()

    params, grads = jax.device_get((hatched["params"], gradient(hatched["params"])))
    incoming, slope = (np.asarray(tree[layer]["kernel"]) for tree in (params, grads))
    np.testing.assert_array_equal(incoming[..., 3], incoming[..., 4])
    assert np.abs(incoming[..., 3]).max() > 0.1
    np.testing.assert_allclose(slope[..., 3], -slope[..., 4], rtol=1e-6, atol=1e-12)
    assert np.abs(slope[..., 3]).max() > 1e-5
    assert np.abs(slope[..., 5]).max() < 1e-12  # until what reads it is no more 0
    if reader:
        outgoing, slope = (np.asarray(t[reader]["kernel"]) for t in (params, grads))
        # Both come from one draw, which a compiler may compute in two places.
        np.testing.assert_allclose(
            outgoing[..., 3, :], -outgoing[..., 4, :], rtol=1e-14
        )
        copied, pair = outgoing[..., :3, :], outgoing[..., 3, :]
        assert 0.3 < np.sqrt((pair**2).mean() / (copied**2).mean()) < 3
        assert np.all(outgoing[..., 5, :] == 0)
        for channel in (3, 4, 5):
            assert np.abs(slope[..., channel, :]).max() > 1e-5


def test_too_few_images_for_the_statistics_of_fresh_channels():
    mother, variables = mother_of("mlp 3; batch_norm")
    args = variables, mother, parse("mlp 4; batch_norm"), jax.random.key(0)
    with pytest.raises(ValueError, match="'dense1_norm' sees one value a channel"):
        hatch(*args, images=jnp.asarray(IMAGES[:1]), growth="zeros")
