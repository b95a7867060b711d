"""Bars in a notebook's cell are replaced in place."""

import io
import sys
import types

import pytest
from rich.console import Console

from mothernets_jax.runtime import notebook
from mothernets_jax.runtime.notebook import in_notebook
from mothernets_jax.runtime.progress import RunProgress


class Place:
    def __init__(self, shown):
        self.shown = shown

    def update(self, content):
        self.shown.append(content)


@pytest.fixture
def shown(monkeypatch):
    """What a notebook's cell has shown, one after the other."""
    found = []

    def display(content, display_id):
        assert display_id
        found.append(content)
        return Place(found)

    module = types.ModuleType("IPython")
    module.get_ipython = lambda: types.SimpleNamespace(kernel=None)
    inner = types.ModuleType("IPython.display")
    inner.HTML, inner.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", inner)
    return found


def test_a_shell_is_no_notebook(shown, monkeypatch):
    assert in_notebook()
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: object())
    assert not in_notebook()
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    assert not in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_notebook()


def test_bars_are_drawn_twice_a_second_at_most(shown, monkeypatch, capsys):
    clock = [100.0]
    monkeypatch.setattr(notebook.time, "monotonic", lambda: clock[0])
    with RunProgress(4.0, Console(file=io.StringIO())) as progress:
        assert len(shown) == 1 and "0%" in shown[0]
        progress.start_stage("A", 4)
        for epoch in range(4):
            clock[0] += 0.3
            progress.work(1.0)
            progress.advance("A", epoch + 1, 4, f"loss {epoch}", f"loss {epoch}")
        progress.message("A: done")
    assert capsys.readouterr().out == "A: done\n"
    assert len(shown) == 1 + 2 + 1  # begun, after 0.3 and 0.9 s, and ended
    assert "100%" in shown[-1] and "loss 3" in shown[-1]
    assert all(own.startswith("<pre") for own in shown)


def test_nothing_is_shown_where_nothing_is_to_be(shown, capsys):
    with RunProgress(1.0, Console(quiet=True, stderr=True)) as progress:
        progress.start_stage("A", 1)
        progress.work(1.0)
        progress.advance("A", 1, 1, "loss 0", "loss 0")
        progress.message("A: done")
    assert not shown
    assert capsys.readouterr() == ("", "")
