"""Files that are there whole or not at all, whatever happens while they are written."""

import json
import math
import os
from pathlib import Path
from typing import Any

_LARGEST_JSON = 2**28  # bytes


class DamagedError(ValueError):
    """What was saved is not what is there now; the message names the file."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that readers see the old one or the new one, whole.

    When this returns, the new one is on the disk.

    Args:
        path: of the file; processes may write it at the same time.
        content: of the file.

    Raises:
        OSError: it could not be written; the old one is there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file so that readers see the old one or the new one, whole."""
    write_whole(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """The content of a JSON file that people may want to read, too."""
    return f"{json.dumps(value, indent=1, allow_nan=True)}\n".encode()


def without_nonfinite(value: Any) -> Any:
    """Plain values, with None for numbers that are not finite: JSON has no such.

    >>> without_nonfinite({"loss": [0.5, float("nan")]})
    {'loss': [0.5, None]}
    """
    if isinstance(value, dict):
        return {name: without_nonfinite(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [without_nonfinite(own) for own in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        DamagedError: it is not JSON, or no plain file.
        OSError: it cannot be read.
    """
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_JSON:
            raise ValueError(f"expected a file of at most {_LARGEST_JSON:,} bytes")
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedError(
            f"{path} is damaged ({error}): delete it to make it again"
        ) from None


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it that are missing, on the disk.

    Raises:
        OSError: it could not be made, or is a file.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(path: Path) -> None:
    """A file's content, or a folder's names, are on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
