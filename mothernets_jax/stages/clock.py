"""A stage's clocks: seconds of the whole machine, without those spent compiling."""

import time
from collections.abc import Callable

import jax

from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.task import Task


class StageClock:
    """Stopwatches of a stage that may run beside others."""

    def __init__(self, task: Task, executables: Executables, before: dict[str, float]):
        """Prepares the clocks, without starting any.

        Args:
            task: the task, whose devices are those that the stage has.
            executables: the stage's programs, which count the seconds that compiling
                and waiting for it took.
            before: seconds by clock of a run that was interrupted; all zero for a new
                one.
        """
        self._executables, self._before = executables, dict(before)
        # Other stages may run beside it on the remaining devices.
        self._share_of_machine = len(task.devices) / jax.device_count()

    def of_machine(self, seconds: float) -> float:
        """Converts seconds of this stage's devices to seconds of the whole machine."""
        return seconds * self._share_of_machine

    def stopwatch(self) -> Callable[[], float]:
        """Starts a stopwatch.

        Returns:
            A function that returns the seconds since the start, of the whole machine,
            without those spent waiting for programs.
        """
        meter, started = self._executables, time.perf_counter()
        waited = meter.waited
        return lambda: self.of_machine(
            time.perf_counter() - started - (meter.waited - waited)
        )

    def compilation(self) -> dict[str, float]:
        """Seconds spent so far on compiling, and on waiting for it, by clock."""
        meter, before = self._executables, self._before
        return {
            "compile_seconds": before["compile_seconds"] + meter.seconds,
            "compile_wait_seconds": before["compile_wait_seconds"] + meter.waited,
        }
