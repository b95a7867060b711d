"""Convolution and pooling against plain NumPy and against XLA's own gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P

from mothernets_jax.growth.channels import enlarge_filter
from mothernets_jax.models import layers
from mothernets_jax.models.layers import conv, max_pool, overlapping_pool

BATCH, INPUTS, OUTPUTS = 3, 2, 4

# Sides and filter size. Images of up to four pixels take a path of their own.
CASES = [
    ((6, 6), 3),
    ((6, 6), 5),
    ((7, 5), 1),
    ((7, 5), 3),
    ((7, 5), 7),
    ((4, 9), 3),
    ((4, 9), 4),
    ((1, 5), 3),
    ((2, 2), 1),
    ((2, 2), 3),
    ((2, 2), 5),
    ((1, 4), 3),
    ((2, 1), 7),
    ((1, 1), 3),
]


def draw(seed: int, *shape: int) -> np.ndarray:
    """Small whole numbers, with which float32 computes without rounding."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


def conv_by_hand(images, kernel, stride):
    """Rule 1 read aloud: (size - 1) // 2 zeros before, size // 2 after."""
    size = kernel.shape[0]
    border = ((size - 1) // 2, size // 2)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)))
    return np.stack(
        [
            np.stack(
                [
                    np.einsum(
                        "bijc,ijco->bo", padded[:, i:, j:][:, :size, :size], kernel
                    )
                    for j in range(0, images.shape[2], stride)
                ],
                axis=1,
            )
            for i in range(0, images.shape[1], stride)
        ],
        axis=1,
    )


def with_gradients(function):
    """(images, kernel, gradient of the output) -> (output, both gradients)."""

    def value_and_gradients(images, kernel, cotangent):
        output, pull_back = jax.vjp(function, images, kernel)
        return output, *pull_back(cotangent)

    return value_and_gradients


def inputs_of(sides, filter_size, stride, kernels=1):
    rows, columns = (-(-side // stride) for side in sides)
    return (
        draw(0, BATCH, *sides, INPUTS),
        draw(1, kernels, filter_size, filter_size, INPUTS, OUTPUTS),
        draw(2, kernels, BATCH, rows, columns, OUTPUTS),
    )


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == jnp.float32
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("sides", "filter_size"), CASES, ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_conv(sides, filter_size, stride):
    images, (kernel,), (cotangent,) = inputs_of(sides, filter_size, stride)

    @jax.jit
    def both(*args):
        return [
            with_gradients(lambda x, k, f=function: f(x, k, stride))(*args)
            for function in (conv, layers._conv)
        ]

    ours, by_xla = both(images, kernel, cotangent)
    assert_equal(ours, by_xla)
    np.testing.assert_array_equal(ours[0], conv_by_hand(images, kernel, stride))


@pytest.mark.parametrize("batch", [0, 1, 15, 16, 29])
def test_a_batch_that_outgrows_the_cache(batch, monkeypatch):
    monkeypatch.setattr(layers, "_AT_ONCE_BYTES", 1)
    images, kernel = draw(0, batch, 4, 5, INPUTS), draw(1, 3, 3, INPUTS, OUTPUTS)
    cotangent = draw(2, batch, 4, 5, OUTPUTS)
    ours = with_gradients(conv)(images, kernel, cotangent)
    by_xla = with_gradients(lambda x, k: layers._conv(x, k, 1))
    assert_equal(ours, by_xla(images, kernel, cotangent))
    whole = jax.make_jaxpr(with_gradients(conv))(images, kernel, cotangent)
    assert ("scan" in str(whole)) == (batch > 8)


def test_a_divided_batch_in_a_sharded_step(monkeypatch):
    """Images vary over the parts of a batch, and a sum that began at 0 would not."""
    monkeypatch.setattr(layers, "_AT_ONCE_BYTES", 1)
    mesh = jax.make_mesh(
        (1, 1), ("members", "batch"), (jax.sharding.AxisType.Auto,) * 2
    )
    images, cotangents = draw(0, 16, 4, 5, INPUTS), draw(2, 2, 16, 4, 5, OUTPUTS)
    kernels = draw(1, 2, 3, 3, INPUTS, OUTPUTS)

    def of_a_part(images, kernels, cotangents):
        images = lax.pcast(images, "members", to="varying")
        kernels = lax.pcast(kernels, "batch", to="varying")
        _, *grads = jax.vmap(with_gradients(conv), (None, 0, 0))(
            images, kernels, cotangents
        )
        return grads[0], lax.psum(grads[1], "batch")

    found = jax.jit(
        jax.shard_map(
            of_a_part,
            mesh=mesh,
            in_specs=(P("batch"), P("members"), P("members", "batch")),
            out_specs=(P("members", "batch"), P("members")),
        )
    )(images, kernels, cotangents)
    by_xla = with_gradients(lambda x, k: layers._conv(x, k, 1))
    for member in (0, 1):
        _, *expected = by_xla(images, kernels[member], cotangents[member])
        assert_equal([grad[member] for grad in found], expected)


@pytest.mark.parametrize(
    ("sides", "filter_size", "stride"),
    [((4, 5), 3, 1), ((4, 5), 3, 2), ((4, 5), 1, 1), ((2, 2), 3, 1)],
    ids=str,
)
def test_conv_of_stacked_members_and_in_a_loop(sides, filter_size, stride):
    images, kernels, cotangents = inputs_of(sides, filter_size, stride, kernels=2)
    member_images = np.stack([images, 1 - images])
    run = with_gradients(lambda x, k: conv(x, k, stride))
    by_xla = with_gradients(lambda x, k: layers._conv(x, k, stride))

    @jax.jit
    def all_ways(images, member_images, kernels, cotangents):
        one_by_one, shared = (
            [by_xla(x, k, g) for x, k, g in zip(xs, kernels, cotangents, strict=True)]
            for xs in (member_images, [images, images])
        )
        stacked = jax.vmap(run)(member_images, kernels, cotangents)
        stacked_kernels = jax.vmap(run, (None, 0, 0))(images, kernels, cotangents)
        _, looped = lax.scan(
            lambda carry, args: (carry, run(*args)),
            None,
            (member_images, kernels, cotangents),
        )
        return one_by_one, shared, stacked, stacked_kernels, looped

    one_by_one, shared, stacked, stacked_kernels, looped = all_ways(
        images, member_images, kernels, cotangents
    )
    for found, expected in [
        (stacked, one_by_one),
        (looped, one_by_one),
        (stacked_kernels, shared),
    ]:
        for member in (0, 1):
            assert_equal([leaf[member] for leaf in found], expected[member])
    assert np.any(looped[0][0] != looped[0][1])


@pytest.mark.parametrize(
    ("sides", "small", "large"),
    [
        ((6, 7), 1, 3),
        ((6, 7), 1, 5),
        ((6, 7), 3, 5),
        ((6, 7), 3, 7),
        ((6, 7), 5, 5),
        ((2, 2), 1, 3),
        ((2, 1), 3, 5),
    ],
    ids=str,
)
@pytest.mark.parametrize("stride", [1, 2])
def test_larger_filter_computes_the_same(sides, small, large, stride):
    images, (kernel,), _ = inputs_of(sides, small, stride)
    enlarged = enlarge_filter(jnp.asarray(kernel), large)
    assert enlarged.shape == (large, large, INPUTS, OUTPUTS)
    assert np.count_nonzero(enlarged) == np.count_nonzero(kernel) > 0
    output = jax.jit(conv, static_argnums=2)(images, enlarged, stride)
    np.testing.assert_array_equal(output, conv_by_hand(images, kernel, stride))


def test_larger_filter_needs_our_padding():
    """The control: XLA's own padding moves a strided filter on even sides."""
    images, (kernel,), _ = inputs_of((6, 6), 1, 2)

    def padded_by_xla(kernel):
        return lax.conv_general_dilated(
            images, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    enlarged = enlarge_filter(jnp.asarray(kernel), 3)
    found, expected = padded_by_xla(enlarged), padded_by_xla(kernel)
    assert found.shape == expected.shape == (BATCH, 3, 3, OUTPUTS)
    assert np.mean(found != expected) > 0.5


@pytest.mark.parametrize("sides", [(2, 2), (4, 6), (5, 3)], ids=str)
def test_max_pool(sides):
    shape = (BATCH, *sides, INPUTS)
    values = np.random.default_rng(0).permutation(np.prod(shape)).astype(np.float32)
    images = values.reshape(shape)  # no two alike
    rows, columns = sides[0] // 2, sides[1] // 2
    cotangent = draw(1, BATCH, rows, columns, INPUTS)

    def by_xla(images):
        window = (1, 2, 2, 1)
        return lax.reduce_window(images, -jnp.inf, lax.max, window, window, "VALID")

    output, pull_back = jax.vjp(max_pool, images)
    expected, pull_back_by_xla = jax.vjp(by_xla, images)
    assert output.shape == (BATCH, rows, columns, INPUTS)
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(*pull_back(cotangent), *pull_back_by_xla(cotangent))
    corner = images[:, :2, :2].max((1, 2))
    np.testing.assert_array_equal(output[:, 0, 0], corner)


def test_of_equal_values_the_first_has_the_gradient_of_max_pooling():
    """The first NaN, where there are some, as numpy's `argmax` has it."""
    values = np.array([0, 1, np.nan, np.inf, -np.inf], np.float32)
    images = np.random.default_rng(0).choice(values, (BATCH, 4, 6, INPUTS))
    cotangent = np.asarray(draw(1, BATCH, 2, 3, INPUTS))
    expected = np.zeros_like(images)
    for b, i, j, c in np.ndindex(cotangent.shape):
        window = images[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        row, column = divmod(int(window.argmax()), 2)
        expected[b, 2 * i + row, 2 * j + column, c] = cotangent[b, i, j, c]
    _, pull_back = jax.vjp(max_pool, jnp.asarray(images))
    np.testing.assert_array_equal(*pull_back(jnp.asarray(cotangent)), expected)


@pytest.mark.parametrize("pool", [max_pool, overlapping_pool])
def test_pooling_passes_on_every_gradient_once_and_every_nan(pool):
    images = jnp.zeros((1, 4, 4, 2))  # all alike
    output, pull_back = jax.vjp(pool, images)
    (gradient,) = pull_back(jnp.ones_like(output))
    assert gradient.sum() == output.size
    for row, column in np.ndindex(4, 4):
        spoilt = images.at[0, row, column, 0].set(jnp.nan)
        assert jnp.isnan(pool(spoilt)[..., 0]).any()
        assert not jnp.isnan(pool(spoilt)[..., 1]).any()
