"""Pinned files stay as they were, whatever becomes of the folder."""

import hashlib
import os

import jax.numpy as jnp
import pytest

from mothernets_jax.storage import checkpoints
from mothernets_jax.storage.pinned import PinnedFiles, pinned_files

RECORD = {"epochs": 3}


@pytest.fixture
def save(tmp_path):
    folder = tmp_path / "save"
    checkpoints.save(folder, {"A": {"w": jnp.arange(4.0)}}, RECORD)
    return folder


@pytest.fixture
def pinned(tmp_path):
    folder = tmp_path / "pinned"
    folder.mkdir()
    return PinnedFiles(folder)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("links", [True, False])
def test_a_save_outlives_its_deletion(save, pinned, monkeypatch, links):
    if not links:
        error = PermissionError("no hard links here")
        monkeypatch.setattr(os, "link", lambda *a, **k: (_ for _ in ()).throw(error))
    before = contents(save)
    found = pinned.save(save, known=())
    checkpoints.remove(save)
    checkpoints.save(save, {"A": {"w": jnp.zeros(9)}}, {"epochs": 4})
    assert {name: own.path.read_bytes() for name, own in found.items()} == before
    for name, own in found.items():
        assert own.size == len(before[name])
        assert own.sha256 == hashlib.sha256(before[name]).hexdigest()


def test_known_files_are_only_described(save, pinned):
    known = {hashlib.sha256(own).hexdigest() for own in contents(save).values()}
    found = pinned.save(save, known)
    others = {name for name, own in found.items() if save in own.path.parents}
    assert others == found.keys() - {"record.json"}


@pytest.mark.parametrize("how", ["unfinished", "altered", "added", "missing", "link"])
def test_what_is_not_whole_is_not_pinned(save, pinned, how):
    own = save / "variables" / "_METADATA"
    if how == "unfinished":
        (save / "record.json").unlink()
    elif how == "altered":
        own.write_bytes(own.read_bytes() + b" ")
    elif how == "added":
        (save / "variables" / "more").touch()
    else:
        content = own.read_bytes()
        own.unlink()
        if how == "link":
            (save.parent / "elsewhere").write_bytes(content)
            own.symlink_to(save.parent / "elsewhere")
    assert pinned.save(save, known=()) is None


def test_a_link_is_not_copied(tmp_path, pinned):
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="link"):
        pinned.copy(tmp_path / "link")


def test_the_folder_is_deleted_with_what_a_killed_process_left(tmp_path):
    folder, asked = tmp_path / "pinned", []
    folder.mkdir()
    (folder / "000001").write_text("left")
    (tmp_path / "file").write_text("own")
    with pinned_files(folder, asked.append) as pinned:
        assert pinned.copy(tmp_path / "file").path.read_text() == "own"
    assert not folder.exists()
    assert asked == [folder, folder]
