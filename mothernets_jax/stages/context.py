"""The context of a run: all that its stages share, handed on whole."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.runtime.interruption import Interruption
from mothernets_jax.runtime.progress import RunProgress
from mothernets_jax.stages.autosave import (
    Guard,
    Saved,
    StageAutosave,
    unguarded,
    unnoticed,
)
from mothernets_jax.stages.epoch_log import EpochLog
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.strategy import StrategyMemory

METRICS, STRATEGIES = "metrics.jsonl", "strategies.json"  # of a run's folder
BUDGET, PLACEMENT = "budget.json", "placement.json"  # likewise
EVENTS = "tensorboard"  # of a run's folder
STAGES = "stages"  # the folder of all stages' folders, in a run's
UNFINISHED = "unfinished"  # of a stage's folder


def stage_folder(workdir: Path, stage: Stage) -> Path:
    """The folder of a run in which a stage's result is saved."""
    return workdir / STAGES / stage.name


class RunContext(NamedTuple):
    """The things that all stages of a run share.

    Attributes:
        workdir: the run's folder; None where nothing is to be saved.
        strategy: `auto` or one of `group_step.STRATEGIES`.
        memory: the strategies that the run has chosen so far.
        store: the programs compiled so far.
        progress: the bars or log lines that show every epoch.
        metrics: the log of every epoch's figures; None where none is kept.
        interruption: the signals that ask the run to stop.
        interval_seconds: the shortest time between two saves of unfinished work, in
            seconds.
        guard: a function that raises ValueError where a path of the run's folder may
            not be written to or deleted; called on the first host only.
        placement: how the number of devices of a stage is decided, `flops` or `timed`.
        saved: a function that is called when something of the run was saved; on the
            first host only, and from several threads.
    """

    workdir: Path | None
    strategy: str
    memory: StrategyMemory
    store: ProgramStore
    progress: RunProgress
    metrics: EpochLog | None
    interruption: Interruption
    interval_seconds: float = 60.0
    guard: Guard = unguarded
    placement: str = "flops"
    saved: Saved = unnoticed

    def stage_folder(self, stage: Stage) -> Path:
        """The folder in which a stage's result is saved."""
        assert self.workdir is not None
        return stage_folder(self.workdir, stage)

    def autosave(self, stage: Stage) -> StageAutosave:
        """The saves of a stage's unfinished work."""
        if self.workdir is None:
            return StageAutosave(None)
        folder = self.stage_folder(stage) / UNFINISHED
        return StageAutosave(folder, self.interval_seconds, self.guard, self.saved)

    def log(self, **figures: Any) -> None:
        """Adds a line to the log of metrics; only the first of several hosts does."""
        if self.metrics is not None and multihost.is_host0():
            self.metrics.append(**figures)

    def log_again(self, stage: str, entries: Iterable[Mapping[str, Any]]) -> None:
        """Makes a stage's lines those of the epochs that an earlier run has trained.

        Args:
            stage: the stage's name.
            entries: metrics of each line, by name, without `stage`.
        """
        if self.metrics is not None and multihost.is_host0():
            self.metrics.mend(stage, entries)
