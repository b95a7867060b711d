"""Paths that users give."""

from pathlib import Path

import pytest

from mothernets_jax.storage.paths import as_path


def test_text_paths_and_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    for given in ("~/runs", Path("~/runs"), "/home/ada/runs"):
        assert as_path(given) == Path("/home/ada/runs")


@pytest.mark.parametrize("given", [3, None, b"runs", ["runs"], "a\0b"])
def test_what_is_no_path_gets_one_message(given):
    with pytest.raises(ValueError, match=r"workdir is .*: expected a path, as text"):
        as_path(given, "workdir")


def test_unknown_homes_are_told():
    with pytest.raises(ValueError, match="path is '~nobody-here/x'"):
        as_path("~nobody-here/x")
