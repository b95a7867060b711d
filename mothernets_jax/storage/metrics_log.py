"""A run's metrics, in a file of one JSON object a line."""

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mothernets_jax.storage import files, links


class MetricsLog:
    """A file of one JSON object a line; stages side by side may write to it."""

    def __init__(self, path: Path):
        """Prepares the log without touching its file.

        Args:
            path: the log's file, which the first line makes.
        """
        self._path = path
        self._lock = threading.Lock()

    def append(self, **metrics: Any) -> None:
        """Adds a line of metrics, by name; `stage` must be among them.

        Raises:
            LinkError: the file is a link, or no plain file.
        """
        with self._lock, open(links.open_plain(self._path), "ab") as file:
            file.write(f"{json.dumps(metrics)}\n".encode())

    def forget(self, stage: str) -> None:
        """Drops a stage's lines, before it is trained again or goes on.

        Lines that an interruption has cut off are dropped, too.
        """
        with self._lock:
            if not self._path.exists():
                return
            self._write(entry for entry in self._entries() if entry["stage"] != stage)

    def stages(self) -> set[str]:
        """Names of the stages that have lines."""
        with self._lock:
            found = self._entries() if self._path.exists() else []
        return {entry["stage"] for entry in found}

    def has(self, stage: str, entries: Iterable[Mapping[str, Any]]) -> bool:
        """Tells whether a stage's lines are there, all of them, and no others.

        Args:
            stage: the stage's name.
            entries: metrics of each of its lines, as `mend` takes them.
        """
        wanted = [{"stage": stage, **entry} for entry in entries]
        with self._lock:
            found = self._entries() if self._path.exists() else []
        own = [entry for entry in found if entry["stage"] == stage]
        return _as_text(own) == _as_text(wanted)

    def mend(self, stage: str, entries: Iterable[Mapping[str, Any]]) -> None:
        """Makes sure that a finished stage's lines are there, all of them, and whole.

        Args:
            stage: the stage's name.
            entries: metrics of each of its lines, by name, as given to `append` but
                without `stage`.
        """
        wanted = [{"stage": stage, **entry} for entry in entries]
        with self._lock:
            found = self._entries() if self._path.exists() else []
            kept = [entry for entry in found if entry["stage"] != stage]
            own = [entry for entry in found if entry["stage"] == stage]
            if _as_text(own) != _as_text(wanted):
                self._write([*kept, *wanted])

    def _entries(self) -> list[dict[str, Any]]:
        """The entries of the lines that are whole."""
        links.refuse_link(self._path)  # a pipe would be waited for
        text = self._path.read_text(encoding="utf-8", errors="replace")
        return [entry for line in text.splitlines() if (entry := _entry(line))]

    def _write(self, entries: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(f"{json.dumps(entry)}\n" for entry in entries)
        files.write_whole(self._path, text.encode())


def _as_text(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Text that is equal for equal entries, in whatever order; NaN equals itself."""
    return sorted(json.dumps(entry, sort_keys=True) for entry in entries)


def _entry(line: str) -> dict[str, Any] | None:
    """The entry that a line of metrics holds; None where the line is not whole."""
    try:
        entry = json.loads(line)
        return entry if isinstance(entry["stage"], str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
