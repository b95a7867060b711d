"""JSON of strangers is read in bounds: of bytes, of values, of levels."""

import json
import os

import pytest

from mothernets_jax.storage import files


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[" * 33 + "]" * 33, "more than 32 levels deep"),
        ("[" * 100_000, ""),
        ("[" + "[]," * 2**21 + "[]]", "it has millions of values"),
        ("[" + "1," * (2**23 + 1) + "1]", "it has millions of values"),
        ('{"a": ' + "1" * 5000 + "}", ""),
        ("\0" * (2**26 + 1), "at most 67,108,864 bytes"),
        ("{", ""),
    ],
)
def test_what_would_take_gigabytes_is_refused(tmp_path, content, why):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(files.DamagedError, match=f"x.json is damaged .*{why}"):
        files.read_json(path)


@pytest.mark.parametrize("kind", ["pipe", "zeros", "folder", "gone"])
def test_only_plain_files_are_read(tmp_path, kind):
    path = tmp_path / "x.json"
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "zeros":
        path.symlink_to("/dev/zero")
    if kind == "folder":
        path.mkdir()
    with pytest.raises(files.DamagedError, match="expected a file of at most"):
        files.read_json(path)


def test_what_is_written_is_read(tmp_path):
    value = {"a": [1, 2.5, None, "ä"], "b": {"c": [[]] * 1000}}
    files.write_json(tmp_path / "x.json", value)
    assert files.read_json(tmp_path / "x.json") == value
    deep = json.loads("[" * 32 + "]" * 32)
    files.write_json(tmp_path / "x.json", deep)
    assert files.read_json(tmp_path / "x.json") == deep
