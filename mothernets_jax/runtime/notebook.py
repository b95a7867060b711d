"""The console of a Python caller: bars on a terminal or in a notebook, else nothing."""

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console


@contextlib.contextmanager
def console_of_caller(progress: bool) -> Iterator[Console]:
    """Context with the console on which a call shows its progress.

    Args:
        progress: whether to show anything at all.
    """
    if not progress:
        yield Console(quiet=True)
        return
    yield Console(stderr=True)


def in_notebook() -> bool:
    """Tells whether this process runs the cells of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")
