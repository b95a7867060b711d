"""Progress of long work: bars for a person or a notebook, plain log lines for a file.

The unit of work is the training FLOP, which is known beforehand, so that the time left
is an estimate for the whole run and not for the epoch.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Self, TextIO

import absl.logging
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from mothernets_jax.runtime.notebook import NotebookBars, in_notebook

_log = logging.getLogger(__name__)
# Characters of a line from which on there is room for figures in words, and two times.
_WIDE = 140


class _Amount(ProgressColumn):
    """What is done: epochs of a stage, percent of the run."""

    def render(self, task: Task) -> Text:
        """The text of a row."""
        if task.fields.get("counted"):
            return Text(f"{task.completed:,.0f}/{task.total:,.0f}")
        return Text(f"{task.percentage:.0f}%")


def _columns(width: int) -> list[ProgressColumn]:
    """The columns for a console of some characters."""
    name = TextColumn("{task.description}", table_column=_cut(3))
    amount = _Amount(table_column=Column(no_wrap=True, justify="right"))
    left = TimeRemainingColumn(elapsed_when_finished=False)
    if width < _WIDE:
        figures = TextColumn("{task.fields[short]}", table_column=_cut(5))
        return [name, BarColumn(bar_width=6), amount, left, figures]
    return [
        name,
        BarColumn(bar_width=12),
        amount,
        TimeElapsedColumn(),
        TextColumn("left", table_column=Column(no_wrap=True)),
        left,
        TextColumn("{task.fields[latest]}", table_column=_cut(5)),
    ]


def _cut(share: int) -> Column:
    """A column whose text is cut to its share of what bars and times leave."""
    return Column(ratio=share, no_wrap=True, overflow="ellipsis")


@contextlib.contextmanager
def _logged_above(stream: TextIO) -> Iterator[None]:
    """Sends log lines that would tear bars on the terminal to another stream.

    Args:
        stream: what the bars have made of the standard error: it prints lines above
            them. Logs that go into a file stay where they are.
    """
    handler = absl.logging.get_absl_handler().python_handler
    before = handler.stream
    if before.isatty():
        handler.setStream(stream)
    try:
        yield
    finally:
        handler.setStream(before)


class RunProgress:
    """A bar for the run and one for the current stage; use as a context manager."""

    def __init__(self, total_flops: float, console: Console | None = None):
        """Prepares the bars; draws nothing yet.

        Args:
            total_flops: training FLOPs of everything that remains to be trained.
            console: where to draw; by default standard output.
        """
        console = console or Console()
        self._bars = Progress(
            *_columns(console.width),
            console=console,
            transient=True,
            expand=True,  # to the whole width, so that texts know where to be cut
        )
        quiet = self._bars.console.quiet
        self._notebook = (
            NotebookBars(self._bars) if in_notebook() and not quiet else None
        )
        self._draws = self._notebook is not None or self._bars.console.is_terminal
        self._run = self._bars.add_task("run", total=total_flops, latest="", short="")
        self._end = contextlib.ExitStack()
        self._stages: dict[str, TaskID] = {}
        self._ended: set[str] = set()  # their bars stay until the next one comes

    def __enter__(self) -> Self:
        if self._notebook:
            self._notebook.start()
        elif self._draws:
            self._bars.start()
            self._end.callback(self._bars.stop)
            self._end.enter_context(_logged_above(sys.stderr))
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._notebook:
            self._notebook.refresh(now=True)
        self._end.close()

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
            name, total=epochs, completed=done, latest="", short="", counted=True
        )
        if not self._draws:
            _log.info("%s: training, up to %d epochs", name, epochs)

    def work(self, flops: float) -> None:
        """Counts training FLOPs as done."""
        self._bars.update(self._run, advance=flops)
        if self._notebook:
            self._notebook.refresh()

    def advance(
        self, name: str, epoch: int, epochs: int, latest: str, short: str
    ) -> None:
        """Counts one more epoch of a stage as done.

        Args:
            name: the stage's name.
            epoch: number of epochs done, from 1.
            epochs: number of epochs that the stage may take at most.
            latest: the newest figures, in words.
            short: the same where there is little room.
        """
        stage = self._stages[name]
        self._bars.update(stage, advance=1, latest=latest, short=short)
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
