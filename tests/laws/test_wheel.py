"""The wheel: what setup.py and pyproject.toml put into it, what a built one holds."""

import fnmatch
import importlib
import runpy
import shutil
import subprocess
import sys
import tomllib
import types
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONFIGS = {path.name for path in ROOT.glob("configs/*.py")}


def test_every_file_that_is_no_code_is_package_data():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    package = ROOT / "mothernets_jax"
    for path in package.rglob("*"):
        if path.is_dir() or path.suffix in (".py", ".pyc"):
            continue
        own = ".".join(path.parent.relative_to(ROOT).parts)
        fits = any(fnmatch.fnmatch(path.name, p) for p in patterns.get(own, ()))
        assert fits, f"{path}: expected in [tool.setuptools.package-data]"


def test_the_configs_are_a_package_of_it(monkeypatch):
    """What setup.py hands to setuptools, which stands still."""
    given = {}
    packages = ["mothernets_jax", "mothernets_jax.experiments"]
    fake = types.ModuleType("setuptools")
    vars(fake).update(setup=given.update, find_packages=lambda include: packages)
    monkeypatch.setitem(sys.modules, "setuptools", fake)
    runpy.run_path(str(ROOT / "setup.py"))
    name = "mothernets_jax.experiments.configs"
    assert given["packages"] == [*packages, name]
    assert given["package_dir"] == {name: "configs"}


def test_every_folder_of_code_is_a_package():
    """Which find_packages finds by its __init__.py."""
    folders = {path.parent for path in (ROOT / "mothernets_jax").rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_the_command_is_there():
    module, _, function = PROJECT["project"]["scripts"]["mothernets"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.extras  # pip fetches setuptools
def test_the_built_wheel_holds_all(tmp_path):
    source = tmp_path / "source"
    for name in ("mothernets_jax", "configs"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=unwanted)
    for path in (
        *ROOT.glob("requirements*.txt"),
        *map(
            ROOT.joinpath,
            (
                "pyproject.toml",
                "setup.py",
                "MANIFEST.in",
                "README.md",
                "LICENSE",
            ),
        ),
    ):
        shutil.copy(path, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*command, str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())
        (metadata,) = [name for name in held if name.endswith(".dist-info/METADATA")]
        text = opened.read(metadata).decode()
    package = source / "mothernets_jax"
    expected = {
        path.relative_to(source).as_posix()
        for path in package.rglob("*")
        if path.is_file()
    }
    expected |= {f"mothernets_jax/experiments/configs/{name}" for name in CONFIGS}
    assert {name for name in held if ".dist-info/" not in name} == expected
    for line in (
        "Provides-Extra: streaming",
        "Project-URL: Paper",
        "Requires-Dist: jax",
    ):
        assert line in text
