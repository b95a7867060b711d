"""A member's logits over many images, in batches of a few compiled sizes."""

import contextlib
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.data import Dataset
from mothernets_jax.metrics import classification
from mothernets_jax.models.apply import apply
from mothernets_jax.models.variables import Variables
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.training.augment import normalise

_BATCHES_AHEAD = 8  # whose images the device holds


def _forward(architecture: Architecture, exact: bool):
    """Makes the jitted forward pass of raw images.

    Args:
        architecture: the member's architecture.
        exact: whether to leave out the rounding of factors to 11 bits (GPU) or 8 (TPU)
            that is the default of accelerators for float32; the CPU has none.
    """
    return _make_forward(architecture, exact and jax.default_backend() != "cpu")


@functools.cache
def _make_forward(architecture: Architecture, exact: bool):
    def forward(variables, images, mean, std):
        precision = jax.default_matmul_precision("highest")
        with precision if exact else contextlib.nullcontext():
            return apply(architecture, variables, normalise(images, mean, std))

    return jax.jit(forward)


def filled_size(images: int, largest: int, smallest: int = 1) -> int:
    """Number of images to which a batch is filled up, so that few programs serve all.

    This is the next power of two or `largest`, if less, so that there are at most
    `1 + ceil(log2(largest))` such numbers. Unless a batch is smaller than `smallest`,
    less than half of it is filling.

    Args:
        images: number of images in the batch, 1 to `largest`.
        largest: number of images of a full batch.
        smallest: number of images that any batch is filled up to, at most `largest`.

    >>> [filled_size(images, largest=100) for images in (1, 2, 3, 64, 65, 100)]
    [1, 2, 4, 64, 100, 100]
    """
    return min(largest, max(smallest, 1 << (images - 1).bit_length()))


def predict_logits(
    architecture: Architecture,
    variables: Variables,
    images: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
    *,
    batch_size: int,
    smallest_batch: int = 1,
    executables: Executables,
    exact: bool = False,
) -> np.ndarray:
    """Computes a member's logits in evaluation mode.

    Batches of another size are other programs, whose sums are in another order: between
    sizes a logit differs by rounding. (On CPUs and in float32, by at most 1.1e-6 of the
    largest logit in networks of every family, between batches of 1 to 512 images.)

    Args:
        architecture: the member's architecture.
        variables: the member's `{"params": ..., "batch_stats": ...}`.
        images: uint8 or float32 [examples, height, width, channels].
        mean: mean to normalise with, float32 [channels], in pixel units.
        std: standard deviation to normalise with, float32 [channels], in pixel units.
        batch_size: number of images of all batches but the last, which is filled up
            with zeros to the next power of two.
        smallest_batch: number of images that the last batch is filled up to at least;
            `batch_size` where one program is to serve all.
        executables: store of compiled programs.
        exact: whether to leave out the rounding of factors that is an accelerator's
            default, and autotuning: for a check, not for many images.

    Returns:
        float32 [examples, classes].
    """
    forward = _forward(architecture, exact)
    statistics = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    programs, logits = {}, []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        size = filled_size(len(batch), batch_size, smallest_batch)
        if len(batch) < size:
            empty = np.zeros((size - len(batch), *images.shape[1:]), images.dtype)
            batch = np.concatenate([batch, empty])
        if size not in programs:
            args = (variables, batch, *statistics)
            programs[size] = executables.get(forward, *args, often_run=not exact)
        logits.append(programs[size](variables, batch, *statistics))
        if len(logits) > _BATCHES_AHEAD:
            logits[-_BATCHES_AHEAD].block_until_ready()
    found = np.concatenate([np.asarray(own) for own in logits])
    return found[: len(images)].astype(np.float32, copy=False)


class ValidationScores(NamedTuple):
    """A member's figures on the validation images, each counted once.

    Both are NaN where a logit is not finite, and None without validation images.

    Attributes:
        error: share of the images that the member gets wrong, 0 to 1.
        loss: cross-entropy of the labels, in nats.
    """

    error: float | None
    loss: float | None


def validation_scores(
    architecture: Architecture,
    variables: Variables,
    dataset: Dataset,
    *,
    batch_size: int,
    executables: Executables,
) -> ValidationScores:
    """Measures a member's error and loss on the validation images in one pass.

    Args:
        architecture: the member's architecture.
        variables: the member's `{"params": ..., "batch_stats": ...}`.
        dataset: data set with the validation images and their normalisation.
        batch_size: number of images of every batch, for which one program is compiled.
        executables: store of compiled programs.
    """
    labels = dataset.validation_labels
    if not len(labels):
        return ValidationScores(None, None)
    logits = predict_logits(
        architecture,
        variables,
        dataset.validation_images,
        dataset.mean,
        dataset.std,
        batch_size=batch_size,
        smallest_batch=batch_size,
        executables=executables,
    )
    if not np.isfinite(logits).all():
        return ValidationScores(math.nan, math.nan)
    return ValidationScores(
        classification.error(logits, labels),
        classification.cross_entropy(logits, labels),
    )


def prepare_prediction(
    architecture: Architecture,
    variables: Variables,
    input_shape: tuple[int, int, int],
    batch_size: int,
    store: ProgramStore,
    *,
    dtype: np.dtype,
    exact: bool = False,
) -> None:
    """Compiles in the background the program of `predict_logits` for one batch size.

    Args:
        architecture: the member's architecture.
        variables: shapes and dtypes of the member's variables.
        input_shape: (height, width, channels) of one image.
        batch_size: number of images that the batches are filled up to.
        store: store of compiled programs.
        dtype: dtype of the images, uint8 or float32.
        exact: whether to leave out the rounding of factors that is an accelerator's
            default, and autotuning.
    """
    images = jax.ShapeDtypeStruct((batch_size, *input_shape), dtype)
    channels = jax.ShapeDtypeStruct(input_shape[-1:], jnp.float32)
    forward = _forward(architecture, exact)
    args = (variables, images, channels, channels)
    store.prepare(forward, *args, often_run=not exact)
