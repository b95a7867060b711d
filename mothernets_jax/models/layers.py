"""The convolution, pooling and normalisation that the models are built of.

Axes: images and features are [batch, height, width, channels], kernels
[height, width, in, out].

Four things look unusual because of XLA on the CPU. The automatic gradients of an NHWC
convolution have dimension labels that XLA's CPU backend only rewrites to its fast form
at the top level of a program, not in the body of a loop, where they are 23 to 200 times
slower (jax#12868); `conv` therefore writes both gradients as plain NHWC convolutions.
The gradient by the kernel is one with windows as large as an image and the whole batch
as channels. It is two to ten times slower where the batch outgrows a core's cache, and
is therefore computed for a few images at once. A convolution of images of up to 2x2 is
5 to 10 times slower than the matrix product that replaces it here. And `reduce_window`
has a slow gradient; `max_pool` reshapes instead.

The argument to which a maximum passes its gradient is found by comparing the arguments
with one another, never with the maximum: XLA may compute an argument anew for the
comparison, round it otherwise, and find none equal, which made NaN of automatic
gradients.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

_LAYOUT = ("NHWC", "HWIO", "NHWC")

_KernelGradient = Callable[[jax.Array, jax.Array], jax.Array]

# How much of dy is convolved at once for the gradient by a kernel.
_AT_ONCE_BYTES, _AT_ONCE_IMAGES = 2**19, 8

NORM_EPSILON = 1e-5

# What a step in training keeps of the running statistics.
STATISTICS_DECAY = 0.9

BatchNorm = functools.partial(
    nn.BatchNorm, momentum=STATISTICS_DECAY, epsilon=NORM_EPSILON
)


def same_padding(filter_size: int) -> tuple[int, int]:
    """Padding (before, after) a side by filter size alone, unlike XLA's SAME."""
    return (filter_size - 1) // 2, filter_size // 2


def conv(images: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """A two-dimensional convolution with `same_padding`.

    Args:
        images: [batch, height, width, in].
        kernel: [size, size, in, out].
        stride: stride along both sides, in pixels.

    Returns:
        [batch, ceil(height / stride), ceil(width / stride), out].
    """
    if jax.default_backend() != "cpu":
        return _conv(images, kernel, stride)
    if images.shape[1] * images.shape[2] <= 4:
        return _conv_by_product(images, kernel, stride)
    return _conv_with_canonical_gradients(images, kernel, stride)


def _conv(images: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    padding = [same_padding(size) for size in kernel.shape[:2]]
    return lax.conv_general_dilated(
        images, kernel, (stride, stride), padding, dimension_numbers=_LAYOUT
    )


_conv_with_canonical_gradients = jax.custom_vjp(_conv, nondiff_argnums=(2,))


def _conv_forward(images, kernel, stride):
    return _conv(images, kernel, stride), (images, kernel)


def _conv_backward(stride, residuals, grad):
    """Both gradients as convolutions in the forward pass's own layout.

    With y[p] = sum_t x[p * stride + t - before] K[t], along each side:
    dx[q] = sum_t dy[(q + before - t) / stride] K[t] correlates the dilated dy with the
    flipped kernel, so size - 1 - before zeros go before it;
    dK[t] = sum_p x[p * stride + t - before] dy[p] correlates x with the dilated dy,
    with batch and channels exchanged. What goes after follows from the output's size.
    """
    images, kernel = residuals
    image_padding, kernel_padding = [], []
    for axis in (0, 1):
        side, size = images.shape[1 + axis], kernel.shape[axis]
        before, _ = same_padding(size)
        dilated = (grad.shape[1 + axis] - 1) * stride + 1
        low = size - 1 - before
        image_padding.append((low, side + size - 1 - dilated - low))
        kernel_padding.append((before, size + dilated - 1 - side - before))
    image_grad = lax.conv_general_dilated(
        grad,
        jnp.swapaxes(kernel[::-1, ::-1], 2, 3),
        window_strides=(1, 1),
        padding=image_padding,
        lhs_dilation=(stride, stride),
        dimension_numbers=_LAYOUT,
    )

    def kernel_grad(images: jax.Array, grad: jax.Array) -> jax.Array:
        correlation = lax.conv_general_dilated(
            jnp.transpose(images, (3, 1, 2, 0)),  # [in, height, width, batch]
            jnp.transpose(grad, (1, 2, 0, 3)),  # [height, width, batch, out]
            window_strides=(1, 1),
            padding=kernel_padding,
            rhs_dilation=(stride, stride),
            dimension_numbers=_LAYOUT,
        )
        return jnp.transpose(correlation, (1, 2, 0, 3))

    return image_grad, _sum_by_parts(kernel_grad, images, grad)


def _sum_by_parts(
    term: _KernelGradient, images: jax.Array, grad: jax.Array
) -> jax.Array:
    """Adds up over parts of a batch a term to which images of zeros add nothing."""
    batch = len(images)
    at_once = max(_AT_ONCE_IMAGES, _AT_ONCE_BYTES * batch // max(1, grad.nbytes))
    if at_once >= batch:
        return term(images, grad)
    parts = -(-batch // at_once)
    size = -(-batch // parts)

    def divided(array: jax.Array) -> jax.Array:
        padding = (0, parts * size - batch), (0, 0), (0, 0), (0, 0)
        return jnp.pad(array, padding).reshape(parts, size, *array.shape[1:])

    def add(total: jax.Array, part: tuple[jax.Array, jax.Array]):
        return total + term(*part), None

    nothing = term(images[:0], grad[:0])
    return lax.scan(add, nothing, (divided(images), divided(grad)))[0]


_conv_with_canonical_gradients.defvjp(_conv_forward, _conv_backward)


def _conv_by_product(images: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolves very small images by one matrix product over all windows."""
    size, inputs, outputs = kernel.shape[0], *kernel.shape[2:]
    padding = same_padding(size)
    padded = jnp.pad(images, ((0, 0), padding, padding, (0, 0)))
    rows = padded.shape[1] - size + 1
    columns = padded.shape[2] - size + 1
    windows = jnp.concatenate(
        [
            padded[:, i : i + rows : stride, j : j + columns : stride]
            for i in range(size)
            for j in range(size)
        ],
        axis=-1,
    )  # [batch, height, width, size * size * in]
    return windows @ kernel.reshape(size * size * inputs, outputs)


def max_pool(features: jax.Array) -> jax.Array:
    """2x2 max-pooling of stride 2; an odd side loses its last row.

    Args:
        features: [batch, height, width, channels], both sides above 1.

    Returns:
        [batch, height // 2, width // 2, channels].
    """
    batch, height, width, channels = features.shape
    height, width = height // 2, width // 2
    windows = features[:, : 2 * height, : 2 * width, :]
    return _largest(windows.reshape(batch, height, 2, width, 2, channels))


@jax.custom_vjp
def _largest(windows: jax.Array) -> jax.Array:
    """Maxima of windows [batch, rows, 2, columns, 2, channels], over both axes of 2."""
    return windows.max(axis=(2, 4))


def _largest_forward(windows):
    return _largest(windows), windows


def _largest_backward(windows, grad):
    """Passes gradients to the first of the largest in each window, even if NaN.

    Left against right, then top against bottom: whole arrays, which a GPU fuses.
    """
    left, right = windows[:, :, :, :, 0], windows[:, :, :, :, 1]
    left_wins = _wins(left, right)
    rows = jnp.where(left_wins, left, right)
    top_wins = _wins(rows[:, :, 0], rows[:, :, 1])
    grad_of_rows = _divide(grad, top_wins, axis=2)
    return (_divide(grad_of_rows, left_wins, axis=4),)


def _divide(grad: jax.Array, first_wins: jax.Array, axis: int) -> jax.Array:
    """The gradients of two arguments along a new axis, the loser's being 0."""
    return jnp.stack(
        [jnp.where(first_wins, grad, 0), jnp.where(first_wins, 0, grad)], axis
    )


_largest.defvjp(_largest_forward, _largest_backward)


def mean_pool(features: jax.Array) -> jax.Array:
    """2x2 means of stride 2; an odd side loses its last row.

    Args:
        features: [batch, height, width, channels], both sides above 1.

    Returns:
        [batch, height // 2, width // 2, channels].
    """
    batch, height, width, channels = features.shape
    height, width = height // 2, width // 2
    windows = features[:, : 2 * height, : 2 * width, :]
    return windows.reshape(batch, height, 2, width, 2, channels).mean(axis=(2, 4))


def overlapping_pool(features: jax.Array) -> jax.Array:
    """3x3 max-pooling of stride 2, padded by `same_padding`.

    Args:
        features: [batch, height, width, channels].

    Returns:
        [batch, ceil(height / 2), ceil(width / 2), channels].
    """
    padding = (0, 0), same_padding(3), same_padding(3), (0, 0)
    padded = jnp.pad(features, padding, constant_values=-jnp.inf)
    rows, columns = features.shape[1], features.shape[2]
    windows = [
        padded[:, i : i + rows : 2, j : j + columns : 2]
        for i in range(3)
        for j in range(3)
    ]
    return functools.reduce(_larger, windows)


def _larger(one: jax.Array, other: jax.Array) -> jax.Array:
    """The maximum, whose gradient goes to one of both; NaN where one is NaN."""
    return jnp.where(_wins(one, other), one, other)


def _wins(one: jax.Array, other: jax.Array) -> jax.Array:
    """Tells, by entry, whether the maximum of both is taken from `one`."""
    return (one >= other) | jnp.isnan(one)
