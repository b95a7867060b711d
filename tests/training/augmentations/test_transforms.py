"""Augmentations in steps and stages: the same numbers however members are stepped."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_specs import OPTIMIZER, plain_spec
from tiny_stages import make_dataset

from mothernets_jax.architectures import mlp, parse
from mothernets_jax.methods.distillation import DistillationLoss
from mothernets_jax.models.variables import init
from mothernets_jax.stages.task import make_task
from mothernets_jax.training.augment import FlipState
from mothernets_jax.training.augmentations.mixing import Mixup
from mothernets_jax.training.augmentations.own import Own
from mothernets_jax.training.augmentations.randaugment import RandAugment
from mothernets_jax.training.augmentations.transforms import make_transforms
from mothernets_jax.training.branching_step import SharedTrunk, first_of_branches
from mothernets_jax.training.epoch_inputs import (
    MemberKeys,
    MemberRates,
    make_epoch_inputs,
)
from mothernets_jax.training.group_step import make_steps, new_group
from mothernets_jax.training.member_step import (
    StepInputs,
    TrainingData,
    draw,
    new_state,
)
from mothernets_jax.training.statistics import make_statistics
from mothernets_jax.training.step_spec import Augmentation
from mothernets_jax.utils.pytrees import unstack

NETWORK, SHAPE, CLASSES, STEPS, BATCH, MEMBERS = mlp((6, 4)), (4, 4, 1), 3, 3, 8, 2
TOLERANCE = 1e-5  # that of `test_group_step`
KEYS = jax.random.split(jax.random.key(1), MEMBERS)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (STEPS * BATCH, *SHAPE), np.uint8)
LABELS = RNG.integers(0, CLASSES, len(IMAGES)).astype(np.int32)


def darker(key, images):
    return (images * jax.random.uniform(key, (len(images), 1, 1, 1))).astype(jnp.uint8)


def augmentation(text, crop_padding=0):
    transforms = make_transforms(text, darker)
    return Augmentation(crop_padding, "none", transforms)


EVERYTHING = f"own:darker:{'0' * 16} + randaugment(1, 5) + mixup(0.5)"
CASES = {
    "own": (f"own:darker:{'0' * 16} + randaugment(1, 5)", {}),
    "cutmix": ("cutmix", {"loss": DistillationLoss((NETWORK,), 4.0, 0.5)}),
    "branching": ("mixup", {"coupling": SharedTrunk(first_of_branches(NETWORK, 1))}),
}


def starts_of(keys):
    starts = [init(NETWORK, key, SHAPE, CLASSES) for key in keys]
    starts[1]["params"]["dense1"] = starts[0]["params"]["dense1"]  # a common trunk
    return starts


def train(strategy, text, **changes):
    """Members' parameters and metrics after three steps."""
    spec = plain_spec(NETWORK, augmentation(text), **changes)
    starts = starts_of(KEYS)
    data = TrainingData(
        jnp.asarray(IMAGES),
        jnp.asarray(LABELS),
        jnp.array([127.0]),
        jnp.array([70.0]),
        tuple(starts[0] for _ in spec.loss.references),
        jnp.array([0.5, 1.0, 1.5]),
    )
    rates = MemberRates(
        jnp.full((MEMBERS, STEPS), 0.1),
        jnp.full(MEMBERS, 0.01),
        jnp.full(MEMBERS, 0.1),
        jnp.ones(MEMBERS, bool),
    )
    inputs = make_epoch_inputs(len(IMAGES), BATCH)
    inputs = inputs(MemberKeys(KEYS, KEYS, KEYS), np.int32(0), rates)
    function, size = make_steps(spec, strategy), 1 if strategy == "loop" else MEMBERS
    found = []
    for i in range(0, MEMBERS, size):
        group = new_group([new_state(s, OPTIMIZER) for s in starts[i : i + size]])
        own = jax.tree.map(lambda leaf, i=i: leaf[i : i + size], inputs)
        trained = function(group, data, own, np.int32(0), np.int32(STEPS))
        found += unstack(jax.device_get(trained), size)
    return [(state.members.params, state.sums) for state in found]


def difference(one, other):
    def of_leaf(a, b):
        return np.abs(a - b).max() / max(np.abs(b).max(), 1e-3)

    return max(jax.tree.leaves(jax.tree.map(of_leaf, one, other)))


@pytest.mark.parametrize("case", CASES)
def test_all_strategies_learn_the_same(case):
    text, changes = CASES[case]
    # RandAugment takes long to compile: once for all members, and for one alone.
    strategies = ("vmap", "unroll") if changes else ("vmap", "loop")
    trained = [train(strategy, text, **changes) for strategy in strategies]
    for found in trained[1:]:
        assert difference(found, trained[0]) < TOLERANCE
    # The control: without augmentation it is something else.
    if case == "own":
        assert difference(train("loop", ""), trained[0]) > 0.01


def test_statistics_are_of_augmented_images():
    """Those of images that all turn black, against those of black ones."""
    network = parse("mlp 3; batch_norm")
    state = init(network, jax.random.key(0), SHAPE, CLASSES)
    state = {"params": state["params"], "sums": state["batch_stats"]}
    state = jax.tree.map(lambda leaf: leaf[None], state)
    rates = MemberRates(*(jnp.ones((1, STEPS)), *[jnp.ones(1)] * 3))
    inputs = make_epoch_inputs(len(IMAGES), BATCH)
    inputs = inputs(MemberKeys(*[KEYS[:1]] * 3), np.int32(0), rates)

    def sums(images, transforms):
        spec = plain_spec(network, Augmentation(0, "none", transforms))
        data = TrainingData(images, jnp.asarray(LABELS), jnp.ones(1), jnp.ones(1))
        add = make_statistics(spec, "loop")
        return add(state, data, inputs, np.int32(0), np.int32(STEPS))["sums"]

    black = Own("black", "0" * 16, lambda key, images: images * 0)
    images = jnp.asarray(IMAGES)
    found, plain = sums(images, (black,)), sums(images, ())
    assert difference(found, sums(images * 0, ())) < TOLERANCE
    assert difference(found, plain) > 0.01


def drawn(text, key, crop_padding=0):
    images = np.pad(IMAGES, ((0, 0), (crop_padding,) * 2, (crop_padding,) * 2, (0, 0)))
    data = TrainingData(
        jnp.asarray(images), jnp.asarray(LABELS), jnp.zeros(1), jnp.ones(1)
    )
    scalars = (jnp.float32(0.1),) * 3
    sides = FlipState(key, jnp.int32(0))
    inputs = StepInputs(jnp.arange(BATCH), key, *scalars, sides, jnp.bool_(True))
    return draw(data, inputs, augmentation(text, crop_padding), None)


def test_crops_come_first_and_draw_what_they_drew_without():
    key = jax.random.key(3)
    plain, own = drawn("", key, 1), drawn(f"own:darker:{'0' * 16}", key, 1)
    share = np.asarray(own.images).sum((1, 2)) / np.asarray(plain.images).sum((1, 2))
    assert np.all(own.images <= plain.images) and own.images.dtype == plain.images.dtype
    assert share.max() < 1 and len(set(share.ravel().round(6))) == BATCH
    np.testing.assert_array_equal(own.images > 0, (own.images > 0) & (plain.images > 0))
    # Another step draws otherwise.
    other = drawn(f"own:darker:{'0' * 16}", jax.random.key(4), 1)
    assert np.any(other.images != own.images)


def test_equal_descriptions_share_a_program():
    def spec(text, function=darker):
        made = Augmentation(0, "none", make_transforms(text, function))
        return plain_spec(NETWORK, made)

    text = f"own:darker:{'1' * 16} + mixup(0.2)"
    one, other = spec(text), spec(text, lambda key, images: images)
    assert one == other  # a function is what its digest says
    assert make_steps(one, "loop") is make_steps(other, "loop")
    for changed in (EVERYTHING, f"own:darker:{'2' * 16} + mixup(0.2)", "mixup(0.2)"):
        assert spec(changed) != one
    assert spec("mixup(0.3)") != spec("mixup(0.2)")


def task_of(text, function=None, features=False, dtype=np.uint8):
    dataset = make_dataset(4)
    images = dataset.train_images.astype(dtype)
    if features:
        images = images.reshape(16, 1, 1, 4)
    dataset = dataset._replace(train_images=images)
    options = {"crop_padding": 0, "crop_border": "black", "flip": "none", "seed": 0}
    return make_task(dataset, **options, batch_size=4, augment=text, function=function)


def test_a_task_has_its_transforms():
    assert task_of("").augmentation == Augmentation(0, "none")
    found = task_of(EVERYTHING, darker).augmentation.transforms
    own = Own("darker", "0" * 16, darker)
    assert found == (own, RandAugment(1, 5.0), Mixup(0.5))
    assert [field.name for field in dataclasses.fields(own) if field.compare] == [
        "name",
        "digest",
    ]
    # Features and floats can be mixed, and changed by a function.
    task_of("mixup", features=True, dtype=np.float32)
    task_of(f"own:f:{'0' * 16}", lambda key, images: -images, dtype=np.float32)


def to_floats(key, images):
    return images / 255


def smaller(key, images):
    return images[:, 1:]


def two(key, images):
    return images, images


def branches(key, images):
    return images if images.sum() > 0 else -images


def without_key(images):
    return images


BAD = [
    (to_floats, "turns uint8 [4, 2, 2, 1] into float32 [4, 2, 2, 1]", ".astype("),
    (smaller, "turns uint8 [4, 2, 2, 1] into uint8 [4, 1, 2, 1]", "the same shape"),
    (two, "returns a tuple: expected one array, uint8 [4, 2, 2, 1]"),
    (branches, "fails on uint8 [4, 2, 2, 1]: Tracer", "jax.vmap can trace"),
    (without_key, "fails on uint8 [4, 2, 2, 1]: TypeError", "(key, images) -> images"),
]


@pytest.mark.parametrize(("function", "parts"), [(f, p) for f, *p in BAD])
def test_a_function_that_is_none_is_refused_in_clear_words(function, parts):
    with pytest.raises(ValueError) as caught:
        task_of(f"own:{function.__name__}:{'0' * 16}", function)
    message = str(caught.value)
    assert message.startswith("augment: the function ") and "\n" not in message
    for part in (function.__name__, *parts):
        assert part in message


@pytest.mark.parametrize("text", ["randaugment", "mixup + randaugment", "cutmix"])
def test_features_are_no_images(text):
    with pytest.raises(ValueError, match="^augment has .* 1 x 1 pixels, as features"):
        task_of(text, features=True)


def test_randaugment_needs_levels():
    with pytest.raises(ValueError, match="from 0 to 255 .uint8., but the pixels are"):
        task_of("randaugment", dtype=np.float32)


def test_a_missing_function_is_missed():
    with pytest.raises(ValueError, match="the function darker was not handed in"):
        task_of(EVERYTHING)
