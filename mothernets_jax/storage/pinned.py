"""Files kept as they are while a folder goes on to change.

A pinned file is a hard link in a folder of its own, or a copy where there are no links
or where the file may be written to in place. Saves are never changed in place, only
deleted or replaced, which a link does not notice.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from mothernets_jax.storage import checkpoints, files, manifest, seals
from mothernets_jax.storage.mirror import LocalFile


class PinnedFiles:
    """Files in a folder of their own."""

    def __init__(self, folder: Path):
        """Takes a folder that is there."""
        self._folder = folder
        self._count = 0

    def new_path(self) -> Path:
        """A path in the folder at which nothing is."""
        self._count += 1
        return self._folder / f"{self._count:06d}"

    def copy(self, path: Path) -> LocalFile:
        """Copies a plain file.

        Raises:
            FileNotFoundError: it is not there.
            OSError: it cannot be read, or is a link.
        """
        copy = self.new_path()
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as source, copy.open("xb") as file:
            shutil.copyfileobj(source, file)
        return _described(copy)

    def save(self, folder: Path, known: Container[str]) -> dict[str, LocalFile] | None:
        """Pins a finished save, as `checkpoints.save` has written it.

        Args:
            folder: the save's folder.
            known: checksums of files that need not be pinned.

        Returns:
            The files by their paths in the folder; None where no save is, or none that
            is whole.

        Raises:
            OSError: something cannot be read or linked.
        """
        arrays = folder / checkpoints.VARIABLES
        try:
            record = self.copy(folder / checkpoints.RECORD)
            sealed = manifest.read(record.path, arrays)
            if sealed is None or sealed.files.keys() != _names(arrays):
                return None
            found = {checkpoints.RECORD: record}
            for name, sha256 in sealed.files.items():
                own = self._pinned(arrays / name, sha256, known)
                if own.sha256 != sha256:
                    return None
                found[f"{checkpoints.VARIABLES}/{name}"] = own
        except (FileNotFoundError, NotADirectoryError, files.DamagedError):
            return None  # deleted just now, or damaged
        return found

    def _pinned(self, path: Path, sha256: str, known: Container[str]) -> LocalFile:
        if sha256 in known:
            return LocalFile(path, path.stat().st_size, sha256)
        link = self.new_path()
        try:
            os.link(path, link, follow_symlinks=False)
        except FileNotFoundError:
            raise
        except OSError:  # of file systems that have no hard links
            return self.copy(path)
        return _described(link)


@contextlib.contextmanager
def pinned_files(folder: Path, guard: Callable[[Path], None]) -> Iterator[PinnedFiles]:
    """Context with a folder for pinned files, which is deleted afterwards.

    Args:
        folder: the folder, on the file system of what is pinned; what a killed process
            has left in it is deleted.
        guard: a function that raises ValueError where a path may not be written to or
            deleted.
    """

    def delete() -> None:
        guard(folder)
        if folder.exists():
            shutil.rmtree(folder)

    delete()
    files.make_folder(folder)
    try:
        yield PinnedFiles(folder)
    finally:
        delete()


def _names(folder: Path) -> set[str]:
    """Paths of all plain files below a folder, which may be missing."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def _described(path: Path) -> LocalFile:
    return LocalFile(path, path.stat().st_size, seals.of_file(path))
