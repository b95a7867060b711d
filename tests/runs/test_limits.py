"""What no device could hold, and filters that see nothing but padding."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy import signal

from mothernets_jax.architectures import parse
from mothernets_jax.architectures.costs import kept_values, num_params
from mothernets_jax.runs import limits


def stage_of(notation, members=1, batch_size=10):
    return SimpleNamespace(
        name="full_data-A",
        architecture=parse(notation),
        members=["A"] * members,
        recipe=SimpleNamespace(batch_size=batch_size),
    )


def task_of(shape, image_bytes=0):
    return SimpleNamespace(
        input_shape=shape,
        num_classes=3,
        dtype=None,
        devices=[SimpleNamespace(device_kind="cpu")],
        dataset=SimpleNamespace(bytes_in_memory=image_bytes),
    )


def test_what_is_beyond_a_filter_s_bound_sees_only_padding():
    """The rule, by another library's convolution: images of 3x3 use 5x5 of a filter."""
    generator = np.random.default_rng(0)
    image, filters = generator.normal(size=(3, 3)), generator.normal(size=(7, 7))
    changed = [filters.copy() for _ in range(2)]
    changed[0][[0, -1]] = changed[0][:, [0, -1]] = 9.0  # the outermost taps
    changed[1][1, 1] = 9.0  # a corner of the 5x5 within
    before, outside, inside = (
        signal.correlate2d(image, own, mode="same") for own in (filters, *changed)
    )
    np.testing.assert_allclose(outside, before)
    assert not np.allclose(inside, before)


@pytest.mark.parametrize(
    ("shape", "most"), [((32, 32, 3), 63), ((8, 32, 3), 63), ((8, 8, 1), 15)]
)
def test_filters_are_as_large_as_the_image_can_use(shape, most):
    limits.check_filters([stage_of(f"vgg ({most}:2) | (3:2)")], task_of(shape))
    larger = stage_of(f"vgg (3:2) | ({most + 2}:2)")
    with pytest.raises(ValueError, match=f"expected at most {most}x{most}, as") as no:
        limits.check_filters([larger], task_of(shape))
    assert f"block2_conv1 of full_data-A ('{larger.architecture}')" in str(no.value)


def test_small_filters_are_never_too_large():
    """A 3x3 filter after much pooling, or a stem on tiny images, is no slip."""
    limits.check_filters([stage_of("vgg (7:2) | (3:2) | (3:2)")], task_of((2, 2, 3)))


def test_training_in_float64_is_refused():
    limits.check_precision()
    jax.config.update("jax_enable_x64", True)
    try:
        with pytest.raises(ValueError, match="JAX_ENABLE_X64 is set: expected it to"):
            limits.check_precision()
    finally:
        jax.config.update("jax_enable_x64", False)


def test_a_step_is_judged_by_what_its_layers_make(monkeypatch):
    """With 4 bytes a value: 2 copies of the parameters a member, and a gradient."""
    shape, notation, members, batch = (8, 8, 1), "vgg (3:8) | (3:16)", 2, 10
    # By hand: 8x8x8, then 4x4x16 after pooling, then 3 logits.
    made = 4 * batch * (8 * 8 * 8 + 4 * 4 * 16 + 3)
    assert kept_values(parse(notation), shape, 3) == made // (4 * batch)
    trained = 4 * num_params(parse(notation), shape, 3) * (2 * members + 1)
    stages, images = [stage_of(notation, members, batch)], 1_000
    for short in (0, 1):
        memory = trained + made + images - short
        monkeypatch.setattr(limits, "memory_bytes", lambda memory=memory: memory)
        if not short:
            limits.check_memory(stages, task_of(shape, images))
            continue
        with pytest.raises(ValueError, match="of a batch of 10, and the images take"):
            limits.check_memory(stages, task_of(shape, images))
        limits.check_memory(stages, task_of(shape, images - 1))
