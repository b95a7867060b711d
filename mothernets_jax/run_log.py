"""What a run leaves behind for people and programs: metrics and provenance."""

import importlib.metadata
import json
import logging
import platform
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import absl.logging

from mothernets_jax import files

_PACKAGES = ("jax", "flax", "optax", "numpy", "pillow")


def log_our_stages() -> None:
    """Our log lines appear, those of libraries only where there is trouble."""
    absl.logging.set_verbosity(absl.logging.WARNING)
    logging.getLogger("mothernets_jax").setLevel(logging.INFO)
    absl.logging.get_absl_handler().addFilter(is_news)
    tell = sys.unraisablehook
    sys.unraisablehook = lambda event: None if _comes_late(event) else tell(event)


def is_news(record: logging.LogRecord) -> bool:
    """Whether a log line says something that is not said anyway.

    What a library logs with its traceback, it raises as well: Orbax's threads would
    print pages before our message.
    """
    ours = record.name.startswith("mothernets_jax")
    return ours or not record.exc_info


def _comes_late(event: "sys.UnraisableHookArgs") -> bool:
    """Whether this is an answer that nobody waits for any more.

    Where Orbax fails to write one array, it leaves; TensorStore's threads then have
    nobody to tell that they are done with the others.
    """
    error = event.exc_value
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"


def log_as_host(number: int) -> None:
    """The first of several hosts speaks for all; others tell trouble and their number.

    Args:
        number: this host's, from 0.
    """
    if number == 0:
        return

    def name_host(record: logging.LogRecord) -> bool:
        record.msg, record.args = f"host {number}: {record.getMessage()}", ()
        return True

    logging.getLogger("mothernets_jax").setLevel(logging.WARNING)
    absl.logging.get_absl_handler().addFilter(name_host)


class MetricsLog:
    """A file of one JSON object a line; stages side by side may write to it."""

    def __init__(self, path: Path):
        """Reads nothing yet.

        Args:
            path: of the file; made by the first line.
        """
        self._path = path
        self._lock = threading.Lock()

    def append(self, **metrics: Any) -> None:
        """Adds a line."""
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")

    def forget(self, stage: str) -> None:
        """Drops a stage's lines, before it is trained again or goes on.

        Lines that an interruption has cut off are dropped, too.
        """
        with self._lock:
            if not self._path.exists():
                return
            self._write(entry for entry in self._entries() if entry["stage"] != stage)

    def mend(self, stage: str, entries: Iterable[Mapping[str, Any]]) -> None:
        """Makes sure that a finished stage's lines are there, all of them, and whole.

        Args:
            stage: its name.
            entries: what `append` was given for it, but the stage.
        """
        wanted = [{"stage": stage, **entry} for entry in entries]
        with self._lock:
            found = self._entries() if self._path.exists() else []
            kept = [entry for entry in found if entry["stage"] != stage]
            own = [entry for entry in found if entry["stage"] == stage]
            if _as_text(own) != _as_text(wanted):
                self._write([*kept, *wanted])

    def _entries(self) -> list[dict[str, Any]]:
        """Those of the lines that are whole."""
        text = self._path.read_text(encoding="utf-8", errors="replace")
        return [entry for line in text.splitlines() if (entry := _entry(line))]

    def _write(self, entries: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(f"{json.dumps(entry)}\n" for entry in entries)
        files.write_whole(self._path, text.encode())


def _as_text(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is the same for the same entries, in whatever order; NaN equals itself."""
    return sorted(json.dumps(entry, sort_keys=True) for entry in entries)


def _entry(line: str) -> dict[str, Any] | None:
    """What a line of metrics says; None where it is not whole."""
    try:
        entry = json.loads(line)
        return entry if isinstance(entry["stage"], str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def provenance(command: str, device: str) -> dict[str, str]:
    """With what a run was made: command, device, commit and versions.

    Args:
        command: the command line.
        device: the accelerator's or processor's name.
    """
    return {
        "command": command,
        "device": device,
        **versions(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """The commit of this code, and the versions of what computes with it, by name."""
    packages = {package: importlib.metadata.version(package) for package in _PACKAGES}
    return {"commit": _commit(), **packages}


def _commit() -> str:
    """The commit of this code, marked where files differ from it; "unknown" without."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        run = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return run.stdout.strip()
