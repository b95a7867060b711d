"""Hatched members compute what their MotherNet computes: at random, and by hand.

Every mother here is live: each of its channels is positive somewhere in the batch, and
its logits vary over the batch. A network of dead ReLUs would preserve anything.
"""

import contextlib
import functools
import os
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mothernets_jax.architectures import (
    Architecture,
    densenet,
    mlp,
    parse,
    resnet,
    vgg,
)
from mothernets_jax.growth import channels, hatching
from mothernets_jax.growth.hatching import hatch
from mothernets_jax.growth.mothernet import ALIGNMENTS, mothernet
from mothernets_jax.growth.walk import walk_along
from mothernets_jax.models.apply import apply, apply_and_update
from mothernets_jax.models.network import INTERMEDIATES, Network
from mothernets_jax.models.variables import abstract_variables

# Float32 networks are hatched here, too: nothing may lift them to float64.
pytestmark = pytest.mark.usefixtures("x64")

CLUSTERS = int(os.environ.get("MOTHERNETS_JAX_CLUSTERS", "3"))
INPUT_SHAPE, NUM_CLASSES = (12, 10, 2), 4
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}  # of the largest logit, in both modes

IMAGES = np.random.default_rng(0).normal(size=(8, *INPUT_SHAPE))


class Mother(NamedTuple):
    """A network with live variables, images, and its logits by train mode."""

    architecture: Architecture
    variables: dict
    images: jax.Array
    logits: dict[bool, jax.Array]


@pytest.fixture(autouse=True)
def not_compiled(monkeypatch):
    """Hatches operation by operation: each random network would be compiled anew.

    And the control would meet a program that was compiled before it.
    """
    monkeypatch.setattr(hatching, "_jitted_grow", hatching.grow)


@functools.cache  # tracing a network takes as long as hatching it
def shapes_of(architecture: Architecture) -> dict:
    """Shapes and dtypes of its variables."""
    return abstract_variables(architecture, INPUT_SHAPE, NUM_CLASSES)


def make_mother(architecture, variables, dtype=jnp.float64) -> Mother:
    variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), variables)
    images = jnp.asarray(IMAGES, dtype)
    modes = (False, True)
    logits = {t: apply(architecture, variables, images, train=t) for t in modes}
    return Mother(architecture, variables, images, logits)


@functools.cache
def live_variables(architecture: Architecture, seed: int) -> dict:
    """Random parameters, and running statistics near the batch's own, as NumPy."""
    draws = (random_variables(architecture, [seed, attempt]) for attempt in range(100))
    return next(variables for variables in draws if is_live(architecture, variables))


def random_variables(architecture, seed):
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name, shape = path[-1].key, leaf.shape
        if name == "kernel":
            kernel = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
            sums = kernel.sum(axis=tuple(range(len(shape) - 1)))
            return kernel * np.where(sums < 0, -1, 1)  # then few channels are dead
        if name == "scale":
            return rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
        return rng.uniform(0.1, 0.6, shape) if name == "bias" else np.zeros(shape)

    variables = jax.tree_util.tree_map_with_path(draw, shapes_of(architecture))
    _, stats = apply_and_update(architecture, variables, IMAGES)
    for norm in stats.values():  # 0.9 x 0 + 0.1 x the batch's
        mean, variance = (10 * np.asarray(norm[name]) for name in ("mean", "var"))
        shift = 0.2 * np.sqrt(variance) * rng.normal(size=mean.shape)
        factor = rng.uniform(0.5, 2.0, mean.shape)
        norm |= {"mean": mean + shift, "var": variance * factor}
    return {**variables, "batch_stats": stats}


def is_live(architecture, variables) -> bool:
    for train in (False, True):
        logits, shown = Network(architecture, NUM_CLASSES).apply(
            variables, IMAGES, train=train, mutable=[INTERMEDIATES, "batch_stats"]
        )
        (values,) = shown[INTERMEDIATES]["values"]
        for name, output in values.items():
            output = np.asarray(output)
            largest = output.reshape(-1, output.shape[-1]).max(0)
            if name.endswith("relu") and largest.min() < 0.01:
                return False
        if np.ptp(logits, axis=0).max() < 0.05 * max(1, np.abs(logits).max()):
            return False
    return True


def check_preserved(mother: Mother, member, key, *, use_images=True, **options):
    """Raises AssertionError where a hatched member does not compute the same."""
    dtype = mother.images.dtype
    images = mother.images if use_images else None
    args = (mother.variables, mother.architecture, member, key)
    hatched = hatch(*args, images=images, **options)
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), shapes_of(member)
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(hatched, shapes)
    for train in (False, True) if use_images else (False,):
        found = apply(member, hatched, mother.images, train=train)
        expected = mother.logits[train]
        assert found.dtype == dtype
        error = np.abs(found - expected).max() / np.abs(expected).max()
        assert error <= TOLERANCE[dtype.name], f"{dtype}: logits differ by {error}"


def widens(mother: Architecture, member: Architecture) -> bool:
    """Whether some layer reads more channels than come through from the mother."""
    params = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape), shapes_of(mother)["params"]
    )
    origins = walk_along(params, mother, member, jax.random.key(0)).origins.values()
    return any(
        layer is not None and incoming.source.size > incoming.mother_channels
        for layer, incoming, _ in origins
    )


# Random clusters. Their sizes are few, so that what is compiled for one serves others.

MORE = CLUSTERS > 20
WIDTHS = st.sampled_from([2, 3, 5, 7] if MORE else [3, 5])
FILTERS = st.sampled_from([1, 3, 5, 7] if MORE else [1, 3])
FAMILIES = ("mlp", "vgg", "basic", "bottleneck", "preact", "densenet")
GROWTH = st.sampled_from([1, 2, 3, 4, 6] if MORE else [2, 4])
GROWTHS_OF_LAYERS = st.lists(
    st.tuples(FILTERS, GROWTH), min_size=1, max_size=3 if MORE else 2
)
LAYERS = st.lists(st.tuples(FILTERS, WIDTHS), min_size=1, max_size=3)


@st.composite
def clusters(draw, family: str):
    """One to five members that can be connected."""
    plain = family in ("mlp", "vgg")
    # Blocks of 12x10, 6x5 and 3x2 pixels. What is concatenated has many widths.
    number = draw(st.integers(1, 3 if plain or MORE else 2))
    layers = GROWTHS_OF_LAYERS if family == "densenet" else LAYERS
    blocks = st.lists(layers, min_size=number, max_size=number)
    if family == "mlp":
        hidden = st.lists(WIDTHS, min_size=1, max_size=4)
        member = st.builds(mlp, hidden, batch_norm=st.just(draw(st.booleans())))
    elif family == "vgg":
        dense = st.lists(WIDTHS, max_size=2)
        batch_norm = st.just(draw(st.booleans()))
        member = st.builds(vgg, blocks, dense=dense, batch_norm=batch_norm)
    elif family == "densenet":
        bottleneck = st.integers(1, 2) if draw(st.booleans()) else st.just(0)
        compression = st.sampled_from([0.5, 1.0])
        member = st.builds(
            densenet,
            blocks,
            stem=st.just(draw(st.sampled_from(["cifar", "imagenet"]))),
            stem_filters=GROWTH,
            bottleneck=bottleneck,
            compression=compression,
        )
    else:
        kinds = ("projection",) * number
        if family == "preact":  # whose kinds must agree
            kinds = tuple(draw(st.sampled_from(["identity", kind])) for kind in kinds)
        stem = draw(st.sampled_from(["cifar", "imagenet"]))
        member = residual_networks(family, stem, blocks, kinds)
    return draw(st.lists(member, min_size=1, max_size=5 if MORE else 3))


@st.composite
def residual_networks(draw, unit, stem, blocks, kinds):
    """With these shortcuts, or, after activation, with any."""
    streams = [draw(WIDTHS)]
    chosen = []
    for kind in kinds:
        if unit != "preact":
            kind = draw(st.sampled_from(["identity", "projection"]))
        chosen.append(kind)
        streams.append(streams[-1] if kind == "identity" else draw(WIDTHS))
    stages = list(zip(streams[1:], draw(blocks), strict=True))
    return resnet(
        stages, unit=unit, stem=stem, shortcut=chosen, stem_filters=streams[0]
    )


@pytest.fixture
def one_draw(monkeypatch):
    """Draws of one size, cut to fit: a new size would be compiled for every member."""

    def cut(draw, size, key, shape, dtype):
        if isinstance(key, jax.core.Tracer):
            return draw(key, shape, dtype)
        return jnp.asarray(np.asarray(draw(key, (size,), dtype))[: shape[0]])

    for name, size in (("exponential", 2048), ("normal", 16384)):
        fixed = functools.partial(cut, getattr(jax.random, name), size)
        monkeypatch.setattr(jax.random, name, fixed)


@contextlib.contextmanager
def shares_left_out(monkeypatch):
    """The control: every copy has all of its channel's weight, and the check fails."""

    def ones(key, readers, split, dtype):
        return {
            name: jnp.ones((read.source.shape[0], outputs), dtype)
            for name, (read, outputs) in readers.items()
        }

    with (
        monkeypatch.context() as patch,
        pytest.raises(AssertionError, match=r"float\d\d: logits differ by"),
    ):
        patch.setattr(hatching, "draw_shares", ones)
        yield


@pytest.mark.parametrize("family", FAMILIES)
def test_random_clusters(family, one_draw, monkeypatch):
    controlled = []  # those for which the check was seen to fail

    @settings(max_examples=CLUSTERS)
    @given(clusters(family), st.integers(0, 2**31))
    def check_cluster(members, seed):
        architecture = mothernet(members, align=ALIGNMENTS[seed % 2])
        variables = live_variables(architecture, seed)
        mother = make_mother(architecture, variables)
        for number, member in enumerate(members, start=seed):
            key, split = jax.random.key(number), ("equal", "random")[number % 2]
            growth = ("pairs", "zeros")[number % 2]
            check_preserved(mother, member, key, split=split)
            if (MORE or not controlled) and widens(architecture, member):
                controlled.append(member)
                with shares_left_out(monkeypatch):
                    check_preserved(mother, member, key)
            if MORE or number == seed:  # each is compiled anew
                check_preserved(mother, member, key, split=split, use_images=False)
                check_preserved(mother, member, key, growth=growth)
            if MORE:
                check_preserved(mother, member, key, growth=growth, use_images=False)
                single = make_mother(architecture, variables, jnp.float32)
                check_preserved(single, member, key, split=split)
                check_preserved(single, member, key, growth=growth)

    check_cluster()


WIDER = {
    "mlp": ("mlp 3 5; batch_norm", "mlp 5 5 5; batch_norm"),
    "vgg": ("vgg (1:3) | (3:5)", "vgg (3:5) | (3:5)x2; dense 5"),
    "basic": ("resnet 3 (3:3)", "resnet 5 (3:5)x2"),
    "bottleneck": (
        "resnet 3 (3:3); unit bottleneck",
        "resnet 5 (3:5); unit bottleneck",
    ),
    "preact": ("resnet 3 (3:3); unit preact", "resnet 5 (3:5)x2; unit preact"),
    "densenet": ("densenet (1:2); stem 2", "densenet (3:4)x2; stem 4"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_float32(family):
    """Nothing lifts float32 to float64; the next test has the numbers."""
    architecture, member = map(parse, WIDER[family])
    single = [
        jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.float32), own)
        for own in map(shapes_of, (architecture, member))
    ]
    images = jax.ShapeDtypeStruct(IMAGES.shape, jnp.float32)
    for growth in ("copies", "pairs", "zeros"):
        hatched = jax.eval_shape(
            lambda variables, images, growth=growth: hatch(
                variables,
                architecture,
                member,
                jax.random.key(0),
                images=images,
                growth=growth,
            ),
            single[0],
            images,
        )
        chex.assert_trees_all_equal_shapes_and_dtypes(hatched, single[1])


PRECISE = ["basic"]  # which compiles most; `make test-all` has all families


@pytest.mark.parametrize(
    "family",
    [
        family if family in PRECISE else pytest.param(family, marks=pytest.mark.slow)
        for family in FAMILIES
    ],
)
def test_the_numbers_of_float32(family, one_draw, monkeypatch):
    architecture, member = map(parse, WIDER[family])
    assert widens(architecture, member)
    mother = make_mother(architecture, live_variables(architecture, 0), jnp.float32)
    check_preserved(mother, member, jax.random.key(0))
    check_preserved(mother, member, jax.random.key(0), growth="pairs")
    with shares_left_out(monkeypatch):
        check_preserved(mother, member, jax.random.key(0))


# By three and by one, so that a channel is left over or alone, too.
FRESH = {
    "mlp": ("mlp 3 5", "mlp 6 6 9"),
    "mlp with batch_norm": ("mlp 3 5; batch_norm", "mlp 6 6 9; batch_norm"),
    "vgg": ("vgg (1:3) | (3:5); dense 3", "vgg (3:6)x2 | (3:6); dense 6 6"),
    "basic": ("resnet 3 (3:3) | 3 (3:3)", "resnet 6 (3:6)x2 | 6 (3:6)x2"),
    "an identity becomes a projection": (
        "resnet 3 (3:3) | 3 (3:3); shortcuts identity identity",
        "resnet 6 (3:6) | 6 (3:6)x2; shortcuts identity projection",
    ),
    "bottleneck": (
        "resnet 3 (3:3); unit bottleneck; stem imagenet",
        "resnet 6 (3:6)x2; unit bottleneck; stem imagenet",
    ),
    "preact": (
        "resnet 3 (3:3) | 6 (3:3); unit preact",
        "resnet 6 (3:6)x2 | 9 (3:5)x2; unit preact",
    ),
    "densenet": (
        "densenet (1:2) | (3:2); stem 2; transitions 3",
        "densenet (3:5)x2 | (3:4); stem 5; transitions 6",
    ),
    "densenet with bottleneck": (
        "densenet (1:2) | (3:2); stem 2; bottleneck 1; transitions 3",
        "densenet (3:5)x2 | (3:4); stem 5; bottleneck 2; transitions 6",
    ),
    "one layer becomes two": (
        "densenet (3:4) (3:2); stem 3",
        "densenet (3:2)x2 (3:5); stem 6",
    ),
}


# Random clusters have much of the others, too.
QUICK = [("mlp with batch_norm", "pairs")]
REST = [
    pytest.param(family, growth, marks=pytest.mark.slow)
    for family in FRESH
    for growth in ("pairs", "zeros")
    if (family, growth) not in QUICK
]


@pytest.mark.parametrize("family, growth", [*QUICK, *REST])
def test_fresh_channels(family, growth, one_draw, monkeypatch):
    architecture, member = map(parse, FRESH[family])
    mother = make_mother(architecture, live_variables(architecture, 0))
    key = jax.random.key(0)
    check_preserved(mother, member, key, growth=growth)
    check_preserved(mother, member, key, growth=growth, use_images=False)
    # The control: the second of a pair computes something else than the first.
    if growth == "pairs":
        for module in (channels, hatching):
            monkeypatch.setattr(module, "paired", lambda values, *_, **__: values)
        with pytest.raises(AssertionError, match="logits differ by"):
            check_preserved(mother, member, key, growth=growth)


# By hand: each kind of growth alone, on the sizes of the random clusters.

GROWTHS = {
    "larger filters": ("vgg (1:3) | (3:5)", "vgg (5:3) | (5:5)"),
    "wider": ("vgg (3:3) | (3:3); dense 3", "vgg (3:5) | (3:5); dense 5"),
    "deeper": ("vgg (3:3) | (3:5)", "vgg (3:3)x2 | (3:5)x3; dense 5 5"),
    "wider in new layers": ("vgg (3:3) | (3:3)", "vgg (3:3) (3:5) | (3:3) (1:5)"),
    "wider MLP": ("mlp 3 3", "mlp 5 5"),
    "deeper MLP": ("mlp 3 5", "mlp 3 5 5 5"),
    "wider at one pixel": (
        "vgg (3:3) | (3:3) | (3:3) | (1:3)",
        "vgg (3:3) | (3:3) | (3:3) | (3:5)x2",
    ),
}


@pytest.mark.parametrize("norm", ["", "; batch_norm"], ids=["plain", "batch_norm"])
@pytest.mark.parametrize("growth", GROWTHS)
def test_one_growth(growth, norm, one_draw):
    architecture, member = (parse(notation + norm) for notation in GROWTHS[growth])
    mother = make_mother(architecture, live_variables(architecture, 0))
    key = jax.random.key(0)
    check_preserved(mother, member, key)
    check_preserved(mother, member, key, use_images=False)

    # Another key makes another member only where something widens (rule 10).
    args = (mother.variables, architecture, member)
    one, same, other = (hatch(*args, k) for k in (key, key, jax.random.key(1)))
    chex.assert_trees_all_equal(one, same)
    assert widens(architecture, member) == ("wider" in growth)
    if "wider" in growth:
        with pytest.raises(AssertionError):
            chex.assert_trees_all_close(one, other, atol=0.01)
    else:
        chex.assert_trees_all_equal(one, other)


SMALL = parse("vgg (3:3); dense 3; batch_norm")
LARGE = parse("vgg (5:5)x2; dense 5 5; batch_norm")


def test_layer_inserted_behind_a_dead_channel(one_draw):
    """A channel that is always 0 has variance 0 where an identity normalises it."""
    variables = jax.tree.map(np.array, live_variables(SMALL, 0))
    for name in ("block1_conv1", "dense1"):
        variables["params"][f"{name}_norm"]["scale"][0] = 0.0
        variables["params"][f"{name}_norm"]["bias"][0] = -1.0
    mother = make_mother(SMALL, variables)
    assert np.ptp(mother.logits[True], axis=0).max() > 0.1
    check_preserved(mother, LARGE, jax.random.key(0))
    check_preserved(mother, LARGE, jax.random.key(0), use_images=False)


def test_hatch_can_be_jitted():
    mother = make_mother(SMALL, live_variables(SMALL, 0))
    jitted = jax.jit(hatch, static_argnums=(1, 2), static_argnames="split")
    args = (mother.variables, SMALL, LARGE, jax.random.key(0))
    options = {"images": mother.images, "noise": 0.1, "split": "random"}
    outputs = jitted(*args, **options), hatch(*args, **options)
    chex.assert_trees_all_close(*outputs, rtol=1e-12, atol=1e-12)


def test_noise_is_on_parameters_and_relative(one_draw):
    small, large = parse("mlp 3; batch_norm"), parse("mlp 5 5; batch_norm")
    variables = make_mother(small, live_variables(small, 0)).variables
    args = (variables, small, large, jax.random.key(0))
    clean, none, noisy = hatch(*args), hatch(*args, noise=0.0), hatch(*args, noise=0.1)
    chex.assert_trees_all_equal(clean, none)
    chex.assert_trees_all_equal(noisy["batch_stats"], clean["batch_stats"])
    leaves = zip(*map(jax.tree.leaves, (clean["params"], noisy["params"])), strict=True)
    for leaf, changed in leaves:
        added = np.asarray(changed - leaf)
        # The deviation of n draws is 1 / sqrt(2 n) off, four times that at the most.
        expected = pytest.approx(0.1, rel=4 / np.sqrt(2 * leaf.size))
        assert np.all(added != 0) and added.std() / np.std(leaf) == expected


def test_refused():
    variables = live_variables(SMALL, 0)
    with pytest.raises(ValueError, match="split is 'fair': expected 'random' or 'eq"):
        hatch(variables, SMALL, LARGE, jax.random.key(0), split="fair")
    with pytest.raises(ValueError, match="growth is 'odd': expected 'copies', 'pairs'"):
        hatch(variables, SMALL, LARGE, jax.random.key(0), growth="odd")
    with pytest.raises(ValueError, match="cannot be hatched from"):
        hatch(live_variables(LARGE, 0), LARGE, SMALL, jax.random.key(0))
