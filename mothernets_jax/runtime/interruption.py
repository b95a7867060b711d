"""Stopping when told to (SIGTERM, Ctrl-C), but not before what is trained is saved."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from mothernets_jax.runtime import multihost

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class InterruptedRunError(KeyboardInterrupt):
    """Error that ends a run which was told to stop and has saved what it had.

    Like Ctrl-C it is no `Exception`: nothing on the way is to recover from it.

    Attributes:
        exit_code: 128 plus the signal's number, as shells have it.
    """

    def __init__(self, number: int, remark: str = ""):
        """Makes the message, which names the signal.

        Args:
            number: the signal's number.
            remark: a further clause of the message.
        """
        super().__init__(
            f"stopped by {signal.Signals(number).name}; what was trained is saved, and "
            "the same command goes on from there" + (f"; {remark}" if remark else "")
        )
        self.exit_code = 128 + number


class Interruption:
    """The request to stop a run, noted from signals and acted on when it is safe.

    While something is `shielded` the signal is only noted: training asks often, saves
    its members' states and then stops; files are read and written to their end, since
    an error in the middle of Orbax's loops would leave them waiting for ever. At any
    other moment everything that took long is saved already, and the signal ends the run
    at once; of several hosts, all of them before the next stage, since they must stop
    together.
    """

    def __init__(self):
        """Starts without any request."""
        self._number = 0
        self._shields = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Context that notices signals, in the main thread; a second one kills."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python hands signals to the main thread only
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            signal.signal(number, self._notice)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def shielded(self) -> Iterator[None]:
        """Context in which signals are only noted."""
        with self._lock:
            self._shields += 1
        try:
            yield
        finally:
            with self._lock:
                self._shields -= 1

    def request(self, number: int) -> None:
        """Tells the run to stop, as a signal of this number would.

        Args:
            number: the signal's number.
        """
        self._number = number

    def requested(self) -> int:
        """Number of the signal that came, the same on every host; 0 where none came."""
        return multihost.max_over_hosts(self._number)

    def check(self) -> None:
        """Stops the run if it was told to stop.

        Raises:
            InterruptedRunError: a signal came; raised on every host.
        """
        if number := self.requested():
            raise InterruptedRunError(number)

    def _notice(self, number: int, frame: object) -> None:
        del frame
        self.request(number)
        for watched in _SIGNALS:
            signal.signal(watched, signal.SIG_DFL)
        if not self._shields and multihost.alone():
            raise InterruptedRunError(number)
