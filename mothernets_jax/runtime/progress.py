"""Progress of long work: bars for a person or a notebook, plain log lines for a file.

The unit of work is the training FLOP, which is known beforehand, so that the time left
is an estimate for the whole run and not for the epoch.
"""

import logging
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from mothernets_jax.runtime.notebook import NotebookBars, in_notebook

_log = logging.getLogger(__name__)


def _cut(share: int) -> Column:
    """A column whose text is cut to its share of what bars and times leave."""
    return Column(ratio=share, no_wrap=True, overflow="ellipsis")


class RunProgress:
    """A bar for the run and one for the current stage; use as a context manager."""

    def __init__(self, total_flops: float, console: Console | None = None):
        """Prepares the bars; draws nothing yet.

        Args:
            total_flops: training FLOPs of everything that remains to be trained.
            console: where to draw; by default standard output.
        """
        self._bars = Progress(
            TextColumn("{task.description}", table_column=_cut(2)),
            BarColumn(bar_width=12),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("{task.fields[latest]}", table_column=_cut(3)),
            console=console or Console(),
            transient=True,
            expand=True,  # to the whole width, so that texts know where to be cut
        )
        quiet = self._bars.console.quiet
        self._notebook = (
            NotebookBars(self._bars) if in_notebook() and not quiet else None
        )
        self._draws = self._notebook is not None or self._bars.console.is_terminal
        self._run = self._bars.add_task("run", total=total_flops, latest="")
        self._stages: dict[str, TaskID] = {}
        self._ended: set[str] = set()  # their bars stay until the next one comes

    def __enter__(self) -> Self:
        if self._notebook:
            self._notebook.start()
        elif self._draws:
            self._bars.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._notebook:
            self._notebook.refresh(now=True)
        elif self._draws:
            self._bars.stop()

    def start_stage(self, name: str, epochs: int, done: int = 0) -> None:
        """Begins a stage's bar, or continues it after the epochs that are done.

        Args:
            name: the stage's name.
            epochs: number of epochs that the stage may take at most.
            done: number of epochs that are done already.
        """
        for ended in self._ended:
            self._bars.remove_task(self._stages.pop(ended))
        self._ended.clear()
        self._stages[name] = self._bars.add_task(
            name, total=epochs, completed=done, latest=""
        )
        if not self._draws:
            _log.info("%s: training, up to %d epochs", name, epochs)

    def work(self, flops: float) -> None:
        """Counts training FLOPs as done."""
        self._bars.update(self._run, advance=flops)
        if self._notebook:
            self._notebook.refresh()

    def advance(self, name: str, epoch: int, epochs: int, latest: str):
        """Counts one more epoch of a stage as done.

        Args:
            name: the stage's name.
            epoch: number of epochs done, from 1.
            epochs: number of epochs that the stage may take at most.
            latest: the newest figures, in a few words.
        """
        self._bars.update(self._stages[name], advance=1, latest=latest)
        if self._notebook:
            self._notebook.refresh()
        # About ten lines a stage say enough in a log file.
        if not self._draws and (epoch == epochs or epoch % max(1, epochs // 10) == 0):
            _log.info("%s: epoch %d/%d, %s", name, epoch, epochs, latest)

    def end_stage(self, name: str) -> None:
        """Ends a stage, perhaps after fewer epochs than it might have taken."""
        self._ended.add(name)

    def skip(self, flops: float) -> None:
        """Takes planned training FLOPs that turned out unnecessary off the total."""
        total = self._bars.tasks[self._run].total or 0.0
        self._bars.update(self._run, total=total - flops)

    def message(self, text: str) -> None:
        """Prints a line that stays, or logs it where no bars are drawn."""
        if self._notebook:
            print(text)
        elif self._draws:
            self._bars.console.print(text, highlight=False)
        else:
            _log.info("%s", text)
