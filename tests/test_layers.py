"""Convolution and pooling against plain NumPy and against XLA's own gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from mothernets_jax import layers
from mothernets_jax.channels import enlarge_filter
from mothernets_jax.layers import conv, max_pool

pytestmark = pytest.mark.usefixtures("x64")

BATCH, INPUTS, OUTPUTS = 3, 2, 4

# Even, odd and non-square images; the last four take the small images' path.
SIDES = [(6, 6), (7, 5), (4, 9), (1, 5), (2, 2), (1, 4), (2, 1), (1, 1)]


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


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


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == jnp.float64
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("filter_size", [1, 3, 4, 5, 7])
@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_conv(sides, filter_size, stride):
    images, (kernel,), (cotangent,) = inputs_of(sides, filter_size, stride)
    expected = conv_by_hand(images, kernel, stride)
    np.testing.assert_allclose(conv(images, kernel, stride), expected, atol=1e-12)

    @jax.jit
    def both(*args):
        ours, theirs = (
            with_gradients(lambda x, k, f=function: f(x, k, stride))(*args)
            for function in (conv, layers._conv)
        )
        return ours, theirs

    assert_close(*both(images, kernel, cotangent))


@pytest.mark.parametrize("filter_size", [1, 3, 5])
@pytest.mark.parametrize("sides", [(4, 5), (2, 2)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_conv_of_stacked_members_and_in_a_loop(sides, filter_size, stride):
    images, kernels, cotangents = inputs_of(sides, filter_size, stride, kernels=3)
    run = with_gradients(lambda x, k: conv(x, k, stride))
    reference = with_gradients(lambda x, k: layers._conv(x, k, stride))

    @jax.jit
    def thrice(images, kernels, cotangents):
        each = [reference(images, *args) for args in zip(kernels, cotangents)]
        stacked = jax.vmap(run, (None, 0, 0))(images, kernels, cotangents)
        _, looped = lax.scan(
            lambda carry, args: (carry, run(images, *args)), 0, (kernels, cotangents)
        )
        return tuple(map(jnp.stack, zip(*each))), stacked, looped

    expected, stacked, looped = thrice(images, kernels, cotangents)
    assert_close(stacked, expected)
    assert_close(looped, expected)


def test_conv_of_stacked_members_with_their_own_images():
    _, kernels, cotangents = inputs_of((4, 5), 3, 1, kernels=3)
    images = draw(3, 3, BATCH, 4, 5, INPUTS)
    stacked = jax.vmap(with_gradients(conv))(images, kernels, cotangents)
    for member in range(3):
        args = images[member], kernels[member], cotangents[member]
        expected = with_gradients(lambda x, k: layers._conv(x, k, 1))(*args)
        assert_close([leaf[member] for leaf in stacked], expected)


@pytest.mark.parametrize(("small", "large"), [(1, 3), (1, 7), (3, 5), (3, 7), (5, 5)])
@pytest.mark.parametrize("sides", [(6, 7), (2, 1)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_larger_filter_computes_the_same(small, large, sides, stride):
    images, (kernel,), _ = inputs_of(sides, small, stride)
    enlarged = enlarge_filter(jnp.asarray(kernel), large)
    assert enlarged.shape == (large, large, INPUTS, OUTPUTS)
    assert np.count_nonzero(enlarged) == kernel.size
    expected = conv(images, kernel, stride)
    np.testing.assert_allclose(conv(images, enlarged, stride), expected, atol=1e-12)


def test_larger_filter_needs_our_padding():
    """The control: XLA's own padding moves a strided filter on even sides."""
    images, (kernel,), _ = inputs_of((6, 6), 3, 2)

    def padded_by_xla(kernel):
        return lax.conv_general_dilated(
            images, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    enlarged = enlarge_filter(jnp.asarray(kernel), 5)
    found, expected = padded_by_xla(enlarged), padded_by_xla(kernel)
    assert found.shape == expected.shape == (BATCH, 3, 3, OUTPUTS)
    assert np.abs(found - expected).max() > 0.1


@pytest.mark.parametrize("sides", [(2, 2), (4, 6), (5, 3), (3, 2), (7, 7)], ids=str)
def test_max_pool(sides):
    shape = (BATCH, *sides, INPUTS)
    values = np.random.default_rng(0).permutation(np.prod(shape)).astype(float)
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
