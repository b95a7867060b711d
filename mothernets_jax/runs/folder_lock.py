"""A lock on a folder for one process, which ends with that process.

Locked is the folder itself, which holds whatever becomes of the files in it, and a file
`.lock` in it, which says who holds the lock, and which is locked too: some network file
systems have locks for files only.
"""

import contextlib
import fcntl
import json
import logging
import os
import socket
from pathlib import Path

from mothernets_jax.storage import links

_log = logging.getLogger(__name__)

LOCK_NAME = ".lock"


class FolderLock:
    """A lock on a folder for one process."""

    def __init__(self, folder: Path, command: str):
        """Prepares the lock without taking it.

        Args:
            folder: the folder.
            command: the command line, told to another process that is refused.
        """
        self._path, self._command = folder, command
        self._folder: int | None = None
        self._file: int | None = None
        self._holds_folder = False

    def take(self) -> None:
        """Locks the folder if it is not locked yet.

        Raises:
            ValueError: another process has locked it, or `.lock` is a link.
            OSError: the folder cannot be written.
        """
        if self._file is not None:
            return
        try:
            self._folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            self._holds_folder = False
            with contextlib.suppress(OSError):
                self._lock(self._folder)
                self._holds_folder = True
            self._file = links.open_plain(self._path / LOCK_NAME)
            try:
                self._lock(self._file)
            except OSError as error:
                if not self._holds_folder:
                    _log.warning(
                        "%s cannot be locked (%s): make sure that no other process "
                        "works in it",
                        self._path,
                        error.strerror,
                    )
        except BaseException:
            self.release()
            raise
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
            own = {"host": socket.gethostname(), "process": os.getpid()}
            os.write(self._file, json.dumps({**own, "command": self._command}).encode())

    def check(self) -> None:
        """Makes sure that the locked folder is still the one at its path.

        Raises:
            ValueError: the folder was moved, deleted or replaced; or, where folders
                cannot be locked, its `.lock` was.
        """
        if self._folder is None or self._file is None:
            return
        held = [(self._folder, self._path)]
        if not self._holds_folder:
            held.append((self._file, self._path / LOCK_NAME))
        for descriptor, path in held:
            if not _is_same(descriptor, path):
                raise ValueError(
                    f"{path} was moved, deleted or replaced while this run worked in "
                    "it: the run stops, so that no two are mixed. What it saved is "
                    "where that folder is now, where the same command goes on"
                )

    def release(self) -> None:
        """Lets others work in the folder."""
        for descriptor in (self._file, self._folder):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._folder = None

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{self._path} is being worked in by {_describe_holder(self._path)}: "
                "wait until it is done, stop it, or choose another --workdir"
            ) from None


def _is_same(descriptor: int, path: Path) -> bool:
    """Tells whether an open file or folder is the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def _describe_holder(folder: Path) -> str:
    """Names the holder of a lock, from what it wrote into the lock's file."""
    path = folder / LOCK_NAME
    try:
        links.refuse_link(path)
        holder = json.loads(path.read_text(encoding="utf-8"))
        who = f"process {holder['process']} on {holder['host']}"
        return f"{who} ({holder['command']})" if holder["command"] else who
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
