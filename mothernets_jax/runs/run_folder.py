"""Keep a run's folder: its experiment, the process that works in it, its results."""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from mothernets_jax.config.identity import (
    of_this_version,
    result_relevant,
    without_places,
)
from mothernets_jax.config.settings import Settings
from mothernets_jax.data import run_record
from mothernets_jax.storage import checkpoints, files
from mothernets_jax.utils.messages import safe_name

_log = logging.getLogger(__name__)

_CONFIG, _RESULTS, _LOCK = "config.json", "results.json", ".lock"
_CHECKSUM = ".results.sha256"
_STAGES = "stages"
# What a file system puts into any folder; hidden files are passed over, too.
_NO_CONTENT = ("lost+found",)
_MOST_NAMES = 3  # of what a folder holds, in a message
_SECTIONS = ("name", "methods", "plan", "data", "provenance")  # of the results


def find_results(workdir: Path, settings: Settings) -> dict[str, Any] | None:
    """The content of a finished run's `results.json`; None if it is not finished.

    Raises:
        ValueError: the folder is a file, holds another experiment, or no run at all.
    """
    _check_experiment(workdir, settings)
    path = workdir / _RESULTS
    try:
        if not path.exists():
            return None
        found = _read_object(path, *_SECTIONS)
        checksum = workdir / _CHECKSUM
        if checksum.exists() and checksum.read_bytes() != _checksum(path.read_bytes()):
            raise checkpoints.DamagedError("it is not what its checksum says")
        return found
    except checkpoints.DamagedError:
        _log.warning("%s is damaged: it is made again", path)
        return None


def _check_experiment(workdir: Path, settings: Settings) -> None:
    """Makes sure that an existing folder is this experiment's."""
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"--workdir={workdir} is a file: expected a folder")
    checkpoints.check_path(workdir)
    path = workdir / _CONFIG
    if not path.exists():
        _check_no_strangers(workdir)
        return
    try:
        found = _read_object(path, "seed", "methods")
    except checkpoints.DamagedError as error:
        raise ValueError(
            f"{error}. Where the folder is surely this experiment's, delete the file "
            "alone, and the run goes on"
        ) from None
    found = result_relevant(of_this_version(found))
    wanted = result_relevant(settings.to_json())
    if run_record.exists(workdir):  # by which the images themselves are compared
        found, wanted = without_places(found), without_places(wanted)
    if found != wanted:
        raise ValueError(
            f"{workdir} holds another experiment: {_differences(found, wanted)}. "
            "Choose another --workdir, or delete that folder"
        )


def _check_no_strangers(workdir: Path) -> None:
    """Makes sure that a folder without settings is empty, or a run's that lost them."""
    if not workdir.is_dir():
        return
    if (workdir / _STAGES).is_dir() or run_record.is_ours(workdir):
        return
    names = (path.name for path in workdir.iterdir())
    found = sorted(n for n in names if not n.startswith(".") and n not in _NO_CONTENT)
    if found:
        some = ", ".join(map(safe_name, found[:_MOST_NAMES]))
        more = len(found) - _MOST_NAMES
        raise ValueError(
            f"--workdir={workdir} is not the folder of a run: it holds {some}"
            + (f" and {more:,} more" if more > 0 else "")
            + f", and no {_CONFIG}. Choose an empty folder or a new one, which is made"
        )


def _read_object(path: Path, *fields: str) -> dict[str, Any]:
    """Reads a JSON file that must hold an object with the given fields.

    Raises:
        DamagedError: the file holds no object, or one that lacks a field.
    """
    found = files.read_json(path)
    if not isinstance(found, dict) or not found.keys() >= set(fields):
        raise checkpoints.DamagedError(
            f"{path} is damaged (it lacks {', '.join(fields)}): delete it to make it "
            "again"
        )
    return found


class RunLock:
    """A lock on a run's folder for one process, which ends with that process."""

    def __init__(self, workdir: Path, command: str):
        """Prepares the lock without taking it.

        Args:
            workdir: the run's folder.
            command: the command line, told to another process that is refused.
        """
        self._workdir, self._command = workdir, command
        self._file: IO[str] | None = None

    def reserve(self, settings: Settings) -> None:
        """Locks the folder if it is not locked yet; changes nothing else in it.

        Raises:
            ValueError: the folder cannot be written, or another process works in it.
        """
        with _explained(self._workdir):
            self._lock()
            # Another process may have made it another experiment's meanwhile.
            _check_experiment(self._workdir, settings)

    def acquire(self, settings: Settings) -> None:
        """Makes the folder if there is none, locks it and writes the settings.

        Raises:
            ValueError: the folder cannot be written, or another process works in it.
        """
        with _explained(self._workdir):
            files.make_folder(self._workdir)
            self.reserve(settings)
            files.write_json(self._workdir / _CONFIG, settings.to_json())

    def release(self) -> None:
        """Lets others work in the folder."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lock(self) -> None:
        if self._file is not None:
            return
        file = (self._workdir / _LOCK).open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = _describe_holder(file.read())
            file.close()
            raise ValueError(
                f"{self._workdir} is being worked in by {holder}: wait until it is "
                "done, stop it, or choose another --workdir"
            ) from None
        except OSError as error:  # some network file systems have no locks
            _log.warning(
                "%s cannot be locked (%s): make sure that no other process works in it",
                self._workdir,
                error.strerror,
            )
        self._file = file
        with contextlib.suppress(OSError):
            file.truncate(0)
            own = {"host": socket.gethostname(), "process": os.getpid()}
            file.write(json.dumps({**own, "command": self._command}))
            file.flush()


@contextlib.contextmanager
def _explained(workdir: Path) -> Iterator[None]:
    """Turns the OSError of a folder that cannot be written into a ValueError."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"--workdir={workdir} cannot be written ({error.strerror}): expected a "
            "folder that you may write to"
        ) from error


def _describe_holder(text: str) -> str:
    """Names the holder of a lock, from the text of the lock's file."""
    try:
        holder = json.loads(text)
        who = f"process {holder['process']} on {holder['host']}"
        return f"{who} ({holder['command']})" if holder["command"] else who
    except (ValueError, KeyError, TypeError):
        return "another process"


def finish(workdir: Path, results: dict[str, Any]) -> None:
    """Marks a run as done: writes the checksum of `results.json`, then the file."""
    content = files.json_bytes(results)
    files.write_whole(workdir / _CHECKSUM, _checksum(content))
    files.write_whole(workdir / _RESULTS, content)


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _differences(found: Any, wanted: Any, path: str = "config") -> str:
    """Fields in which two settings differ, with both values."""
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return f"{path} is {found!r} there and {wanted!r} here"
    names = sorted(found.keys() | wanted.keys())
    return "; ".join(
        _differences(found.get(name), wanted.get(name), f"{path}.{name}")
        for name in names
        if found.get(name) != wanted.get(name)
    )
