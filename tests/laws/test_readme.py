"""The README's code runs, and what it names exists."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import mothernets_jax as mn
from mothernets_jax.data.preparation import Preparation

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_five_lines_train_an_ensemble(tmp_path, monkeypatch):
    """Verbatim, but for fewer and smaller networks and a budget in epochs."""
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert code.count('budget="1min"') == 1
    small = {"A": "mlp 4; batch_norm", "B": "mlp 6; batch_norm"}
    code = code.replace('"1min"', f'"30 epochs", members={small}, progress=False')
    printed = []
    names = {"print": lambda *values: printed.extend(values)}
    exec(code, names)  # noqa: S102 (our own README)
    probabilities, measures = printed
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert measures["average"]["error"] < 0.15  # 0.37 by guessing
    assert names["ensemble"].workdir.parent.resolve() == tmp_path / "runs"


def test_first_example_grows_a_member_exactly(monkeypatch):
    """Verbatim, but that its networks of 13 to 19 layers are of 2 to 4, to compile."""
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1]
    v5, shallow, printed = mn.presets.v5, mn.parse("vgg (3:4) | (3:8)"), []

    def shallow_v5(**options):
        deep = {"V19": mn.parse("vgg (3:4)x2 | (3:8) (3:12)")}
        return dict.fromkeys(v5(**options), shallow) | deep

    monkeypatch.setattr(mn.presets, "v5", shallow_v5)
    exec(code, {"print": printed.append})  # noqa: S102 (our own README)
    (difference,) = printed
    assert difference.shape == (8, 10)
    assert np.abs(difference).max() < 1e-4


def test_the_training_loop_learns_and_its_ensemble_is_used(tmp_path, monkeypatch):
    """Verbatim: the loop, and what reads the ensemble that it saves."""
    monkeypatch.chdir(tmp_path)
    loop, use = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[2:4]
    printed = []
    names = {"print": printed.append}
    exec(loop, names)  # noqa: S102 (our own README)
    (message,) = printed
    found = re.fullmatch(r"test accuracy (.*)%", message)
    assert found, message
    assert float(found[1]) > 93  # 10 by guessing; 18 without the running statistics
    accuracy = (names["scores"].argmax(axis=1) == names["test_labels"]).mean()
    assert float(found[1]) == pytest.approx(100 * accuracy, abs=0.06)
    exec(use, names)  # noqa: S102
    assert names["ensemble"].members.keys() == {"wide", "deep"}
    assert names["probabilities"].shape == (len(names["images"]), 10)


def test_the_code_on_predicting_runs(tmp_path, monkeypatch):
    """Verbatim, with a tiny ensemble as that of a run."""
    monkeypatch.chdir(tmp_path)
    network, shape = mn.mlp((2,)), (4, 4, 3)
    variables = mn.init(network, jax.random.key(0), shape, 2)
    made = mn.Ensemble(
        {"A": (network, variables), "B": (network, variables)},
        mean=127,
        std=64,
        input_shape=shape,
        preparation=Preparation(4),
    )
    made.save("runs/photos/ensembles/mothernets")
    Path("new_photos").mkdir()
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save("new_photos/a.jpg")
    text = (ROOT / "docs/predicting.md").read_text(encoding="utf-8")
    printed, names = [], {}
    names["print"] = lambda *shown: printed.append(shown)
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)  # noqa: S102 (our own documentation)
    assert printed[0][0] == "new_photos/a.jpg"
    assert printed[1] == ("could not read one_more.jpg: No such file or directory",)
    assert Path("predictions.csv").read_text().count("\n") == 3
    assert names["each"].shape == (2, 4, 2)
    assert list(names["measures"]["members"]) == ["A", "B"]
    pixels = np.zeros((1, 8, 8, 1), np.uint8)
    assert names["mine"].predict(pixels).shape == (1, 2)


def test_every_file_it_names_exists():
    files = re.findall(r"`((?:\w+/)*\w+\.py)`|\]\(([\w/.]+)\)", README)
    names = {name for pair in files for name in pair if name}
    missing = [
        name
        for name in names
        if not (ROOT / name).exists() and not (ROOT / "mothernets_jax" / name).exists()
    ]
    assert names
    assert not missing
