"""Image files below a folder, told by their content, and all that lies beside them.

Nothing passes out of sight: what is not listed as an image is listed as skipped, with
the reason. Whatever its name, a file is an image if it begins as one.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from mothernets_jax.data import decoding
from mothernets_jax.data.image_formats import HEAD_BYTES

# Names that promise an image of a format that is read: what is none then is damaged.
_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".avifs"),
)
# Raw photographs begin as a TIFF, whose only picture may be a thumbnail.
_RAW_SUFFIXES = (".3fr", ".arw", ".cr2", ".dng", ".erf", ".iiq", ".kdc", ".nef")
_RAW_SUFFIXES += (".nrw", ".pef", ".sr2", ".srw")
# Made by systems, and full of thumbnails, of shadows of files or of what was deleted.
_SYSTEM_FOLDERS = ("__macosx", "@eadir", "$recycle.bin", "lost+found")
# Threads wait for a disk side by side; where files are in memory they gain nothing.
_THREADS, _CHUNK_FILES = 16, 512

HIDDEN = "hidden"
NO_IMAGE = "not images"
OUTSIDE = "outside the class folders"
_SPECIAL = "pipes or devices"
_SEEN = "links to folders that hold them or are listed already"


class Skipped(NamedTuple):
    """A file or a folder that is no part of the data.

    Attributes:
        path: path of the file or folder; a folder's ends with a slash.
        reason: its kind, in the plural, such as `HIDDEN` or "SVG files".
        is_image: whether it is an image all the same, in a format that is not read.
    """

    path: str
    reason: str
    is_image: bool = False


class Listing(NamedTuple):
    """All that lies below a folder.

    Attributes:
        images: the paths of all files that are images or were meant to be, sorted.
        bad: those of `images` that reading will fail on: files that are empty, of no
            known kind in spite of their suffix, or not readable, and links that lead
            nowhere.
        skipped: everything else, sorted.
    """

    images: list[str]
    bad: list[str]
    skipped: list[Skipped]


def list_images(folder: str | Path) -> Listing:
    """Finds all images at any depth below a folder, following links.

    Args:
        folder: path of a folder that exists.

    Raises:
        ValueError: a folder that cannot be listed.
    """
    files, dead, skipped = _walk(str(folder))
    images, bad = dead[:], dead[:]
    for path, head in zip(files, heads(files), strict=True):
        found = None if head is None else decoding.image_format(head)
        if found == "TIFF" and path.lower().endswith(_RAW_SUFFIXES):
            found = "raw camera"
        if found in decoding.FORMATS:
            images.append(path)
        elif found is not None:
            skipped.append(Skipped(path, f"{found} files", is_image=True))
        elif head is None or path.lower().endswith(_SUFFIXES):
            images.append(path)
            bad.append(path)
        else:
            skipped.append(Skipped(path, NO_IMAGE))
    return Listing(sorted(images), sorted(bad), sorted(skipped))


def is_hidden(name: str) -> bool:
    """Tells whether a file or folder of this name is hidden or the system's own."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


def describe_skipped(root: Path, skipped: Sequence[Skipped]) -> str:
    """One sentence that says what was skipped, and why; empty for nothing.

    Args:
        root: the data set's folder, which paths in the sentence start from.
        skipped: the files and folders that were skipped.
    """
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for path, reason, is_image in sorted(skipped):
        if is_image:
            reason = f"{reason}, a format that is not read"
        shown = path.removeprefix(f"{root}/").encode("utf-8", "backslashreplace")
        first.setdefault(reason, shown.decode())
        counts[reason] += 1
    parts = [
        f"{count:,} {reason} ({first[reason]}{', ...' if count > 1 else ''})"
        for reason, count in counts.items()
    ]
    return f"Skipped in the folder: {'; '.join(parts)}." if parts else ""


def scan(folder: str) -> list[os.DirEntry[str]]:
    """Entries of a folder, sorted by name.

    Raises:
        ValueError: the folder cannot be listed.
    """
    # os.scandir, as pathlib would take seconds for 60,000 files.
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ValueError(
            f"cannot list the folder {folder} ({error.strerror}): expected one that "
            "you may read. Change that, or remove it."
        ) from error


def _walk(top: str) -> tuple[list[str], list[str], list[Skipped]]:
    """Files, links that lead nowhere, and all that is skipped, below a folder.

    Each folder is entered once, so that links in a circle end. Those behind links come
    last: where two ways lead to a folder, its files have the names without links.
    """
    files, dead, skipped = [], [], []
    # A link to a folder above would bring in the images of all other classes.
    above = {*Path(top).parents, *Path(top).resolve().parents}
    seen = {_identity(folder) for folder in above}
    folders, links = [top], []
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        entries = scan(folder)
        if _identity(folder) in seen:
            skipped.append(Skipped(f"{folder}/", _SEEN))
            continue
        seen.add(_identity(folder))
        for entry in entries:
            kind = kind_of(entry)
            if is_hidden(entry.name):
                slash = "/" if kind == "folder" else ""
                skipped.append(Skipped(entry.path + slash, HIDDEN))
            elif kind == "folder":
                (links if entry.is_symlink() else folders).append(entry.path)
            elif kind == "file":
                files.append(entry.path)
            elif kind == "dead link":
                dead.append(entry.path)
            else:
                skipped.append(Skipped(entry.path, _SPECIAL))
    return files, dead, skipped


def _identity(folder: str | Path) -> tuple[int, int]:
    """Device and inode of a folder: the same whatever way leads to it."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def kind_of(entry: os.DirEntry[str]) -> str:
    """Kind of an entry, links followed: "file", "folder", "dead link" or "special"."""
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
        entry.stat()  # of what a link leads to
    except OSError:  # It leads nowhere, or to itself.
        return "dead link"
    return "special"


def heads(paths: Sequence[str]) -> Iterator[bytes | None]:
    """The first bytes of each file; None where it cannot be read.

    Args:
        paths: paths of regular files.
    """
    chunks = [
        paths[start : start + _CHUNK_FILES]
        for start in range(0, len(paths), _CHUNK_FILES)
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        return chain.from_iterable(list(pool.map(_read_heads, chunks)))


def _read_heads(paths: Sequence[str]) -> list[bytes | None]:
    return [_read_head(path) for path in paths]


def _read_head(path: str) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, HEAD_BYTES)
    except OSError:
        return None
    finally:
        os.close(descriptor)
