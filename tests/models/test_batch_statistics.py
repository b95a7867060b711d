"""A batch normalisation is refused the statistics of a single value, wherever."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_stages import RECIPE, make_dataset

import mothernets_jax as mn
from mothernets_jax.architectures.costs import norm_positions
from mothernets_jax.config.settings import Recipe
from mothernets_jax.methods.scratch import start_at_random
from mothernets_jax.models.apply import apply_and_update, intermediates
from mothernets_jax.models.variables import abstract_variables
from mothernets_jax.runs.limits import check_batch_norm
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.task import make_task, step_spec

DENSE = "mlp 4; batch_norm"
POOLED = "vgg (3:4) | (3:4) | (3:4); batch_norm"  # of 4x4: 4x4, 2x2, 1x1
# Architecture, side of the images, images in a batch, and what is refused.
CASES = [
    (DENSE, 4, 1, "dense1_norm"),
    (DENSE, 4, 2, None),  # two values are poor statistics, but some
    (POOLED, 4, 1, "block3_conv1_norm"),
    (POOLED, 4, 2, None),
    (POOLED, 8, 1, None),  # 2x2 are left
    (POOLED, 1, 1, "block1_conv1_norm"),
    ("vgg (3:4) | (3:4); dense 4; batch_norm", 8, 1, "dense1_norm"),
    ("vgg (3:4) | (3:4) | (3:4); dense 4", 1, 1, None),
    ("resnet 4 (3:4) | 4 (3:4)", 1, 1, "stem_norm"),
    ("resnet 4 (3:4) | 4 (3:4)", 2, 1, "stage2_unit1_norm1"),
    ("resnet 4 (3:4) | 4 (3:4)", 4, 1, None),
    ("densenet (3:4) | (3:4)", 2, 1, "block2_layer1_norm1"),
]
cases = pytest.mark.parametrize(("notation", "side", "batch", "refused"), CASES)


def shapes(notation, side, batch):
    """An architecture, shapes of its variables and of a batch of images."""
    architecture = mn.parse(notation)
    variables = abstract_variables(architecture, (side, side, 1), 2)
    images = jax.ShapeDtypeStruct((batch, side, side, 1), jnp.float32)
    return architecture, variables, images


@cases
def test_a_training_pass_is_refused_where_it_is_traced(notation, side, batch, refused):
    architecture, *args = shapes(notation, side, batch)

    def train(variables, images):
        return mn.apply(architecture, variables, images, train=True)

    if refused is None:
        assert jax.eval_shape(train, *args).shape == (batch, 2)
    else:
        with pytest.raises(ValueError, match=f"'{refused}' sees one value a channel"):
            jax.eval_shape(train, *args)
    # Running statistics are there for any number of images.
    logits = jax.eval_shape(lambda v, x: mn.apply(architecture, v, x), *args)
    assert logits.shape == (batch, 2)


@cases
def test_a_run_is_refused_before_anything_is_trained(notation, side, batch, refused):
    dataset = make_dataset(4)
    images = np.zeros((16, side, side, 1), np.uint8)
    task = make_task(
        dataset._replace(train_images=images),
        crop_padding=0,
        crop_border="black",
        flip="none",
        seed=0,
        batch_size=batch,
    )
    architecture = mn.parse(notation)
    recipe = dataclasses.replace(RECIPE, batch_size=batch)
    spec = step_spec(task, architecture, recipe=Recipe())
    start = start_at_random(task, "method", spec, ("a",))
    stage = Stage("method", "a", ("a",), recipe, spec, start)
    if refused is None:
        check_batch_norm([stage], task)
        return
    with pytest.raises(ValueError, match=f"batch_size is 1, but .*'{refused}' of meth"):
        check_batch_norm([stage], task)


def test_of_a_divided_batch_the_whole_counts():
    """An image on each of two devices is two images."""
    architecture, _, images = shapes(DENSE, 4, 1)

    def train(parts):
        def part(images):
            return apply_and_update(architecture, params, images, batch_axis="batch")[0]

        return jax.vmap(part, axis_name="batch")(parts)

    params = mn.init(architecture, jax.random.key(0), (4, 4, 1), 2)
    whole = jax.ShapeDtypeStruct((2, *images.shape), jnp.float32)
    assert jax.eval_shape(train, whole).shape == (2, 1, 2)
    one = jax.ShapeDtypeStruct((1, *images.shape), jnp.float32)
    with pytest.raises(ValueError, match="'dense1_norm' sees one value a channel"):
        jax.eval_shape(train, one)


HATCHED = [
    # One pixel is left in the MotherNet, or behind a layer of the member alone.
    ("vgg (3:4) | (3:4); batch_norm", "vgg (3:4) | (3:4)x2; batch_norm", True),
    ("vgg (3:4) | (3:4); batch_norm", "vgg (3:4)x2 | (3:4); batch_norm", True),
    ("vgg (3:4); batch_norm", "vgg (3:4); dense 4; batch_norm", True),
    # Nothing is inserted, and nothing measured; or there are four pixels.
    ("vgg (3:4) | (3:4); batch_norm", "vgg (3:4) | (3:8); batch_norm", False),
    ("vgg (3:4); batch_norm", "vgg (3:4)x2; batch_norm", False),
]


@pytest.mark.parametrize(("mother", "member", "refused"), HATCHED)
def test_statistics_of_inserted_layers_take_more_than_one_value(
    mother, member, refused
):
    """Images of 2x2, of which the second block has one pixel."""
    mother, variables, _ = shapes(mother, 2, 1)

    def hatch(images):
        def grow(variables, key, images):
            return mn.hatch(variables, mother, mn.parse(member), key, images=images)

        batch = jax.ShapeDtypeStruct((images, 2, 2, 1), jnp.float32)
        return jax.eval_shape(grow, variables, jax.random.key(0), batch)

    assert "params" in hatch(2)
    if refused:
        with pytest.raises(ValueError, match="sees one value a channel"):
            hatch(1)
    else:
        assert "params" in hatch(1)


def test_pixels_are_counted_as_the_network_makes_them():
    for notation in sorted({case[0] for case in CASES}):
        architecture, *args = shapes(notation, 7, 3)
        values = jax.eval_shape(
            lambda v, x, own=architecture: intermediates(own, v, x), *args
        )
        for name, pixels in norm_positions(architecture, (7, 7, 1)).items():
            found = values[name].shape
            assert pixels == (found[1] * found[2] if len(found) == 4 else 1), name
