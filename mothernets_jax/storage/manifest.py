"""A JSON record sealed with the SHA-256 of every file of a folder, and of itself."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mothernets_jax.storage import files
from mothernets_jax.storage.files import DamagedError


class SealedRecord(NamedTuple):
    """A record, and the checksums of the files that it was sealed with.

    Attributes:
        files: SHA-256 of each file, in hexadecimal, by the file's path in the folder.
        record: the record itself, plain values.
    """

    files: dict[str, str]
    record: Any


def write(path: Path, folder: Path, record: Mapping[str, Any]) -> None:
    """Seals a record with a folder's files, and writes it by an atomic rename.

    Args:
        path: the record's file.
        folder: the folder whose files the record is sealed with, all written already.
        record: plain values, as JSON can hold them.

    Raises:
        OSError: the record could not be written.
        ValueError: something in the folder is neither a folder nor a plain file.
    """
    content = SealedRecord(checksums(folder), record)._asdict()
    files.write_json(path, {**content, "sha256": _checksum(content)})


def read(path: Path, folder: Path) -> SealedRecord | None:
    """Reads a record and compares it with its own checksum; None where there is none.

    Args:
        path: the record's file.
        folder: the folder whose files the record is sealed with; they are not read.

    Raises:
        DamagedError: the record is not as it was written; or it, `folder`, or the
            folder that holds the record is a link.
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
    """Verifies that a folder's files are those that its record was sealed with.

    Raises:
        DamagedError: the record is not as it was written, or there is a link.
        ValueError: a file is missing, altered, new or a link; the message names the
            first one.
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
    """SHA-256, in hexadecimal, of every file below a folder, by the file's path there.

    Raises:
        ValueError: something in the folder is neither a folder nor a plain file.
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
