"""Which files of a folder are images, by content, and what is said of the others."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from image_folders import CLASSES, random_pixels, write_folder
from PIL import Image, features

from mothernets_jax.data import load
from mothernets_jax.data.folder_listing import describe_skipped, list_images
from mothernets_jax.data.image_folder import load_image_folder

pytestmark = pytest.mark.usefixtures("cache_home")

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 5\nshowpage\n"
PSD = b"8BPS\0\1" + bytes(26)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="5" height="6"/>'
TEXT = b"file,label\n0.png,ant\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    write_folder(tmp_path / "images")
    return tmp_path / "images"


def names(paths, folder):
    return [os.path.relpath(path, folder) for path in paths]


def reasons(skipped, folder):
    return {os.path.relpath(s.path, folder): s.reason for s in skipped}


FORMATS = {
    "PNG": {},
    "JPEG": {},
    "BMP": {},
    "GIF": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "PPM": {},
}
FORMATS |= {"AVIF": {}} if features.check("avif") else {}


@pytest.mark.parametrize("suffix", ["", ".jfif", ".txt", ".PNG", ".eps"])
def test_images_of_every_format_are_found_whatever_their_names(tmp_path, suffix):
    """At any depth; a grey PPM is a PGM."""
    expected = []
    for number, (name, options) in enumerate([*FORMATS.items(), ("PPM", {})]):
        shape = (16, 16) if number == len(FORMATS) else (16, 16, 3)
        path = tmp_path / "/".join(map(str, range(number))) / f"{number}x{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random_pixels(number, shape)).save(path, name, **options)
        expected.append(str(path))
    listing = list_images(tmp_path)
    assert sorted(listing.images) == listing.images
    assert set(listing.images) == set(expected) and listing.bad == []
    assert listing.skipped == []


def test_nested_images_are_loaded_with_their_class(folder):
    """Not only those directly in its folder, and not only by some suffixes."""
    pixels = random_pixels(99, (6, 5, 3))
    deep = folder / "train/bee/2019/may/b.tiff"
    deep.parent.mkdir(parents=True)
    Image.fromarray(pixels).save(deep)
    arrays = load_image_folder(str(folder))
    assert arrays.train_labels.tolist() == [0, 0, 1, 1, 1, 2, 2]
    # In the order of their paths: 0.png, 1.PNG, 2019/may/b.tiff.
    np.testing.assert_array_equal(arrays.train_images[4], pixels)


def test_what_is_skipped_is_named_with_its_reason(tmp_path):
    contents = {
        "notes.txt": TEXT,
        "empty": b"",
        "a.eps": EPS,
        "b.png": EPS,  # which Pillow would hand to Ghostscript
        "c.heic": HEIC,
        "d.jpg": HEIC,
        "e.psd": PSD,
        "f.svg": SVG,
        "g.pdf": b"%PDF-1.7\n",
        ".DS_Store": b"\0\0\0\1Bud1",
        "deep/.hidden.png": b"",
        "__MACOSX/h.png": b"",
        "@eaDir/i.png": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.png")
    listing = list_images(tmp_path)
    assert listing.images == listing.bad == []
    assert reasons(listing.skipped, tmp_path) == {
        "notes.txt": "not images",
        "empty": "not images",
        "a.eps": "EPS files",
        "b.png": "EPS files",
        "c.heic": "HEIC files",
        "d.jpg": "HEIC files",
        "e.psd": "PSD files",
        "f.svg": "SVG files",
        "g.pdf": "PDF files",
        ".DS_Store": "hidden",
        "deep/.hidden.png": "hidden",
        "__MACOSX": "hidden",
        "@eaDir": "hidden",
        "pipe.png": "pipes or devices",
    }
    sentence = describe_skipped(tmp_path, listing.skipped)
    assert "2 EPS files, a format that is not read (a.eps, ...)" in sentence
    assert "2 not images (empty, ...)" in sentence
    assert "1 pipes or devices (pipe.png)" in sentence
    assert "4 hidden (.DS_Store, ...)" in sentence and "\n" not in sentence
    assert describe_skipped(tmp_path, []) == ""


@pytest.mark.parametrize("suffix", [".nef", ".DNG"])
def test_a_raw_photograph_is_no_tiff(tmp_path, suffix):
    """The picture that Pillow would find in it is a thumbnail."""
    Image.fromarray(random_pixels(0, (4, 4))).save(tmp_path / f"a{suffix}", "TIFF")
    listing = list_images(tmp_path)
    assert listing.images == []
    assert reasons(listing.skipped, tmp_path) == {f"a{suffix}": "raw camera files"}


def test_what_is_meant_to_be_an_image_and_is_none_is_bad(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.JPEG").write_bytes(TEXT)
    (tmp_path / "c.tif").symlink_to(tmp_path / "nowhere")
    (tmp_path / "d").symlink_to(tmp_path / "nowhere")
    (tmp_path / "e").symlink_to(tmp_path / "e")
    Image.fromarray(random_pixels(0, (4, 4))).save(tmp_path / "f.png")
    listing = list_images(tmp_path)
    assert names(listing.bad, tmp_path) == ["a.png", "b.JPEG", "c.tif", "d", "e"]
    assert names(listing.images, tmp_path) == [*names(listing.bad, tmp_path), "f.png"]
    assert listing.skipped == []


def test_what_cannot_be_read_is_bad(tmp_path, monkeypatch):
    Image.fromarray(random_pixels(0, (4, 4))).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_bytes(TEXT)  # no one can know that it is none

    def refuse(path, flags):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    assert names(list_images(tmp_path).bad, tmp_path) == ["a.png", "notes.txt"]


def test_a_folder_that_cannot_be_listed_is_refused(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match=r"cannot list .*images .*Permission denied"):
        load_image_folder(str(folder))


def test_links_are_followed_but_in_no_circle(folder, tmp_path):
    """And none to a folder above brings in the images of other classes."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.fromarray(random_pixels(7, (6, 5, 3))).save(elsewhere / "x.png")
    ant = folder / "train/ant"
    (ant / "more").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(ant)
    (ant / "self").symlink_to(ant)
    (ant / "up").symlink_to(folder)
    (ant / "a").symlink_to(ant / "z")  # z/ keeps its own name
    (ant / "z").mkdir()
    (ant / "z/y.png").symlink_to(elsewhere / "x.png")
    listing = list_images(ant)
    assert names(listing.images, ant) == ["0.png", "1.PNG", "more/x.png", "z/y.png"]
    found = reasons(listing.skipped, ant)
    assert set(found) == {"more/back", "self", "up", "a"}
    assert set(found.values()) == {
        "links to folders that hold them or are listed already"
    }
    assert load_image_folder(str(folder)).train_labels.tolist() == [0] * 4 + [
        1,
        1,
        2,
        2,
    ]


@pytest.mark.parametrize("link", ["train/dog", "test", "train/notes"])
def test_a_class_or_a_split_behind_a_dead_link_is_refused(folder, link):
    if link == "test":
        (folder / "test").rename(folder.parent / "elsewhere")
    (folder / link).symlink_to(folder / "nowhere")
    with pytest.raises(ValueError, match=rf"{link} is a link to .*nowhere, where noth"):
        load_image_folder(str(folder))


def test_it_is_said_in_one_line_in_the_log_and_in_the_notes(folder, caplog):
    caplog.set_level(logging.INFO, logger="mothernets_jax")
    assert load("folder", directory=str(folder)).notes == ()
    assert "Skipped" not in caplog.text
    (folder / "README.md").write_bytes(TEXT)
    (folder / "extra").mkdir()
    (folder / "train/labels.csv").write_bytes(TEXT)
    (folder / "train/ant/notes.txt").write_bytes(TEXT)
    (folder / "test/ant/b.eps").write_bytes(EPS)
    data = load("folder", directory=str(folder))
    (note,) = data.notes
    assert note == (
        "Skipped in the folder: 3 outside the class folders (README.md, ...); "
        "1 EPS files, a format that is not read (test/ant/b.eps); "
        "1 not images (train/ant/notes.txt)."
    )
    (line,) = [m for m in caplog.messages if "Skipped" in m]
    assert line == note
    assert len(data.train_labels) + len(data.validation_labels) == 2 * len(CLASSES)


def test_bad_images_are_refused_before_they_are_streamed(folder):
    options = {"directory": str(folder), "memory_bytes": 0}
    for number in range(24):
        (folder / f"train/ant/{number:02}.png").write_bytes(b"")
    message = (
        r"cannot read 24 images: .*/00\.png, .*/19\.png and 4 more\. .*expected PNG"
    )
    with pytest.raises(ValueError, match=message) as refusal:
        load("folder", **options)
    assert "20.png" not in str(refusal.value)


def test_notes_can_be_written(folder):
    """As they are for `results.json`."""
    (folder / "notes.txt").write_bytes(TEXT)
    assert "notes.txt" in json.dumps(load("folder", directory=str(folder)).notes)
