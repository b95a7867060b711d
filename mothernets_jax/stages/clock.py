"""A stage's clocks: seconds of the whole machine, without those spent compiling."""

import time
from collections.abc import Callable

import jax

from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.task import Task


class StageClock:
    """Stopwatches of a stage that may run beside others."""

    def __init__(self, task: Task, executables: Executables, before: dict[str, float]):
        """Starts nothing yet.

        Args:
            task: with the devices that the stage has.
            executables: the stage's programs, whose meter counts what compiling took.
            before: the clocks of a run that was interrupted; all zero for a new one.
        """
        self._executables, self._before = executables, dict(before)
        # Others run beside it on the rest.
        self._share_of_machine = len(task.devices) / jax.device_count()

    def of_machine(self, seconds: float) -> float:
        """Seconds of this stage's devices as seconds of all devices."""
        return seconds * self._share_of_machine

    def stopwatch(self) -> Callable[[], float]:
        """A function that returns the seconds since now, but for waits for programs."""
        meter, started = self._executables, time.perf_counter()
        waited = meter.waited
        return lambda: self.of_machine(
            time.perf_counter() - started - (meter.waited - waited)
        )

    def compilation(self) -> dict[str, float]:
        """Seconds that compiling took, and that were spent waiting for it, so far."""
        meter, before = self._executables, self._before
        return {
            "compile_seconds": before["compile_seconds"] + meter.seconds,
            "compile_wait_seconds": before["compile_wait_seconds"] + meter.waited,
        }
