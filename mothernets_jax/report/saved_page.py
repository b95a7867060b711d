"""A page on the disk, which a notebook shows in place."""

import html
import os
from pathlib import Path


class SavedPage(os.PathLike):
    """The path of a page; at the end of a notebook's cell, the page itself."""

    def __init__(self, path: str | Path):
        """Names the page.

        Args:
            path: path of an HTML file that needs no other file.
        """
        self.path = Path(path)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<page {self.path}>"

    def _repr_html_(self) -> str:
        page = html.escape(self.path.read_text(encoding="utf-8"), quote=True)
        # Scripts of the page, if there were any, would not run.
        return (
            f'<iframe srcdoc="{page}" sandbox title="report" '
            'style="width: 100%; height: 40em; border: 1px solid #ccc"></iframe>'
        )
