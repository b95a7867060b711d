"""A page that a notebook shows in place."""

import html
import os
import re
from pathlib import Path

from mothernets_jax.report.saved_page import SavedPage


def test_a_path_and_a_page(tmp_path):
    path = tmp_path / "report.html"
    content = '<p title="a & b">1 < 2 – "so"</p>'
    path.write_text(content, encoding="utf-8")
    page = SavedPage(str(path))
    assert os.fspath(page) == str(page) == str(path)
    assert Path(page).read_text(encoding="utf-8") == content
    assert str(path) in repr(page)
    shown = page._repr_html_()
    # Within an attribute, and nothing of it may run.
    (inner,) = re.findall(r'srcdoc="([^"]*)"', shown)
    assert html.unescape(inner) == content
    assert " sandbox " in shown
