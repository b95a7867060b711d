"""One process works in a folder, whatever becomes of the files in it."""

import fcntl
import os
import shutil
import stat

import pytest

from mothernets_jax.runs import folder_lock
from mothernets_jax.runs.folder_lock import FolderLock


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def held(folder):
    lock = FolderLock(folder, "first")
    lock.take()
    yield lock
    lock.release()


@pytest.mark.parametrize("how", ["deleted", "replaced", "blanked"])
def test_its_file_deleted_it_still_holds(folder, held, how):
    path = folder / ".lock"
    path.unlink() if how == "deleted" else path.write_text("")
    if how == "replaced":
        path.unlink()
        path.write_text("")
    with pytest.raises(ValueError, match="run is being worked in by another process"):
        FolderLock(folder, "second").take()
    held.check()
    held.release()
    second = FolderLock(folder, "second")
    second.take()
    second.release()


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_a_folder_that_is_no_more_the_same_is_noticed(folder, held, how):
    held.check()
    if how == "moved":
        folder.rename(folder.with_name("elsewhere"))
    else:
        shutil.rmtree(folder)
    if how == "replaced":
        folder.mkdir()
        other = FolderLock(folder, "second")  # who may work there
        other.take()
        other.release()
    with pytest.raises(ValueError, match="was moved, deleted or replaced while"):
        held.check()


def test_where_folders_cannot_be_locked_its_file_is(folder, monkeypatch, caplog):
    """As on NFS; a file that was deleted is noticed by its owner."""
    lock = fcntl.flock

    def only_files(descriptor, how):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(9, "Bad file descriptor")
        lock(descriptor, how)

    monkeypatch.setattr(folder_lock.fcntl, "flock", only_files)
    first, second = FolderLock(folder, "first"), FolderLock(folder, "second")
    first.take()
    first.check()
    with pytest.raises(ValueError, match=r"by process \d+ on .* \(first\)"):
        second.take()
    (folder / ".lock").unlink()
    with pytest.raises(ValueError, match=r"\.lock was moved, deleted or replaced"):
        first.check()
    first.release()
    assert not caplog.records


def test_without_any_locks_there_is_a_warning(folder, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(folder_lock.fcntl, "flock", refuse)
    lock = FolderLock(folder, "")
    lock.take()
    lock.release()
    assert "cannot be locked (Function not implemented)" in caplog.text


@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_what_a_link_leads_to_is_not_written_to(folder, tmp_path, kind):
    precious = tmp_path / "precious"
    precious.write_text("own")
    path = folder / ".lock"
    if kind == "link":
        path.symlink_to(precious)
        with pytest.raises(ValueError, match=r"\.lock is a link to"):
            FolderLock(folder, "").take()
    else:
        path.hardlink_to(precious)
        lock = FolderLock(folder, "")
        lock.take()
        lock.release()
    assert precious.read_text() == "own"
