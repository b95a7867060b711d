"""Transforms as their notation describes them, checked for the images of a task."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.training.augmentations.batch import Transform
from mothernets_jax.training.augmentations.mixing import CutMix, Mixup
from mothernets_jax.training.augmentations.notation import HandedIn, OfFile, parse
from mothernets_jax.training.augmentations.own import (
    Function,
    Own,
    check_function,
    load_function,
)
from mothernets_jax.training.augmentations.randaugment import RandAugment
from mothernets_jax.utils.argument_errors import Argument, ArgumentError

_FIELD = Argument("augment")
_OF_IMAGES = (RandAugment, CutMix)


def make_transforms(
    augment: str, function: Function | None = None
) -> tuple[Transform, ...]:
    """Makes transforms of their notation.

    Args:
        augment: the notation, with the digests of functions.
        function: the function that `own:NAME:DIGEST` stands for, if it is there.

    Raises:
        ValueError: the text is no such notation.
        ArgumentError: a function is missing, or cannot be loaded.
    """
    found: list[Transform] = []
    for part in parse(augment):
        if isinstance(part, HandedIn):
            if function is None:
                raise ArgumentError(
                    _FIELD,
                    f" is {augment!r}, but the function {part.name} was not handed in: "
                    "call from Python, with augmentation=FUNCTION",
                )
            found.append(Own(part.name, part.digest, function))
        elif isinstance(part, OfFile):
            found.append(load_function(part))
        elif part.name == "randaugment":
            operations, magnitude = part.numbers
            found.append(RandAugment(int(operations), magnitude))
        else:
            found.append({"mixup": Mixup, "cutmix": CutMix}[part.name](*part.numbers))
    return tuple(found)


def check_transforms(
    transforms: Sequence[Transform], shape: tuple[int, int, int, int], dtype: np.dtype
) -> None:
    """Makes sure that transforms can be applied to a task's images.

    Args:
        transforms: the transforms.
        shape: shape of a batch: (batch, height, width, channels).
        dtype: dtype of the raw pixels.

    Raises:
        ArgumentError: a transform needs images and there are features, or levels from
            0 to 255 and there are floats; or a function is none that can be used.
    """
    images = jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))
    for transform in transforms:
        name = type(transform).__name__.lower()
        if isinstance(transform, _OF_IMAGES) and shape[1:3] == (1, 1):
            raise ArgumentError(
                _FIELD,
                f" has {name}, which is for images, but the examples are of 1 x 1 "
                "pixels, as features are: use 'mixup', or a function of your own",
            )
        if isinstance(transform, RandAugment) and images.dtype != jnp.uint8:
            raise ArgumentError(
                _FIELD,
                f" has {name}, which is for levels from 0 to 255 (uint8), but the "
                f"pixels are {images.dtype}: load the images as uint8, or use another",
            )
        if isinstance(transform, Own):
            check_function(transform, images, jax.random.key(0))
