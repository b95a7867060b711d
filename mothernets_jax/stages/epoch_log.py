"""The figures of every epoch on their way out: to files, and to a function of the user.

A line of the log is a dictionary of `stage`, `member`, `epoch` and metrics by name.
"""

import contextlib
import copy
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mothernets_jax.runtime.interruption import InterruptedRunError, Interruption
from mothernets_jax.storage.event_files import EventFiles
from mothernets_jax.storage.metrics_log import MetricsLog

# Takes a line of the log.
Callback = Callable[[dict[str, Any]], object]


class EpochLog:
    """The log of every epoch's figures; stages side by side may write to it.

    Attributes:
        failure: what the callback raised, after which it is not called again.
    """

    def __init__(
        self,
        metrics: MetricsLog,
        events: EventFiles | None = None,
        callback: Callback | None = None,
        interruption: Interruption | None = None,
    ):
        """Prepares the log without touching a file.

        Args:
            metrics: the file of all lines.
            events: TensorBoard's files; None where none are wanted.
            callback: a function that is given a copy of each line when it is new, one
                at a time; not those that an earlier run has written.
            interruption: the signals that ask the run to stop, by which a callback that
                raises stops it, too.
        """
        self._metrics, self._events, self._callback = metrics, events, callback
        self._interruption = interruption or Interruption()
        self._lock = threading.Lock()
        self.failure: Exception | None = None

    def append(self, **line: Any) -> None:
        """Adds a line; `stage`, `member` and `epoch` must be among its entries.

        Raises:
            ValueError: a file may not be written to.
            OSError: a file could not be written.
        """
        with self._lock:
            self._metrics.append(**line)
            if self._events is not None:
                self._events.append(line)
            if self._callback is not None and self.failure is None:
                self._call(self._callback, line)

    def forget(self, stage: str) -> None:
        """Drops a stage's lines, before it is trained again or goes on."""
        with self._lock:
            self._metrics.forget(stage)
            if self._events is not None:
                self._events.forget(stage)

    def stages(self) -> set[str]:
        """Names of the stages that have lines."""
        return self._metrics.stages()

    def has(self, stage: str, entries: Iterable[Mapping[str, Any]]) -> bool:
        """Tells whether a stage's lines are everywhere, all of them, and no others.

        Args:
            stage: the stage's name.
            entries: metrics of each of its lines, without `stage`.
        """
        entries = list(entries)
        events = self._events
        return self._metrics.has(stage, entries) and (
            events is None or events.has(stage, entries)
        )

    def mend(self, stage: str, entries: Iterable[Mapping[str, Any]]) -> None:
        """Makes sure that a stage's lines are everywhere, all of them, and no others.

        Args:
            stage: the stage's name.
            entries: metrics of each of its lines, without `stage`.
        """
        entries = list(entries)
        with self._lock:
            self._metrics.mend(stage, entries)
            if self._events is not None:
                self._events.mend(stage, entries)

    @contextlib.contextmanager
    def raising_failure(self) -> Iterator[None]:
        """Context that raises what the callback raised, once all is saved.

        Raises:
            Exception: the callback's own, in the place of the `InterruptedRunError`
                that it led to, with a note.
        """
        try:
            yield
        except InterruptedRunError:
            if self.failure is None:
                raise
            raise self.failure from None

    def _call(self, callback: Callback, line: Mapping[str, Any]) -> None:
        """Calls the callback; if it raises, the stages save what they have and stop."""
        try:
            callback(copy.deepcopy(dict(line)))
        except Exception as error:  # noqa: BLE001 (a stranger's function)
            error.add_note(
                f"raised by the callback, given epoch {line['epoch']} of "
                f"{line['member']} in {line['stage']}; what was trained is saved, and "
                "the same call goes on from there"
            )
            self.failure = error
            self._interruption.request(signal.SIGTERM)
