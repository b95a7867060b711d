"""The setting `data.augment` as a run keeps it, with the digests of functions.

By them a run that goes on with another function is refused, as with any other setting.
"""

import dataclasses
from collections.abc import Callable

from mothernets_jax.config.field_names import TASK, named_as_fields
from mothernets_jax.config.settings import Settings
from mothernets_jax.training.augmentations import notation
from mothernets_jax.training.augmentations.notation import HandedIn, OfFile, Part
from mothernets_jax.training.augmentations.source_digest import (
    file_digest,
    name_of,
    source_digest,
)
from mothernets_jax.utils.argument_errors import Argument, ArgumentError


@named_as_fields(TASK)
def settled(settings: Settings) -> Settings:
    """Settings in which equal augmentations are equal texts, and files have digests.

    Raises:
        ArgumentError: a file without a digest cannot be read.
    """
    return _with_parts(settings, tuple(map(_with_digest, _parts_of(settings))))


@named_as_fields(TASK)
def with_function(settings: Settings, function: Callable | None) -> Settings:
    """Settings of a run that a function is handed to.

    Args:
        settings: the settings, in which the function may be named already.
        function: the function; it acts before other augmentations where the settings
            do not name it. None for none.

    Raises:
        ArgumentError: the settings name another function, or one and there is none; or
            the function cannot be told from others.
    """
    settings = settled(settings)
    parts = _parts_of(settings)
    named = [part for part in parts if isinstance(part, HandedIn)]
    if function is None:
        if named:
            raise ArgumentError(
                Argument("augment"),
                f" has the function {named[0].name}, which was not handed in: call "
                "from Python with it, or name it as 'FILE.py:FUNCTION'",
            )
        return settings
    if not callable(function):
        raise ValueError(
            f"the augmentation is a {type(function).__name__}: expected a function "
            "(key, images) -> images"
        )
    try:
        own = HandedIn(name_of(function), source_digest(function))
    except ValueError as error:
        raise ValueError(f"the augmentation {name_of(function)}: {error}") from None
    if not named:
        return _with_parts(settings, (own, *parts))
    if named != [own]:
        raise ArgumentError(
            Argument("augment"),
            f" has {str(named[0])!r}, but the function that was handed in is "
            f"{str(own)!r}, of another source or other values: hand in the same",
        )
    return settings


def _parts_of(settings: Settings) -> tuple[Part, ...]:
    return notation.parse(settings.data.augment)


def _with_parts(settings: Settings, parts: tuple[Part, ...]) -> Settings:
    data = dataclasses.replace(settings.data, augment=notation.write(parts))
    return dataclasses.replace(settings, data=data)


def _with_digest(part: Part) -> Part:
    if isinstance(part, OfFile) and not part.digest:
        return part._replace(digest=file_digest(part.path))
    return part
