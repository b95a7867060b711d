"""A run's hatched members, repeated from outside to the last bit."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mothernets_jax as mn
from configs.vgg_ensemble import get_config
from mothernets_jax.config.settings import Recipe
from mothernets_jax.data import Dataset
from mothernets_jax.growth.opt_state import hatch_moment
from mothernets_jax.methods import read_settings
from mothernets_jax.methods.hatched_start import Parent, start_hatched
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.task import make_task, step_spec
from mothernets_jax.training.augment import normalise
from mothernets_jax.training.member_step import new_state
from mothernets_jax.training.optim import SGD

MOTHER = mn.parse("vgg (3:3); dense 4; batch_norm")
MEMBER = mn.parse("vgg (3:5)x2; dense 6; batch_norm")
SEED, SHAPE, CLASSES = 3, (6, 6, 1), 3


hatch_moment_jitted = jax.jit(
    hatch_moment, static_argnums=(1, 2), static_argnames="growth"
)


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, *SHAPE), np.uint8)
    labels = (np.arange(40) % CLASSES).astype(np.int32)
    few = images[:9], labels[:9]
    mean, std = np.array([127.0], np.float32), np.array([74.0], np.float32)
    dataset = Dataset(images, labels, *few, *few, *few, ("a", "b", "c"), mean, std)
    return make_task(
        dataset,
        crop_padding=0,
        crop_border="black",
        flip="none",
        seed=SEED,
        batch_size=10,
    )


def settings_of(**overrides):
    config = get_config("digits")
    with config.unlocked():
        config.architectures = {"A": str(MOTHER), "B": str(MEMBER)}
        config.update_from_flattened_dict(overrides)
    return read_settings(config)


@pytest.mark.parametrize(
    "growth, layout",
    [("copies", "random"), ("pairs", "random"), ("copies", "opposite")],
)
def test_a_public_call_is_the_runs_member_bit_for_bit(growth, layout, task):
    noise, split = 0.6, "random"
    values = {"noise": noise, "split": split, "growth": growth, "layout": layout}
    settings = settings_of(
        **{f"hatch.{name}": value for name, value in values.items()},
        **{"hatch.momentum": True},
    )
    members = {"B_1": MEMBER, "B_2": MEMBER}
    variables = mn.init(MOTHER, jax.random.key(7), SHAPE, CLASSES)
    momentum = jax.tree.map(jnp.sin, variables["params"])
    start = start_hatched(
        "mothernets",
        task,
        settings,
        Parent("mother", MOTHER, members),
        step_spec(task, MEMBER, recipe=Recipe()),
        ("B_1", "B_2"),
        {"mother": new_state(variables, SGD(), {"trace": momentum})},
        Executables(),
    )

    images = task.dataset.train_images[:512]
    images = normalise(jnp.asarray(images), task.dataset.mean, task.dataset.std)
    layouts = {}
    if layout == "opposite":
        shared = mn.named_key(jax.random.key(SEED), "mothernets")
        layouts = mn.opposite_layouts(MOTHER, members, shared)
    for name in members:
        key = mn.named_key(jax.random.key(SEED), "mothernets", name)
        args = (variables, MOTHER, MEMBER, key)
        own = layouts.get(name)
        options = {"split": split, "growth": growth, "layout": own}
        expected = mn.hatch(*args, images=images, noise=noise, **options)
        chex.assert_trees_all_equal(start.states[name].variables, expected)
        expected = hatch_moment_jitted(
            momentum, MOTHER, MEMBER, key, growth=growth, starts=own and own.starts
        )
        chex.assert_trees_all_equal(start.states[name].opt_state["trace"], expected)
    # The control: another member's noise and shares are others.
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(
            start.states["B_1"].variables, start.states["B_2"].variables
        )
