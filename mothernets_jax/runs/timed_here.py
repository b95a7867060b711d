"""Times of stages on this machine's devices, from a few steps when first asked for."""

from mothernets_jax.runs.measure import programs_of, stage_seconds, untimed_seconds
from mothernets_jax.runs.step_times import Estimate
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.strategy import StrategyMemory
from mothernets_jax.stages.task import Task
from mothernets_jax.stages.timing import StageTiming, time_stage


class TimesHere:
    """A `predicted.StageTimes` that compiles and times programs on this machine."""

    def __init__(
        self, task: Task, strategy: str, store: ProgramStore, *, seconds: float = 0.0
    ):
        """Times nothing yet.

        Args:
            task: the task, with the images and all devices of this machine.
            strategy: `auto` or one of `group_step.STRATEGIES`.
            store: compiled programs, to which those that are timed are added.
            seconds: seconds to spend on timing each program, about; 0 for a few.
        """
        self._task, self._strategy, self._seconds = task, strategy, seconds
        self._executables, self._memory = Executables(store), StrategyMemory()
        self._timings: dict[tuple, StageTiming] = {}

    def __call__(self, stage: Stage, devices: int, *, hatched: bool) -> Estimate:
        """Seconds of a stage, alone on so many devices; saving it is an estimate.

        On more devices than there are here it is expected to take its device-seconds on
        all that are here. That members are hatched changes nothing: it takes no time to
        speak of where programs are not tuned to the device.
        """
        own = self._task.devices[:devices]
        timing = self._timing(stage, self._task._replace(devices=own))
        seconds = stage_seconds(stage, timing, self._task)
        share = len(own) / devices
        return Estimate(seconds * share + untimed_seconds(stage), share == 1)

    def _timing(self, stage: Stage, task: Task) -> StageTiming:
        """Times of a stage's programs on a task's devices, timed once."""
        key = len(task.devices), *programs_of(stage, self._strategy)
        if key not in self._timings:
            self._timings[key] = time_stage(
                stage,
                task,
                self._strategy,
                self._executables,
                self._memory,
                seconds=self._seconds,
            )
        return self._timings[key]
