"""A run's folder: whose it is, who works in it, and whether it is done."""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import socket
from pathlib import Path
from typing import IO, Any

from mothernets_jax import checkpoints, files
from mothernets_jax.settings import Settings, without_harmless

_log = logging.getLogger(__name__)

_CONFIG, _RESULTS, _LOCK = "config.json", "results.json", ".lock"
_CHECKSUM = ".results.sha256"
_SECTIONS = ("name", "methods", "plan", "data", "provenance")  # of the results


def find_results(workdir: Path, settings: Settings) -> dict[str, Any] | None:
    """The content of a finished run's `results.json`; None where it is not finished.

    Raises:
        ValueError: the folder is a file, or holds another experiment.
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
        return
    try:
        found = _read_object(path, "seed", "methods")
    except checkpoints.DamagedError as error:
        raise ValueError(
            f"{error}. Where the folder is surely this experiment's, delete the file "
            "alone, and the run goes on"
        ) from None
    found, wanted = without_harmless(found), without_harmless(settings.to_json())
    if found != wanted:
        raise ValueError(
            f"{workdir} holds another experiment: {_differences(found, wanted)}. "
            "Choose another --workdir, or delete that folder"
        )


def _read_object(path: Path, *fields: str) -> dict[str, Any]:
    """A JSON file that holds an object with such fields.

    Raises:
        DamagedError: it does not.
    """
    found = files.read_json(path)
    if not isinstance(found, dict) or not found.keys() >= set(fields):
        raise checkpoints.DamagedError(
            f"{path} is damaged (it lacks {', '.join(fields)}): delete it to make it "
            "again"
        )
    return found


class Owner:
    """The one process that works in a run's folder; a lock that ends with it."""

    def __init__(self, workdir: Path, command: str):
        """Takes nothing yet.

        Args:
            workdir: the run's folder.
            command: told to whom the folder is refused.
        """
        self._workdir, self._command = workdir, command
        self._file: IO[str] | None = None

    def claim(self, settings: Settings) -> None:
        """Makes the folder, unless it is there, and locks it, unless that was done.

        Raises:
            ValueError: it cannot be written, or another process works in it.
        """
        try:
            files.make_folder(self._workdir)
            self._lock()
            # Another process may have made it another experiment's meanwhile.
            _check_experiment(self._workdir, settings)
            files.write_json(self._workdir / _CONFIG, settings.to_json())
        except OSError as error:
            raise ValueError(
                f"--workdir={self._workdir} cannot be written ({error.strerror}): "
                "expected a folder that you may write to"
            ) from error

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


def _describe_holder(text: str) -> str:
    """Who holds a lock, from what its file says."""
    try:
        holder = json.loads(text)
        who = f"process {holder['process']} on {holder['host']}"
        return f"{who} ({holder['command']})" if holder["command"] else who
    except (ValueError, KeyError, TypeError):
        return "another process"


def finish(workdir: Path, results: dict[str, Any]) -> None:
    """Writes `results.json`, with which the run is done, and before it its checksum."""
    content = files.json_bytes(results)
    files.write_whole(workdir / _CHECKSUM, _checksum(content))
    files.write_whole(workdir / _RESULTS, content)


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _differences(found: Any, wanted: Any, path: str = "config") -> str:
    """The fields in which two settings differ, with both values."""
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return f"{path} is {found!r} there and {wanted!r} here"
    names = sorted(found.keys() | wanted.keys())
    return "; ".join(
        _differences(found.get(name), wanted.get(name), f"{path}.{name}")
        for name in names
        if found.get(name) != wanted.get(name)
    )
