"""Refusal of links: what a run writes and deletes stays in its own folder.

A link in a run's folder would have files elsewhere altered or deleted. So each folder
below the run's own is looked at before anything in it is written or deleted, and files
that are not replaced by a rename are opened without following links.
"""

import errno
import os
import stat
from pathlib import Path

from mothernets_jax.storage import files


class LinkError(ValueError):
    """Error for a link, or for no plain file, where a run would write or delete."""


def refuse_links(root: Path, path: Path) -> None:
    """Refuses a path that leads through a link, or to one, below a folder.

    Args:
        root: the folder, which may be a link itself.
        path: a path below it, of which nothing need be there yet.

    Raises:
        LinkError: a part of the path below the root is a link, or neither a file nor a
            folder.
    """
    place = root
    for part in path.relative_to(root).parts:
        place /= part
        refuse_link(place)


def refuse_link(path: Path) -> None:
    """Refuses what is a link, or neither a file nor a folder; none there is fine.

    Raises:
        LinkError: it is one.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(mode):
        raise LinkError(
            f"{path} is a link to {os.readlink(path)}: nothing is written or deleted "
            "through links. Put what it leads to in its place, or delete the link"
        )
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise LinkError(
            f"{path} is neither a file nor a folder (a pipe, say): delete it, and the "
            "same command goes on"
        )


def names_in(folder: Path) -> set[str]:
    """The names of what is in a folder that is to be written, which may be missing.

    Raises:
        ValueError: it is a link, or is or lies in a file.
    """
    if folder.is_symlink():
        raise ValueError(f"{folder} is a link: expected the path of the folder itself")
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir():
        within = "" if there is folder else f"in {there}, which is "
        raise ValueError(f"{folder} is {within}a file: expected the path of a folder")
    return {path.name for path in folder.iterdir()} if there is folder else set()


def open_plain(path: Path) -> int:
    """Opens a file to read it and to write at its end; makes it if there is none.

    A file that has another name elsewhere, as in a backup by hard links, is replaced by
    a copy first, so that the other one stays as it is.

    Returns:
        The open file's descriptor.

    Raises:
        LinkError: the path is a link, or no plain file.
        OSError: the file cannot be opened.
    """
    refuse_link(path)  # with a message for each kind
    descriptor = _open(path)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        os.close(descriptor)
        files.write_whole(path, path.read_bytes())
        descriptor = _open(path)
    return descriptor


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:  # it became one just now
            refuse_link(path)
        raise
