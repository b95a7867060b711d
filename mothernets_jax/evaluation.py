"""A member's logits over many images, in batches of one compiled shape."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax import metrics
from mothernets_jax.architectures import Architecture
from mothernets_jax.augment import normalise
from mothernets_jax.compilation import Executables, ProgramStore
from mothernets_jax.data import Dataset
from mothernets_jax.models import Variables, apply


@functools.cache
def _make_forward(architecture: Architecture):
    def forward(variables, images, mean, std):
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

    Returns:
        float32 [examples, classes].
    """
    statistics = jnp.asarray(mean), jnp.asarray(std)
    logits = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        filled = np.zeros((batch_size, *images.shape[1:]), images.dtype)
        filled[: len(batch)] = batch
        args = (variables, jnp.asarray(filled), *statistics)
        program = executables.get(_make_forward(architecture), *args)
        logits.append(np.asarray(program(*args))[: len(batch)])
    return np.concatenate(logits).astype(np.float32)


def validation_error(
    architecture: Architecture,
    variables: Variables,
    dataset: Dataset,
    *,
    batch_size: int,
    executables: Executables,
) -> float | None:
    """The share of the validation images that a member gets wrong; None without any.

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
    return metrics.error(logits, dataset.validation_labels)


def prepare_prediction(
    architecture: Architecture,
    variables: Variables,
    input_shape: tuple[int, int, int],
    batch_size: int,
    store: ProgramStore,
) -> None:
    """Compiles what `predict_logits` will use, in the background.

    Args:
        architecture: the member's.
        variables: their shapes.
        input_shape: (height, width, channels) of an image.
        batch_size: as there.
        store: where compiled programs are kept.
    """
    images = jax.ShapeDtypeStruct((batch_size, *input_shape), jnp.uint8)
    channels = jax.ShapeDtypeStruct(input_shape[-1:], jnp.float32)
    store.prepare(_make_forward(architecture), variables, images, channels, channels)
