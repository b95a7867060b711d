"""A member's logits over many images, in batches of one compiled shape."""

import contextlib
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax import metrics
from mothernets_jax.architectures import Architecture
from mothernets_jax.augment import normalise
from mothernets_jax.compilation import Executables, ProgramStore
from mothernets_jax.data import Dataset
from mothernets_jax.models import Variables, apply

_BATCHES_AHEAD = 8  # of which the device holds the images


def _forward(architecture: Architecture, exact: bool):
    """The forward pass.

    Args:
        architecture: the member's.
        exact: without the rounding of factors to 11 bits (GPU) or 8 (TPU) that is the
            default of accelerators for float32; the CPU has none.
    """
    return _make_forward(architecture, exact and jax.default_backend() != "cpu")


@functools.cache
def _make_forward(architecture: Architecture, exact: bool):
    def forward(variables, images, mean, std):
        precision = jax.default_matmul_precision("highest")
        with precision if exact else contextlib.nullcontext():
            return apply(architecture, variables, normalise(images, mean, std))

    return jax.jit(forward)


def predict_logits(
    architecture: Architecture,
    variables: Variables,
    images: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
    *,
    batch_size: int,
    executables: Executables,
    exact: bool = False,
) -> np.ndarray:
    """Logits in evaluation mode.

    Args:
        architecture: the member's.
        variables: `{"params": ..., "batch_stats": ...}`.
        images: uint8 [examples, height, width, channels].
        mean: float32 [channels], pixel units.
        std: float32 [channels], pixel units.
        batch_size: the last batch is filled up with zeros, so that one program serves
            all.
        executables: where compiled programs are kept.
        exact: without the rounding of factors that is an accelerator's default, and
            not autotuned: for a check, not for many images.

    Returns:
        float32 [examples, classes].
    """
    forward = _forward(architecture, exact)
    filled = np.zeros((batch_size, *images.shape[1:]), images.dtype)
    statistics = jnp.asarray(mean), jnp.asarray(std)
    args = (variables, filled, *statistics)
    program = executables.get(forward, *args, often_run=not exact)
    logits = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        if len(batch) < batch_size:
            filled[: len(batch)] = batch
            batch = filled
        logits.append(program(variables, batch, *statistics))
        if len(logits) > _BATCHES_AHEAD:
            logits[-_BATCHES_AHEAD].block_until_ready()
    return np.concatenate(jax.device_get(logits))[: len(images)].astype(np.float32)


def validation_error(
    architecture: Architecture,
    variables: Variables,
    dataset: Dataset,
    *,
    batch_size: int,
    executables: Executables,
) -> float | None:
    """The share of the validation images that a member gets wrong; None without any.

    NaN where it predicts something that is not finite.

    Args:
        architecture: the member's.
        variables: `{"params": ..., "batch_stats": ...}`.
        dataset: with the split.
        batch_size: images at a time.
        executables: where compiled programs are kept.
    """
    if not len(dataset.validation_labels):
        return None
    logits = predict_logits(
        architecture,
        variables,
        dataset.validation_images,
        dataset.mean,
        dataset.std,
        batch_size=batch_size,
        executables=executables,
    )
    if not np.isfinite(logits).all():
        return math.nan
    return metrics.error(logits, dataset.validation_labels)


def prepare_prediction(
    architecture: Architecture,
    variables: Variables,
    input_shape: tuple[int, int, int],
    batch_size: int,
    store: ProgramStore,
    *,
    exact: bool = False,
) -> None:
    """Compiles what `predict_logits` will use, in the background.

    Args:
        architecture: the member's.
        variables: their shapes.
        input_shape: (height, width, channels) of an image.
        batch_size: as there.
        store: where compiled programs are kept.
        exact: as there.
    """
    images = jax.ShapeDtypeStruct((batch_size, *input_shape), jnp.uint8)
    channels = jax.ShapeDtypeStruct(input_shape[-1:], jnp.float32)
    forward = _forward(architecture, exact)
    args = (variables, images, channels, channels)
    store.prepare(forward, *args, often_run=not exact)
