"""The notebooks of the documentation: what is kept of them, and that their code runs.

`make docs` runs them as notebooks. Here they run as plain code; the loop always, as it
is fast.
"""

import ast
import json
import re

import matplotlib
import pytest
from docs_pages import DOCS, ROOT, cells, name_of

NOTEBOOKS = sorted(DOCS.rglob("*.ipynb"))
ALWAYS = "own_loop.ipynb"


def run(notebook):
    """Runs the code from top to bottom; its names, and what was printed."""
    printed = []
    names = {"print": lambda *shown: printed.append(" ".join(map(str, shown)))}
    for code in cells(notebook, "code"):
        exec(compile(code, notebook.name, "exec"), names)  # noqa: S102 (our own)
    return names, printed


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name_of)
def test_no_output_is_kept(notebook):
    text = notebook.read_text(encoding="utf-8")
    found = json.loads(text)
    for number, cell in enumerate(found["cells"]):
        assert cell["id"] == f"cell-{number}"
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            ast.parse("".join(cell["source"]))
    assert found["metadata"].keys() == {"kernelspec", "language_info"}
    assert text == json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def test_the_training_loop_learns_and_its_ensemble_is_used(monkeypatch):
    (notebook,) = [own for own in NOTEBOOKS if own.name == ALWAYS]
    names, printed = run(notebook)
    found = [re.search(r"test accuracy (.*)%", line) for line in printed]
    (accuracy,) = [float(own[1]) for own in found if own]
    assert accuracy > 93  # 10 by guessing; 18 without the running statistics
    right = (names["scores"].argmax(axis=1) == names["test_labels"]).mean()
    assert accuracy == pytest.approx(100 * right, abs=0.06)
    assert abs(names["one"] - names["other"]).max() < 1e-4
    assert names["loaded"].members.keys() == {"wide", "deep"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "notebook", [own for own in NOTEBOOKS if own.name != ALWAYS], ids=name_of
)
def test_they_run(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with matplotlib.rc_context({"backend": "agg"}):
        names, printed = run(notebook)
    assert printed
    assert names
    assert not (ROOT / "docs" / "tutorials" / "runs").exists()
