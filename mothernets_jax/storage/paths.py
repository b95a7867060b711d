"""Paths that users give."""

import os
from pathlib import Path
from typing import Any

from mothernets_jax.utils.messages import short_repr


def as_path(path: Any, name: str = "path") -> Path:
    """Reads a path, with `~` for the home folder.

    Args:
        path: text, a `Path`, or another object that stands for a path as text.
        name: name of the argument, for the message.

    Raises:
        ValueError: the path is none, has the character 0, or begins with the home of an
            unknown user.
    """
    given = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(given, str) or "\0" in given:
        raise ValueError(
            f"{name} is {short_repr(path)}: expected a path, as text or a pathlib.Path"
        )
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{name} is {short_repr(given)}: {error}") from None
