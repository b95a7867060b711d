"""Files given by name and by folder: none is lost, whatever it is."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mothernets_jax.data.given_files import GivenFile, given_files


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("photos/b.png", "photos/deep/er/a.jpg", "photos/.hidden.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(name)
    Path("photos/README.txt").write_text("about them")
    Path("photos/broken.png").write_bytes(b"no image")
    Path("photos/c.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    Path("photos/circle").symlink_to("../photos")
    Path("empty").mkdir()


def test_folders_give_their_images_and_files_themselves():
    missing, photos = GivenFile("missing.png"), "photos/"
    of_folder = [
        GivenFile(f"{photos}b.png"),
        GivenFile(f"{photos}broken.png"),
        GivenFile(f"{photos}c.heic", "a format that is not read (HEIC files)"),
        GivenFile(f"{photos}deep/er/a.jpg"),
    ]
    assert given_files(["missing.png", Path("photos")]) == [missing, *of_folder]
    assert given_files("photos") == of_folder
    text = f"{photos}README.txt"  # is asked for, and so is read, and will fail
    assert given_files(iter([text, text])) == [GivenFile(text)] * 2
    assert given_files(os.path.join("~", "missing.png"))[0].path.startswith("/")
    assert given_files([]) == []
    empty = GivenFile("empty", "no images are in this folder")
    assert given_files("empty") == [empty]


def test_a_folder_that_cannot_be_listed_is_a_reason(monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    ((path, reason),) = given_files("photos")
    assert path == "photos" and "cannot list the folder photos (Permission" in reason


@pytest.mark.parametrize("paths", [None, 3, [None], [b"photos"], [["photos"]]])
def test_what_is_no_path_is_told(paths):
    with pytest.raises(ValueError, match=r"expected (paths of image|text or a Path)"):
        given_files(paths)
