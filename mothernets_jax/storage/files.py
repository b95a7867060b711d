"""Files written so that they are there whole or not at all, whatever happens."""

import json
import math
import os
from pathlib import Path
from typing import Any

_LARGEST_JSON = 2**28  # bytes


class DamagedError(ValueError):
    """Error for a file that is not as it was saved; the message names the file."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that readers see the old one or the new one, whole.

    When this returns, the new one is on the disk.

    Args:
        path: where the file goes; several processes may write it at the same time.
        content: all bytes of the file.

    Raises:
        OSError: the file could not be written; what is there is still whole.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # Opened anew only: what a killed process or a link has left is not written to.
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:
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
    """Serialises plain values as a JSON file that people may want to read, too."""
    return f"{json.dumps(value, indent=1, allow_nan=True)}\n".encode()


def without_nonfinite(value: Any) -> Any:
    """Replaces numbers that are not finite by None, as JSON has no such numbers.

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
        DamagedError: the file is missing, not JSON, not a plain file, or above 256 MiB.
        OSError: the file cannot be read.
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
    """Makes a folder and the missing ones above it, all on the disk on return.

    Raises:
        OSError: the folder could not be made, or a file is in its place.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Waits until a file's content, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def user_cache_folder() -> Path:
    """Our folder in `$XDG_CACHE_HOME` or else in `~/.cache`; it may not exist yet."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home, "mothernets_jax")
