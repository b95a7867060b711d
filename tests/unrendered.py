"""Pages whose plots are made but not rendered, for which Matplotlib takes seconds.

For tests of runs and commands, of which the page is a part; `tests/report/` renders.
"""

import contextlib
from unittest import mock

from mothernets_jax.report import page

PNG = b"\x89PNG, as far as it goes"


@contextlib.contextmanager
def unrendered():
    """Leaves an image without content for each plot, and a small file for each PNG."""
    empty = page.Html('<img alt="A plot that was not rendered">')
    parts = {"picture": lambda wide, narrow: empty, "png": lambda figure: PNG}
    with mock.patch.multiple(page, **parts):
        yield
