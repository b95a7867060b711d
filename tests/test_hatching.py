"""Hatched members compute what their MotherNet computes: random clusters, and by hand.

Every mother here is live: each of its channels is positive somewhere in the batch, and
its logits vary over the batch. A network of dead ReLUs would preserve anything.
"""

import os

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mothernets_jax import hatching
from mothernets_jax.architectures import Architecture, mlp, parse, unit_names, vgg
from mothernets_jax.hatching import hatch
from mothernets_jax.models import (
    FEATURES_NAME,
    OUTPUTS,
    Network,
    abstract_variables,
    apply,
    apply_and_update,
)
from mothernets_jax.mothernet import matched_units, mothernet

CLUSTERS = int(os.environ.get("MOTHERNETS_JAX_CLUSTERS", "20"))
INPUT_SHAPE, NUM_CLASSES, BATCH = (6, 6, 2), 4, 12
EXACT, ROUNDED = 1e-10, 1e-4  # of the largest logit, in float64 and in float32

IMAGES = np.random.default_rng(0).normal(size=(BATCH, *INPUT_SHAPE))


# Live mothers


def live_variables(architecture: Architecture, seed: int) -> dict:
    """Random parameters and running statistics near the batch's own, in float64."""
    for attempt in range(100):
        rng = np.random.default_rng([seed, attempt])
        variables = random_variables(architecture, rng)
        if is_live(architecture, variables):
            return variables
    raise AssertionError(f"no live {architecture} was found")


def random_variables(architecture, rng):
    def draw(path, leaf):
        name, shape = path[-1].key, leaf.shape
        if name == "kernel":
            kernel = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
            sums = kernel.sum(axis=tuple(range(len(shape) - 1)))
            return kernel * np.where(sums < 0, -1, 1)  # few channels are dead
        if name == "scale":
            return rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
        if name == "bias":
            return rng.uniform(0.1, 0.6, shape)
        return np.zeros(shape)

    shapes = abstract_variables(architecture, INPUT_SHAPE, NUM_CLASSES)
    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    _, stats = apply_and_update(architecture, variables, IMAGES)
    for norms in stats.values():  # 0.9 x 0 + 0.1 x the batch's
        norm = norms["norm"]
        mean, variance = 10 * np.asarray(norm["mean"]), 10 * np.asarray(norm["var"])
        norm["mean"] = mean + 0.2 * np.sqrt(variance) * rng.normal(size=mean.shape)
        norm["var"] = variance * rng.uniform(0.5, 2.0, mean.shape)
    return {**variables, "batch_stats": stats}


def is_live(architecture, variables) -> bool:
    network = Network(architecture, NUM_CLASSES)
    for train in (False, True):
        logits, shown = network.apply(
            variables, IMAGES, train=train, mutable=[OUTPUTS, "batch_stats"]
        )
        logits, outputs = np.asarray(logits), shown[OUTPUTS]
        del outputs[FEATURES_NAME]
        channels = [
            np.asarray(unit["unit"][0]).reshape(-1, unit["unit"][0].shape[-1])
            for unit in outputs.values()
        ]
        if not all(np.all(channel.max(0) > 0.01) for channel in channels):
            return False
        if np.ptp(logits, axis=0).max() < 0.05 * max(np.abs(logits).max(), 1):
            return False
    return True


def cast(variables, dtype):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), variables)


# What is checked


def logits_error(found, expected) -> float:
    """The largest difference, relative to the largest logit."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def check_preserved(mother, variables, member, key, *, split="random"):
    """Raises AssertionError where a hatched member does not compute the same."""
    shapes = abstract_variables(member, INPUT_SHAPE, NUM_CLASSES)
    for dtype, tolerances in [
        (jnp.float64, {False: EXACT, True: ROUNDED}),
        (jnp.float32, {False: ROUNDED, True: ROUNDED}),
    ]:
        whole, images = cast(variables, dtype), jnp.asarray(IMAGES, dtype)
        hatched = hatch(whole, mother, member, key, images=images, split=split)
        expected_leaves = jax.tree.map(
            lambda leaf, d=dtype: jax.ShapeDtypeStruct(leaf.shape, d), shapes
        )
        chex.assert_trees_all_equal_shapes_and_dtypes(hatched, expected_leaves)
        for train, tolerance in tolerances.items():
            found, expected = (
                apply(*network, images, train=train)
                for network in [(member, hatched), (mother, whole)]
            )
            assert logits_error(found, expected) <= tolerance, (dtype, train)
    whole = cast(variables, jnp.float64)
    hatched = hatch(whole, mother, member, key, split=split)  # without images
    error = logits_error(apply(member, hatched, IMAGES), apply(mother, whole, IMAGES))
    assert error <= EXACT


def widens(mother: Architecture, member: Architecture) -> bool:
    """Whether some unit hands on more channels than reach it from the mother."""
    matches, channels = matched_units(mother, member), 0
    widths = {
        name: unit.width
        for names, section in zip(unit_names(mother), mother.sections, strict=True)
        for name, unit in zip(names, section, strict=True)
    }
    for names, section in zip(unit_names(member), member.sections, strict=True):
        for name, unit in zip(names, section, strict=True):
            channels = widths[matches[name]] if name in matches else channels
            if unit.width > channels:
                return True
    return False


def leave_shares_out(monkeypatch):
    monkeypatch.setattr(
        hatching,
        "draw_shares",
        lambda key, readers, split, dtype: {
            name: jnp.ones((read.source.shape[0], outputs), dtype)
            for name, (read, outputs) in readers.items()
        },
    )


# Random clusters. Their sizes are few, so that what is compiled for one serves others.

WIDTHS = st.sampled_from([3, 5] if CLUSTERS <= 20 else [2, 3, 5, 7])
LAYERS = st.lists(st.tuples(st.sampled_from([1, 3, 5]), WIDTHS), min_size=1, max_size=3)


@st.composite
def clusters(draw, family: str):
    """One to five members that can be connected."""
    batch_norm = draw(st.booleans())
    if family == "mlp":
        hidden = st.lists(WIDTHS, min_size=1, max_size=4)
        member = st.builds(mlp, hidden, batch_norm=st.just(batch_norm))
    else:
        number = draw(st.integers(1, 3))  # sides 6, 3 and 1
        blocks = st.lists(LAYERS, min_size=number, max_size=number)
        dense = st.lists(WIDTHS, max_size=2)
        member = st.builds(vgg, blocks, dense=dense, batch_norm=st.just(batch_norm))
    return draw(st.lists(member, min_size=1, max_size=5))


@pytest.fixture
def one_draw(monkeypatch):
    """Draws of one size, cut to fit: a new size would be compiled for every member."""
    exponential = jax.random.exponential

    def cut(key, shape, dtype):
        return jnp.asarray(np.asarray(exponential(key, (512,), dtype))[: shape[0]])

    monkeypatch.setattr(jax.random, "exponential", cut)


@pytest.mark.usefixtures("x64", "one_draw")
@pytest.mark.parametrize("family", ["mlp", "vgg"])
def test_random_clusters(family):
    @settings(max_examples=CLUSTERS)
    @given(clusters(family), st.integers(0, 2**31))
    def check_cluster(members, seed):
        mother = mothernet(members)
        variables = live_variables(mother, seed)
        for number, member in enumerate(members, start=seed):
            split = "equal" if number % 2 else "random"
            key = jax.random.key(number)
            check_preserved(mother, variables, member, key, split=split)

    check_cluster()
