"""Augmentations of one's own: functions (key, images) -> images.

Axes: images are [batch, height, width, channels].
"""

import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import cast

import jax

from mothernets_jax.training.augmentations.batch import Batch, own_part, whole
from mothernets_jax.training.augmentations.notation import OfFile
from mothernets_jax.training.augmentations.source_digest import file_digest
from mothernets_jax.utils.argument_errors import Argument, ArgumentError

# From a typed key and raw images to images of the same shape and dtype.
Function = Callable[[jax.Array, jax.Array], jax.Array]

_FIELD = Argument("augment")


@dataclasses.dataclass(frozen=True)
class Own:
    """A function as a `batch.Transform`.

    It sees the whole batch, whatever the number of devices, so that it draws the same
    numbers; each device then keeps its part.

    Attributes:
        name: the function's name, for messages.
        digest: digits that tell its source and values from those of others; by these
            and the name it is compared.
        function: the function.
    """

    name: str
    digest: str
    function: Function = dataclasses.field(compare=False)

    def __call__(self, key: jax.Array, batch: Batch, batch_axis: str | None) -> Batch:
        """Changes the images; see `batch.Transform`."""
        images = self.function(key, whole(batch.images, batch_axis))
        return batch._replace(images=own_part(images, batch_axis))


def load_function(part: OfFile) -> Own:
    """Loads a function from its file, which is run as a module.

    Args:
        part: the file, the function and the digest of the file's content.

    Raises:
        ArgumentError: the file cannot be read or run, is another than the digest tells
            of, or has no such function.
    """
    if file_digest(part.path) != part.digest:
        raise ArgumentError(
            _FIELD,
            f" is {str(part)!r}, but {part.path} has changed since: restore it, or "
            "leave the digits at the end out and begin another run",
        )
    spec = importlib.util.spec_from_file_location(Path(part.path).stem, part.path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ArgumentError(
            _FIELD,
            f" names the file {part.path}, which fails when it is loaded: "
            f"{type(error).__name__}: {error}",
        ) from error
    function = getattr(module, part.function, None)
    if not callable(function):
        found = "nothing of this name" if function is None else repr(function)
        raise ArgumentError(
            _FIELD,
            f" names {part.function} in {part.path}, which is {found}: expected a "
            "function (key, images) -> images",
        )
    return Own(part.function, part.digest, cast(Function, function))


def check_function(own: Own, images: jax.ShapeDtypeStruct, key: jax.Array) -> None:
    """Makes sure that a function keeps shape and dtype, without running it.

    It is traced for one member, and for several at once.

    Args:
        own: the function.
        images: shape and dtype of a batch.
        key: a typed key of the kind that it will be given.

    Raises:
        ArgumentError: the function fails, or returns something else.
    """

    def of_members(keys, images):
        return jax.vmap(own.function, in_axes=(0, None))(keys, images)

    try:
        found = jax.eval_shape(own.function, key, images)
        keys = jax.ShapeDtypeStruct((2,), key.dtype)
        jax.eval_shape(of_members, keys, images)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ArgumentError(
            _FIELD,
            f": the function {own.name} fails on {_described(images)}: "
            f"{type(error).__name__}: {reason}. Expected a function (key, images) -> "
            "images that jax.jit and jax.vmap can trace",
        ) from error
    if jax.tree.structure(found) != jax.tree.structure(images):
        raise ArgumentError(
            _FIELD,
            f": the function {own.name} returns a {type(found).__name__}: expected "
            f"one array, {_described(images)}, as it was given",
        )
    if (found.shape, found.dtype) != (images.shape, images.dtype):
        raise ArgumentError(
            _FIELD,
            f": the function {own.name} turns {_described(images)} into "
            f"{_described(found)}: expected the same shape and dtype, so end it with "
            ".clip(0, 255).astype(images.dtype), say",
        )


def _described(images: jax.ShapeDtypeStruct) -> str:
    return f"{images.dtype} {list(images.shape)}"
