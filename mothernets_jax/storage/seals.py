"""Checksums of a finished run's own files, in a file that `sha256sum -c` reads, too.

Versions before had the bare checksum of `results.json` there.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from mothernets_jax.storage import files

RESULTS = "results.json"
NAME = ".results.sha256"
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_MOST_BYTES = 2**20


def write(workdir: Path, sums: Mapping[str, str]) -> None:
    """Writes the checksums of files, in hexadecimal, by their paths in the folder.

    Raises:
        OSError: they could not be written.
    """
    text = "".join(f"{own}  {name}\n" for name, own in sums.items())
    files.write_whole(workdir / NAME, text.encode())


def read(workdir: Path) -> dict[str, str]:
    """Reads the checksums of files, by their paths in the folder.

    Returns:
        The checksums; none where there are none, as of an earlier version.

    Raises:
        DamagedError: the file of checksums is damaged.
        OSError: it cannot be read.
    """
    path = workdir / NAME
    if not path.exists():
        return {}
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise files.DamagedError(f"{path} is damaged: delete it")
    text = path.read_text(encoding="utf-8", errors="replace")
    if re.fullmatch("[0-9a-f]{64}", text):
        return {RESULTS: text}
    found = [_LINE.fullmatch(line) for line in text.splitlines()]
    if not found or not text.endswith("\n") or None in found:
        raise files.DamagedError(f"{path} is damaged: delete it")
    return {match[2]: match[1] for match in found if match}


def of_content(content: bytes) -> str:
    """The checksum of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def of_file(path: Path) -> str:
    """The checksum of a file, in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
