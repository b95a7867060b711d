"""A thread that publishes what was saved, while the run goes on.

Failures cost the run nothing: the first is told, and it is tried again later.
"""

import logging
import threading
import time
from collections.abc import Callable

from mothernets_jax.storage.mirror import TakenOverError

_log = logging.getLogger(__name__)

# Seconds to wait after a failure, each time twice as long, and the most of them.
_FIRST_WAIT, _LONGEST_WAIT = 10.0, 600.0
_LAST_TRIES, _LAST_WAIT = 3, 5.0  # at the end, and seconds between two


class Publisher:
    """A thread that publishes.

    Attributes:
        taken: the error of a mirror that another process has taken over, after which
            nothing more is published.
    """

    def __init__(self, publish: Callable[[], object], url: str):
        """Starts the thread, which waits until something was saved.

        Args:
            publish: a function that publishes what is saved when it is called.
            url: address of the mirror, for messages.
        """
        self._publish, self._url = publish, url
        self._wake, self._closing = threading.Event(), threading.Event()
        self._problem = ""
        self.taken: TakenOverError | None = None
        # Not waited for where a process ends before it, as one that was told to stop.
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Notes that something was saved."""
        self._wake.set()

    def close(self, seconds: float | None) -> str:
        """Publishes what is saved, and ends the thread.

        Args:
            seconds: the longest time to wait for it; None to wait for its end.

        Returns:
            Why not everything is published; empty where it is.
        """
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)
        if self.taken is not None:
            return str(self.taken)
        if self._thread.is_alive() and not self._problem:
            return f"it took longer than {seconds:g} s"
        return self._problem

    def _work(self) -> None:
        failures = last_tries = 0
        while True:
            if not failures:
                self._wake.wait()
            else:  # what is saved meanwhile waits, too
                wait = min(_FIRST_WAIT * 2.0 ** (failures - 1), _LONGEST_WAIT)
                self._closing.wait(wait)
            self._wake.clear()
            closing = self._closing.is_set()
            failures = 0 if self._try() else failures + 1
            last_tries += closing
            if self.taken or closing and (not failures or last_tries == _LAST_TRIES):
                return
            if closing:
                time.sleep(_LAST_WAIT)

    def _try(self) -> bool:
        """Publishes; tells whether that succeeded."""
        try:
            self._publish()
        except TakenOverError as error:
            self.taken = error
            return False
        except Exception as error:  # noqa: BLE001 (the run is worth more)
            if not self._problem:
                _log.warning(
                    "the mirror %s could not be written (%s): the run goes on, and it "
                    "is tried again",
                    self._url,
                    error,
                )
            self._problem = str(error) or type(error).__name__
            return False
        if self._problem:
            _log.info("the mirror %s is written again", self._url)
        self._problem = ""
        return True
