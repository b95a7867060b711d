"""Folders of exported ensembles: what belongs there, and what is left alone."""

import json
import os

import pytest

from mothernets_jax.ensembles.export.safetensors_folder import check_free, check_own

OURS = json.dumps({"library_name": "mothernets_jax"})
FILES = {"model.safetensors": "w", "config.json": OURS, "README.md": "# card"}


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path / "mine", FILES)


def filled(folder, files):
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def test_an_export_is_read_and_written_over_with_what_hubs_add(folder):
    for name in (".gitattributes", "LICENSE", "LICENCE.txt", "NOTICE.md"):
        (folder / name).write_text("")
    (folder / ".cache").mkdir()
    check_own(folder)
    check_free(folder)


def test_new_and_empty_folders_are_free(tmp_path):
    check_free(tmp_path / "a" / "b")
    check_free(filled(tmp_path / "empty", {}))
    check_free(filled(tmp_path / "begun", {"config.json": OURS}))  # interrupted


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model-00002.safetensors", "code.py", "LICENSE.py"]
)
def test_files_that_do_not_belong_there_are_named(folder, name):
    (folder / name).write_text("")
    for check, reason in [(check_own, "no part of an exp"), (check_free, "neither em")]:
        with pytest.raises(ValueError, match=reason) as refused:
            check(folder)
        assert repr(name) in str(refused.value)


@pytest.mark.parametrize("config", [None, "{}", "[1]", '{"library_name": "timm"}', "{"])
def test_other_libraries_files_are_not_written_over(tmp_path, config):
    files = {**FILES, "config.json": config}
    folder = filled(tmp_path / "mine", {n: c for n, c in files.items() if c})
    with pytest.raises(ValueError, match=r"neither empty nor .* found '\w+\.\w+'"):
        check_free(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "."])
def test_links_are_not_followed(folder, name):
    path = folder if name == "." else folder / name
    elsewhere = path.rename(folder.parent / "elsewhere")
    path.symlink_to(elsewhere)
    with pytest.raises(ValueError, match="is a link"):
        check_own(folder)
    with pytest.raises(ValueError, match="is a link|found"):
        check_free(folder)


def test_what_is_missing_is_named(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"it lacks model\.safetensors"):
        check_own(folder)
    with pytest.raises(ValueError, match="nothing is not there: expected the folder"):
        check_own(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    for path, check in [("file", check_own), ("file", check_free)]:
        with pytest.raises(ValueError, match="file is a file"):
            check(tmp_path / path)
    with pytest.raises(ValueError, match="below is in .*file, which is "):
        check_free(tmp_path / "file" / "below")
    os.symlink("nowhere", tmp_path / "dangling")
    with pytest.raises(ValueError, match="dangling is"):
        check_own(tmp_path / "dangling")
