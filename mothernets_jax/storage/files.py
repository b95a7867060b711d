"""Files written so that they are there whole or not at all, whatever happens."""

import json
import math
import os
from pathlib import Path
from typing import Any

_MOST_JSON_BYTES = 2**26
# What these stand for takes up to a few hundred bytes of memory each.
_MOST_BRACES, _MOST_BRACKETS, _MOST_COMMAS = 2**20, 2**21, 2**23
_DEEPEST = 32  # levels of values in values


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


def read_json(path: Path, *, most_bytes: int = _MOST_JSON_BYTES) -> Any:
    """Reads a JSON file, whoever has written it, in less than 1 GiB of memory.

    Args:
        path: the file.
        most_bytes: number of bytes that it may have.

    Raises:
        DamagedError: the file is missing, not JSON, not a plain file, too large, or its
            values are too many or nested too deeply.
        OSError: the file cannot be read.
    """
    try:
        return parse_json(read_bytes(path, most_bytes))
    except (ValueError, RecursionError) as error:
        raise DamagedError(
            f"{path} is damaged ({error}): delete it to make it again"
        ) from None


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """Reads a plain file, and no pipe or device, of at most so many bytes.

    Raises:
        ValueError: the file is missing, no plain file, or larger.
        OSError: the file cannot be read.
    """
    if path.is_file():
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
        if len(content) <= most_bytes:
            return content
    raise ValueError(f"expected a file of at most {most_bytes:,} bytes")


def parse_json(content: bytes) -> Any:
    """Reads JSON of which nothing is known but its size.

    Raises:
        ValueError: it is not JSON, or its values are too many or nested too deeply.
        RecursionError: its values are nested too deeply.
    """
    counts = [content.count(sign) for sign in (b"{", b"[", b",")]
    most = (_MOST_BRACES, _MOST_BRACKETS, _MOST_COMMAS)
    if any(found > limit for found, limit in zip(counts, most, strict=True)):
        raise ValueError(
            "it has millions of values, more than any that is written here"
        )
    value = json.loads(content.decode("utf-8"))
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return value
    raise ValueError(f"its values are nested more than {_DEEPEST} levels deep")


def _inner(value: Any) -> list[Any]:
    """The lists and dictionaries in a value, which may be one of them."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return []
    return [own for own in value if isinstance(own, dict | list)]


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
