"""Every block of code of the documentation runs, or says what it needs and parses.

A block whose first line is a comment `# Needs ... .` is not run: it needs an extra, a
download, several hosts or minutes. What it calls must exist all the same.
"""

import ast
import functools
import importlib
import inspect
import itertools
import re
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest
import typed_commands
from docs_pages import ROOT, blocks, name_of, pages, text_of
from PIL import Image

import mothernets_jax as mn
from mothernets_jax.config.unknown import PATHS
from mothernets_jax.data.preparation import Preparation

BLOCKS = [block for page in pages() for block in blocks(page)]
# What sentences call a program, without the arguments that it would need.
NAMES = {"python launch.py", "python -m mothernets_jax", "mothernets grow"}
LANGUAGES = {"python", "bash", "text", "csv", "bibtex"}
# Pages whose code other tests run, with more to say about what it does.
RUN_ELSEWHERE = {
    "README.md": "tests/laws/test_readme.py",
    "docs/adding_a_family.md": "tests/laws/test_adding_a_family.py",
    "docs/data.md": "tests/data/test_public.py",
}

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


def tiny_ensemble():
    network, shape = mn.mlp((2,)), (4, 4, 3)
    variables = mn.init(network, jax.random.key(0), shape, 2)
    return mn.Ensemble(
        {"A": (network, variables), "B": (network, variables)},
        mean=127,
        std=64,
        input_shape=shape,
        preparation=Preparation(4),
    )


def train(*data, settings=None, **options):
    """In the place of `mn.train`: checks what it is called with, and trains nothing."""
    inspect.signature(TRAIN).bind(*data, settings=settings, **options)
    assert {*(settings or {})} <= {*PATHS}
    ensemble = tiny_ensemble()
    measures = {"ensemble": {"average": {"error": 0.5}}}
    ensemble.results = {"methods": {"mothernets": measures}}
    ensemble.of_method = {"full_data": ensemble}.__getitem__
    return ensemble


TRAIN = mn.train


def run(page, names=None):
    """Runs a page's code from top to bottom; what it has named and printed."""
    printed = []
    names = {"print": lambda *shown: printed.append(shown), **(names or {})}
    for block in blocks(ROOT / page):
        if block.language == "python" and block.is_run:
            exec(compile(block.code, page, "exec"), names)  # noqa: S102 (our own pages)
    return names, printed


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """In a folder of its own, without long training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mn, "train", functools.wraps(TRAIN)(train))


def test_predicting():
    tiny_ensemble().save("runs/photos/ensembles/mothernets")
    Path("new_photos").mkdir()
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save("new_photos/a.jpg")
    names, printed = run("docs/predicting.md")
    assert printed[0][0] == "new_photos/a.jpg"
    assert printed[1] == ("could not read one_more.jpg: No such file or directory",)
    assert Path("predictions.csv").read_text().count("\n") == 3
    assert names["each"].shape == (2, 4, 2)
    assert list(names["measures"]["members"]) == ["A", "B"]
    pixels = np.zeros((1, 8, 8, 1), np.uint8)
    assert names["mine"].predict(pixels).shape == (1, 2)


def test_augmentation():
    images = np.full((3, 4, 4, 1), 200, np.uint8)
    names, _ = run("docs/augmentation.md", {"images": images, "labels": [0, 1, 0]})
    dimmed = names["dim"](jax.random.key(0), images)
    assert dimmed.dtype == images.dtype
    assert dimmed.min() >= 100
    assert dimmed.max() <= 200


def test_records():
    names, _ = run("docs/records.md")
    line = {"stage": "members", "member": "A", "step": 3, "train_loss": 0.5}
    assert names["figures"](line) == {"members/A/train_loss": 0.5}


def test_networks():
    _, printed = run("docs/networks.md")
    ((network, size),) = printed
    # 3x3 kernels, scale and shift of each filter, then the dense layers.
    filters = [3, 64, 64, 128, 128]
    kernels = sum(9 * i * o for i, o in itertools.pairwise(filters))
    norms = 2 * (64 + 64 + 128 + 128 + 128 + 256)
    dense = 128 * 256 + 256 * 10 + 10
    assert size == kernels + 128 * 128 + norms + dense
    assert mn.parse(str(network)) == network


@pytest.mark.parametrize("page", ["docs/index.md", "docs/python.md"])
def test_calls_of_train(page):
    images, labels = np.zeros((9, 4, 4, 1), np.uint8), [0, 1, 2] * 3
    names, _ = run(page, {"images": images, "labels": labels})
    assert "ensemble" in names


def test_every_page_with_code_is_run():
    with_code = {b.page for b in BLOCKS if b.language == "python" and b.is_run}
    here = set(re.findall(r"docs/\w+\.md", inspect.getsource(inspect.getmodule(run))))
    assert with_code == here | {*RUN_ELSEWHERE}
    for page, test in RUN_ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")


def test_every_block_says_what_it_is():
    assert len(BLOCKS) > 60
    assert {b.language.partition(" ")[0] for b in BLOCKS} == LANGUAGES


PYTHON = [block for block in BLOCKS if block.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.page)
def test_python_parses_and_names_what_there_is(block):
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.value.id != "mn" or hasattr(mn, node.attr), node.attr
        if isinstance(node, ast.ImportFrom) and node.module.startswith("mothernets"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), alias.name


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_commands_are_understood(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    scripts = [b.code for b in blocks(page) if b.language == "bash"]
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script.encode(), check=True)
    plain = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
    inline = r"(?<!`)`((?:python|pip|make|mothernets|\.venv/bin/python) [^`]+)`(?!`)"
    scripts += [own.replace("\n", " ") for own in re.findall(inline, plain)]
    for script in scripts:
        for words in typed_commands.commands(script):
            if "..." not in words and " ".join(words) not in NAMES:
                typed_commands.check(words)


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf runs",
        "make nothing",
        "pip install -r requirements-nothing.txt",
        "pip install 'mothernets-jax[nothing]'",
        "mothernets train IMAGES --nothing",
        "mothernets train IMAGES --set train.lr=1",
        "mothernets train --experiment=nothing",
        "python launch.py --config=configs/vgg_ensemble.py --nothing",
        "python launch.py --config=configs/vgg_ensemble.py --config.train.lr=1",
        "python -m benchmarks.frontier --nothing=3",
        "python -m benchmarks.frontier --config.train.lr=1",
    ],
)
def test_commands_with_a_mistake_are_found(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    (words,) = typed_commands.commands(command)
    with pytest.raises(ValueError):
        typed_commands.check(words)
