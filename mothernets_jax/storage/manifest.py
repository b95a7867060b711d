"""A JSON record sealed with the SHA-256 of every file of a folder, and of itself."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mothernets_jax.storage import files
from mothernets_jax.storage.files import DamagedError


class SealedRecord(NamedTuple):
    """What `write` has written.

    Attributes:
        files: SHA-256 by the file's path in the folder.
        record: the record itself.
    """

    files: dict[str, str]
    record: Any


def write(path: Path, folder: Path, record: Mapping[str, Any]) -> None:
    """Writes a record by an atomic rename.

    Args:
        path: of the record.
        folder: whose files it is sealed with, all of them written.
        record: plain values.

    Raises:
        OSError: it could not be written.
        ValueError: something in the folder is neither a folder nor a plain file.
    """
    content = SealedRecord(checksums(folder), record)._asdict()
    files.write_json(path, {**content, "sha256": _checksum(content)})


def read(path: Path, folder: Path) -> SealedRecord | None:
    """The record, compared with its own checksum; None where there is none.

    Args:
        path: of the record.
        folder: whose files it is sealed with; they are not read.

    Raises:
        DamagedError: it is not as it was written, or it, the folder or what holds both
            is a link.
    """
    if not path.exists():
        return None
    for own in (path.parent, path, folder):
        if own.is_symlink():
            raise DamagedError(f"{own} is a link: expected what was saved there itself")
    found = files.read_json(path)
    if isinstance(found, dict) and found.keys() == {"files", "record", "sha256"}:
        content = {"files": found["files"], "record": found["record"]}
        if found["sha256"] == _checksum(content) and isinstance(content["files"], dict):
            return SealedRecord(**content)
    raise DamagedError(
        f"{path} is damaged (it is not what its checksum says): delete {path.parent} "
        "to make it again"
    )


def check_files(path: Path, folder: Path) -> None:
    """Looks whether the folder's files are those that the record was sealed with.

    Raises:
        DamagedError: as `read`.
        ValueError: a file is missing, altered, new or a link; names the first one.
    """
    sealed = read(path, folder)
    saved, found = sealed.files if sealed else {}, checksums(folder)
    for name in sorted(saved.keys() | found.keys()):
        if name not in found:
            raise ValueError(f"its file {name} is missing")
        if name not in saved:
            raise ValueError(f"its file {name} was not saved with it")
        if saved[name] != found[name]:
            raise ValueError(f"its file {name} was altered")


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder, by its path there.

    Raises:
        ValueError: something in it is neither a folder nor a plain file.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError(f"{name} is a link or no plain file")
        if path.is_file():
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()
