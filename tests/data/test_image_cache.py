"""Decoded images are taken from the cache only where they are still the same."""

import fcntl
import os
from pathlib import Path

import numpy as np
import pytest
from image_folders import random_pixels, write_folder
from PIL import Image

from mothernets_jax.data import decoding, image_cache, image_files
from mothernets_jax.data.image_folder import load_image_folder

pytestmark = pytest.mark.usefixtures("cache_home")
COLOUR = random_pixels(51, (6, 5, 3))


@pytest.fixture
def folder(tmp_path) -> Path:
    write_folder(tmp_path / "images")
    return tmp_path / "images"


@pytest.fixture
def no_decoding(monkeypatch):
    """From the call of this on, decoding fails."""

    def refuse(encoded, *how):
        raise RuntimeError(f"decoded {encoded.name}")

    return lambda: monkeypatch.setattr(image_files, "decode_image", refuse)


def test_cache_spares_decoding(folder, cache_home, no_decoding):
    decoded = load_image_folder(str(folder))
    no_decoding()
    cached = load_image_folder(str(folder))
    for before, after in zip(decoded, cached, strict=True):
        np.testing.assert_array_equal(before, after)
    # One complete file, nothing temporary, and no pickle in it.
    (file,) = (cache_home / "mothernets_jax").iterdir()
    with np.load(file, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays)
    # The same folder by another name.
    os.symlink(folder, folder.parent / "link")
    load_image_folder(str(folder.parent / "link"))


def change_file(folder: Path, how: str) -> None:
    """Changes a file or two; sizes and times of files stay what they were."""
    path, other = folder / "train/ant/0.png", folder / "train/bee/0.png"
    if how == "replaced":
        Image.fromarray(COLOUR).save(folder / "new", "png", compress_level=0)
        os.utime(folder / "new", (0, 0))
        (folder / "new").rename(path)
    elif how == "swapped":
        path.rename(folder / "old")
        other.rename(path)
        (folder / "old").rename(other)
    elif how == "rewritten":
        with open(path, "r+b") as file:
            file.write(other.read_bytes())
        os.utime(path, (0, 0))
    elif how == "another link":
        path.unlink()
        path.hardlink_to(other)
    elif how == "all anew":
        # As an archive's next version is unpacked: every name and time is as before.
        for i, file in enumerate(sorted(folder.rglob("*.*"))):
            pixels = random_pixels(100 + i, (6, 5, 3))
            file.unlink()
            Image.fromarray(pixels).save(file, "png", compress_level=0)
            os.utime(file, (0, 0))
    elif how == "grown":
        status = path.stat()
        path.write_bytes(path.read_bytes() + b"\0")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif how == "added":
        Image.fromarray(COLOUR).save(folder / "test/cow/b.png")
    elif how == "removed":
        path.unlink()
    elif how == "renamed":
        path.rename(path.with_name("2.png"))
    else:
        (folder / "train/ant").rename(folder / "train/wasp")
        (folder / "test/ant").rename(folder / "test/wasp")


CHANGES = ["replaced", "swapped", "rewritten", "another link", "all anew"]
CHANGES += ["grown", "added", "removed", "renamed", "class renamed"]


@pytest.mark.parametrize("how", CHANGES)
def test_a_changed_folder_is_decoded_again(folder, cache_home, monkeypatch, how):
    load_image_folder(str(folder))
    change_file(folder, how)
    decode, decoded = image_files.decode_image, []

    def record(encoded, *how):
        decoded.append(encoded.name)
        return decode(encoded, *how)

    monkeypatch.setattr(image_files, "decode_image", record)
    changed = load_image_folder(str(folder))
    images = [str(p) for p in folder.rglob("*") if p.is_file()]
    assert set(decoded) == set(images)
    for images, part in (
        (changed.train_images, "train"),
        (changed.test_images, "test"),
    ):
        files = sorted((folder / part).rglob("*.*"))
        expected = [np.asarray(Image.open(file)) for file in files]
        np.testing.assert_array_equal(images, expected)
    # The old file is replaced, not added to; what is decoded without it is the same.
    (file,) = (cache_home / "mothernets_jax").iterdir()
    file.unlink()
    for expected, array in zip(load_image_folder(str(folder)), changed, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_what_changes_no_byte_spares_decoding(folder, no_decoding):
    """The control."""
    expected = load_image_folder(str(folder))
    path = folder / "train/ant/0.png"
    os.utime(path, (1, 1))
    path.rename(folder / "moved")
    (folder / "train/ant/0.png").write_bytes((folder / "moved").read_bytes())
    (folder / "moved").unlink()
    no_decoding()
    same = load_image_folder(str(folder))
    np.testing.assert_array_equal(same.train_images, expected.train_images)


def test_another_version_of_pillow_decodes_again(folder, monkeypatch, no_decoding):
    load_image_folder(str(folder))
    monkeypatch.setattr("PIL.__version__", "0.1")
    no_decoding()
    with pytest.raises(RuntimeError, match="decoded"):
        load_image_folder(str(folder))


def test_what_changes_while_it_is_decoded_is_not_cached(
    folder, cache_home, monkeypatch, caplog
):
    decode_all = decoding.decode_with_notes

    def decode_and_change(*args, **options):
        images = decode_all(*args, **options)
        change_file(folder, "swapped")
        return images

    monkeypatch.setattr(decoding, "decode_with_notes", decode_and_change)
    load_image_folder(str(folder))
    assert "changed while they were read" in caplog.text
    assert not list(cache_home.rglob("*.npz"))


def test_fingerprints_tell_names_from_contents(tmp_path):
    """No two folders may hash as one, wherever a name ends and a file begins."""
    found = set()
    for name, content in (("ab", b"c"), ("a", b"bc"), ("abc", b"")):
        (tmp_path / name).write_bytes(content)
        found.add(image_cache.fingerprint(tmp_path, [str(tmp_path / name)]))
    both = [str(tmp_path / "ab"), str(tmp_path / "a")]
    found |= {image_cache.fingerprint(tmp_path, files) for files in (both, both[::-1])}
    assert len(found) == 5 and None not in found
    assert image_cache.fingerprint(tmp_path, [str(tmp_path / "gone")]) is None


def test_each_size_has_its_own_cache(folder, no_decoding):
    sizes = (None, 4, 8)
    for size in sizes:
        load_image_folder(str(folder), image_size=size)
    no_decoding()
    shapes = [load_image_folder(str(folder), image_size=s)[0].shape for s in sizes]
    assert shapes == [(6, 6, 5, 3), (6, 4, 4, 3), (6, 8, 8, 3)]
    with pytest.raises(RuntimeError, match="decoded"):
        load_image_folder(str(folder), image_size=5)


def damage(file: Path, how: str) -> None:
    data = file.read_bytes()
    if how == "garbage":
        file.write_bytes(b"garbage")
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "truncated":
        file.write_bytes(data[: len(data) // 2])
    elif how == "a flipped bit":
        middle = len(data) // 2
        file.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    elif how == "a field missing":
        np.savez(file, images=COLOUR)
    elif how == "pickled":
        fingerprint = np.load(file)["fingerprint"]
        np.savez(file, fingerprint=fingerprint, images=np.array([{}], object))
    else:
        file.unlink()
        file.mkdir()


DAMAGES = ["garbage", "empty", "truncated", "a flipped bit", "a field missing"]


@pytest.mark.parametrize("how", [*DAMAGES, "pickled", "a folder"])
def test_a_damaged_cache_is_a_warning(folder, cache_home, caplog, no_decoding, how):
    expected = load_image_folder(str(folder))
    (file,) = (cache_home / "mothernets_jax").iterdir()
    damage(file, how)
    for array, good in zip(load_image_folder(str(folder)), expected, strict=True):
        np.testing.assert_array_equal(array, good)
    assert f"Cannot read the cache {file}" in caplog.text
    if how != "a folder":  # Which no file can replace.
        no_decoding()
        load_image_folder(str(folder))


def test_an_unwritable_cache_is_a_warning(folder, cache_home, caplog):
    cache_home.write_text("a file where the cache's folder should be")
    assert len(load_image_folder(str(folder))[0]) == 6
    assert "Cannot write the cache" in caplog.text


def test_an_interrupted_write_leaves_nothing(folder, cache_home, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_image_folder(str(folder))
    assert not list((cache_home / "mothernets_jax").iterdir())


def rewrite(file, arrays, **changes):
    """Writes a cache whose images, or what is said of them, are others."""
    np.savez(file, **{**arrays, **changes})


def bomb(file, arrays):
    """A cache of some kilobytes that is said to be, or unpacks to, far more."""
    images = np.zeros((9, 2000, 2000, 3), np.uint8)
    np.savez_compressed(file, **{**arrays, "images": images})


def lie(file, arrays):
    """The right images, said to be a million of them."""
    rewrite(file, arrays)
    data = file.read_bytes()
    shape, more = b"(9, 6, 5, 3), }    ", b"(9999999, 6, 5, 3)}"
    assert data.count(shape) == 1
    file.write_bytes(data.replace(shape, more))


STRANGE = {
    "compressed": bomb,
    "said to be more": lie,
    "fewer": lambda file, own: rewrite(file, own, images=own["images"][:5]),
    "a line": lambda file, own: rewrite(file, own, images=own["images"].ravel()),
    "two channels": lambda file, own: rewrite(file, own, images=own["images"][..., :2]),
    "numbers": lambda file, own: rewrite(file, own, images=own["images"] / 255),
    "long notes": lambda file, own: rewrite(file, own, notes=np.array(["x" * 2**19])),
}


@pytest.mark.parametrize("how", STRANGE)
def test_a_cache_is_looked_at_before_memory_is_taken(
    folder, cache_home, caplog, monkeypatch, how
):
    expected = load_image_folder(str(folder))
    (file,) = (cache_home / "mothernets_jax").iterdir()
    with np.load(file) as arrays:
        STRANGE[how](file, dict(arrays))
    with monkeypatch.context() as patch:
        patch.setattr(np, "load", lambda *_, **__: pytest.fail("it was read"))
        found = load_image_folder(str(folder))
    np.testing.assert_array_equal(found.train_images, expected.train_images)
    assert f"Cannot read the cache {file}" in caplog.text


def test_a_cache_of_another_size_is_decoded_again(folder, cache_home, caplog):
    load_image_folder(str(folder), image_size=4)
    (file,) = (cache_home / "mothernets_jax").iterdir()
    with np.load(file) as arrays:
        rewrite(file, dict(arrays), images=np.zeros((6 + 3, 5, 5, 3), np.uint8))
    assert load_image_folder(str(folder), image_size=4)[0].shape == (6, 4, 4, 3)
    assert "expected uint8 of shape (9, 4, 4, 1 or 3)" in caplog.text


def test_a_pipe_in_the_cache_s_place_is_not_waited_for(folder, cache_home, caplog):
    load_image_folder(str(folder))
    (file,) = (cache_home / "mothernets_jax").iterdir()
    file.unlink()
    os.mkfifo(file)
    load_image_folder(str(folder))
    assert "it is no plain file" in caplog.text


def test_what_a_killed_process_left_is_deleted_and_no_more(folder, cache_home):
    own = cache_home / "mothernets_jax"
    own.mkdir(parents=True)
    for name in ("tmpkilled.tmp", "tmpalive.tmp", "other.tmp", "tmpother"):
        (own / name).write_bytes(b"half")
    with (own / "tmpalive.tmp").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        load_image_folder(str(folder))
        left = {p.name for p in own.iterdir() if p.suffix != ".npz"}
    assert left == {"tmpalive.tmp", "other.tmp", "tmpother"}
