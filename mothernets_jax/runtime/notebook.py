"""Bars in a notebook, which has no terminal to draw them on.

They are drawn as text by `rich`, as on a terminal, and shown in one place of the cell's
output that is replaced; a saved notebook keeps the last state.
"""

import io
import sys
import threading
import time
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.progress import Progress

_COLUMNS = 100
_SECONDS = 0.5  # between two drawings, at least
_FORMAT = '<pre style="line-height: 1.3; margin: 0">{code}</pre>'


def in_notebook() -> bool:
    """Tells whether this process runs the cells of a notebook."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return hasattr(get_shell() if get_shell else None, "kernel")


class NotebookBars:
    """Bars in the output of a notebook's cell."""

    def __init__(self, bars: Progress):
        """Shows nothing yet.

        Args:
            bars: the bars, which are not to be started.
        """
        self._bars = bars
        self._lock = threading.Lock()
        self._place: Any = None
        self._drawn = -_SECONDS

    def start(self) -> None:
        """Shows the bars for the first time."""
        shown = import_module("IPython.display")  # which a notebook has
        self._place = shown.display(shown.HTML(self._html()), display_id=True)

    def refresh(self, *, now: bool = False) -> None:
        """Shows the bars as they are; not twice in half a second, unless `now`."""
        with self._lock:
            late = time.monotonic() - self._drawn >= _SECONDS
            if self._place is not None and (late or now):
                self._drawn = time.monotonic()
                self._place.update(import_module("IPython.display").HTML(self._html()))

    def _html(self) -> str:
        console = Console(
            file=io.StringIO(),
            record=True,
            width=_COLUMNS,
            force_terminal=True,
            force_jupyter=False,
        )
        console.print(self._bars.get_renderable())
        return console.export_html(code_format=_FORMAT, inline_styles=True)
