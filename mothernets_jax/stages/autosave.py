"""The unfinished work of a stage, saved from time to time, so that it can go on.

Each save is a folder of its own, numbered, and whole or not there; the newest few are
kept. Files are written by a thread while training goes on. A save that is damaged is
named and stepped over, to the one before it.
"""

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from mothernets_jax.runtime import multihost
from mothernets_jax.storage import checkpoints

_log = logging.getLogger(__name__)

KEPT = 2
# Saving may take at most this share of the time, however short the interval.
_MOST_OF_THE_TIME = 0.01

# Raises ValueError where a path may not be written to or deleted.
Guard = Callable[[Path], None]
# Is called when something was saved.
Saved = Callable[[], object]
# Maps the outline of a save to the shapes that its arrays are expected to have.
Template = Callable[[Any], dict[str, Any]]


def unguarded(path: Path) -> None:
    """The guard of a folder that anything may be written to."""


def unnoticed() -> None:
    """Nothing, where nobody asks what was saved."""


class StageAutosave:
    """Saves of one stage's unfinished work; only the first host writes and reads."""

    def __init__(
        self,
        folder: Path | None,
        interval_seconds: float = 60.0,
        guard: Guard = unguarded,
        saved: Saved = unnoticed,
    ):
        """Prepares to save, without reading anything yet.

        Args:
            folder: the folder of this stage's saves; None to save nothing.
            interval_seconds: the shortest time between two saves, in seconds.
            guard: a function that raises ValueError where a path may not be written to
                or deleted.
            saved: a function that is called after each save, from the thread.
        """
        self._guard, self._saved = guard, saved
        self._folder, self._interval = folder, interval_seconds
        self._thread = ThreadPoolExecutor(1, "save") if folder else None
        self._pending: Future[None] | None = None
        self._seconds = 0.0  # duration of the last save
        self._last = time.monotonic()
        self._damaged: set[int] = set()  # kept until there is a newer one

    def due(self) -> bool:
        """Tells whether it is time to save again; all hosts get the same answer."""
        if self._folder is None:
            return False
        waited = time.monotonic() - self._last
        idle = self._pending is None or self._pending.done()
        # On a slow disk saves are rarer, so that they keep to their share of time.
        interval = max(self._interval, self._seconds / _MOST_OF_THE_TIME)
        return bool(multihost.broadcast_float(float(idle and waited >= interval)))

    def save(self, variables: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Begins to save, and lets a thread write the files.

        Args:
            variables: nested arrays by name, which nothing changes any more.
            record: plain values (as JSON holds them) that are saved with the arrays.

        Raises:
            OSError: the save before this one failed.
            ValueError: it would have been written through a link, or into a folder that
                is the run's no more.
        """
        if self._thread is None or not multihost.is_host0():
            return
        self.wait()
        self._last = time.monotonic()
        self._pending = self._thread.submit(
            self._write, jax.device_get(dict(variables)), record
        )

    def wait(self) -> None:
        """Waits until the save that was begun last is written.

        Raises:
            OSError: the save could not be written.
        """
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def latest(
        self,
        outline: Callable[[Any], Any],
        template: Template,
        check_record: Callable[[Mapping[str, Any]], object] = lambda record: None,
    ) -> tuple[dict[str, Any], dict] | None:
        """Reads the newest save that is whole; damaged ones are named in the log.

        Args:
            outline: a function from what is saved to the names in it, as plain values.
            template: a function from such an outline to the shapes and dtypes that are
                expected; raises `DamagedError` for an outline that none fits.
            check_record: a function that raises `DamagedError` for a record that
                cannot be used.

        Returns:
            The saved variables, on this host's first device, and their record; None
            where no save is whole.
        """

        def find() -> tuple[int, dict[str, Any], Any] | None:
            for number in sorted(self._numbers(), reverse=True):
                folder = self._of(number)
                try:
                    record = checkpoints.read_record(folder)
                    if record is not None:
                        check_record(record)
                        saved = checkpoints.saved_shapes(folder)
                        found = outline(saved)
                        checkpoints.compare(folder, saved, template(found))
                        return number, record, found
                except (checkpoints.DamagedError, OSError) as error:
                    _log.warning("%s; going on from the save before it, if any", error)
                    self._damaged.add(number)
            return None

        found = multihost.run_on_host0(find)
        if found is None:
            return None
        number, record, names = found
        shapes = template(names)
        variables = multihost.arrays_from_host0(
            lambda: checkpoints.read(self._of(number), shapes), shapes
        )
        return variables, record

    def close(self) -> None:
        """Waits for the save that was begun last, and ends the thread.

        Raises:
            OSError: the save could not be written.
        """
        if self._thread is None:
            return
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def discard(self) -> None:
        """Deletes the saves: the stage is done."""
        if self._folder is not None and multihost.is_host0():
            self._guard(self._folder)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, variables: dict[str, Any], record: Mapping[str, Any]) -> None:
        """Writes a save, then deletes all but the newest `KEPT` whole ones."""
        started = time.monotonic()
        numbers = sorted(self._numbers())
        number = numbers[-1] + 1 if numbers else 1
        self._guard(self._of(number))
        checkpoints.save(self._of(number), variables, record)
        whole = [
            n
            for n in numbers
            if n not in self._damaged and checkpoints.is_finished(self._of(n))
        ]
        for old in set(numbers) - set(whole[1 - KEPT :]):
            self._guard(self._of(old))
            checkpoints.remove(self._of(old))
            shutil.rmtree(self._of(old), ignore_errors=True)
        self._seconds = time.monotonic() - started
        self._saved()

    def _numbers(self) -> list[int]:
        if self._folder is None or not self._folder.is_dir():
            return []
        return [int(p.name) for p in self._folder.iterdir() if p.name.isdecimal()]

    def _of(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{number:06d}"
