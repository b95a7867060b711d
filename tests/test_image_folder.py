"""The image folder: what it decodes to, what is refused, and its cache."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mothernets_jax.data import image_files, load, load_ood_images
from mothernets_jax.data.image_folder import load_image_folder

CLASSES = ("ant", "bee", "cow")


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch) -> Path:
    """No test reads or writes the user's own cache."""
    home = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


def random_pixels(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write_folder(root: Path, shape: tuple[int, ...] = (6, 5, 3)) -> dict:
    """Two PNGs of each class in train/, one in test/; returns pixels by their path."""
    pixels = {}
    for name in CLASSES:
        for file in ("train/{}/0.png", "train/{}/1.PNG", "test/{}/a.png"):
            place = file.format(name)
            pixels[place] = random_pixels(len(pixels), shape)
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            # All of one size and time: a renamed file is known by its name alone.
            Image.fromarray(pixels[place]).save(root / place, compress_level=0)
            os.utime(root / place, (0, 0))
    return pixels


@pytest.fixture
def folder(tmp_path) -> Path:
    write_folder(tmp_path / "images")
    return tmp_path / "images"


@pytest.mark.parametrize("shape", [(6, 5, 3), (4, 4)], ids=["colour", "grey"])
def test_folder_comes_back_exactly(tmp_path, shape):
    pixels = write_folder(tmp_path, shape)
    # None of these is an image of the data set.
    for other in ("train/ant/.hidden.png", "train/ant/notes.txt", "test/readme.png"):
        (tmp_path / other).write_text("not an image")
    (tmp_path / "train/.thumbnails").mkdir()
    (tmp_path / "train/ant/nested.png").mkdir()

    for _ in ("decoded", "from the cache"):
        *arrays, names = load_image_folder(str(tmp_path))
        train_images, train_labels, test_images, test_labels = arrays
        assert names == CLASSES
        assert train_images.dtype == test_images.dtype == np.uint8
        assert train_labels.dtype == test_labels.dtype == np.int32
        assert train_labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert test_labels.tolist() == [0, 1, 2]
        for images, part in ((train_images, "train"), (test_images, "test")):
            expected = np.stack([pixels[p] for p in pixels if p.startswith(part)])
            np.testing.assert_array_equal(
                images, expected.reshape(*expected.shape[:3], -1)
            )


def as_rgb(pixels):
    return np.repeat(pixels[..., None], 3, axis=-1)


GREY, COLOUR = random_pixels(50, (6, 5)), random_pixels(51, (6, 5, 3))
ALPHA = random_pixels(52, (6, 5, 1))
BINARY = GREY > 127
# 30 colours for the 30 pixels, one of which is half transparent.
PALETTE = Image.fromarray(np.arange(30, dtype=np.uint8).reshape(6, 5))
PALETTE.putpalette(COLOUR.tobytes())


@pytest.mark.parametrize(
    ("image", "suffix", "expected"),
    [
        (Image.fromarray(GREY), "png", as_rgb(GREY)),
        (Image.fromarray(GREY), "bmp", as_rgb(GREY)),
        (Image.fromarray(BINARY), "png", as_rgb(BINARY * 255)),
        (Image.fromarray(np.dstack([GREY, ALPHA])), "png", as_rgb(GREY)),
        (Image.fromarray(np.dstack([COLOUR, ALPHA])), "png", COLOUR),
        (PALETTE, "png", COLOUR),
        (PALETTE, "gif", COLOUR),
        (Image.fromarray(COLOUR), "ppm", COLOUR),
    ],
    ids=["grey", "bmp", "binary", "grey-alpha", "alpha", "palette", "gif", "ppm"],
)
def test_other_modes_become_rgb_beside_a_colour_image(folder, image, suffix, expected):
    (folder / "train/ant/0.png").unlink()
    options = {"transparency": bytes([128])} if image.mode == "P" else {}
    if suffix == "gif":
        options = {"transparency": 31}
    image.save(folder / f"train/ant/0.{suffix}", **options)
    train_images = load_image_folder(str(folder))[0]
    np.testing.assert_array_equal(train_images[0], expected)


@pytest.mark.parametrize("image", [BINARY, np.dstack([GREY, ALPHA])])
def test_every_kind_of_grey_leaves_one_channel(tmp_path, image):
    write_folder(tmp_path, shape=(6, 5))
    Image.fromarray(image).save(tmp_path / "train/ant/0.png")
    train_images = load_image_folder(str(tmp_path))[0]
    assert train_images.shape == (6, 6, 5, 1)
    expected = BINARY * 255 if image is BINARY else GREY
    np.testing.assert_array_equal(train_images[0, :, :, 0], expected)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "webp"])
def test_lossy_formats_are_close(folder, suffix):
    smooth = np.add.outer(np.arange(6), np.arange(5))[..., None] * [8, 12, 16]
    (folder / "test/bee/a.png").unlink()
    path = folder / f"test/bee/a.{suffix}"
    Image.fromarray(smooth.astype(np.uint8)).save(path, quality=100)
    difference = load_image_folder(str(folder))[2][1] - smooth
    assert 0 < np.abs(difference).max() < 16


def test_image_size_resizes_to_a_square(folder):
    # An image of two colours, left and right, of another size than the others.
    halves = np.zeros((40, 80, 3), np.uint8)
    halves[:, 40:] = [200, 100, 50]
    Image.fromarray(halves).save(folder / "train/ant/0.png")
    options = {"image_size": 8, "resize": "stretch"}
    train_images, _, test_images, _, _ = load_image_folder(str(folder), **options)
    assert train_images.shape == (6, 8, 8, 3) and test_images.shape == (3, 8, 8, 3)
    np.testing.assert_array_equal(train_images[0, :, :3], 0)
    np.testing.assert_array_equal(train_images[0, :, 5:] - [200, 100, 50], 0)
    # Antialiased: a chequered pattern becomes its mean, not some of its pixels.
    chequered = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(chequered).save(folder / "train/ant/0.png")
    shrunk = load_image_folder(str(folder), image_size=4)[0][0]
    np.testing.assert_allclose(shrunk, 127.5, atol=3)


def break_folder(folder: Path, how: str) -> None:
    """Makes one mistake that users make."""
    image = folder / "train/bee/1.PNG"
    if how == "no test":
        (folder / "test").rename(folder / "val")
    elif how == "no train":
        (folder / "train").rename(folder / "training")
    elif how == "no classes":
        (folder / "train").rename(folder / "old")
        (folder / "train").mkdir()
    elif how == "empty class":
        for path in (folder / "train/bee").iterdir():
            path.rename(path.with_suffix(".tif"))
    elif how == "empty test class":
        (folder / "test/bee/a.png").unlink()
    elif how == "only in train":
        (folder / "train/dog").mkdir()
    elif how == "only in test":
        (folder / "test/dog").mkdir()
    elif how == "text":
        image.write_text("not an image")
    elif how == "empty file":
        image.write_bytes(b"")
    elif how == "truncated":
        image.write_bytes(image.read_bytes()[:-40])
    elif how == "truncated jpeg":
        Image.fromarray(random_pixels(7, (64, 64, 3))).save(image, "jpeg")
        image.write_bytes(image.read_bytes()[:2000])
    elif how == "broken link":
        image.unlink()
        image.symlink_to(folder / "nowhere.png")
    elif how == "floats":
        Image.fromarray(np.full((6, 5), 0.5, np.float32)).save(image, "tiff")
    elif how == "other size":
        Image.fromarray(random_pixels(7, (7, 9, 3))).save(image)
    else:
        raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (
            "no test",
            FileNotFoundError,
            r"no folder test/ in .*\(found: train, val\); e",
        ),
        ("no train", FileNotFoundError, r"no folder train/ in .*DIR/train/<class>/"),
        ("no classes", ValueError, "no class folders in .*train; expected DIR/train/"),
        (
            "empty class",
            ValueError,
            r"no images in .*train/bee; expected .*\.png \.jpg",
        ),
        ("empty test class", ValueError, "no images in .*test/bee; expected files"),
        ("only in train", ValueError, "'dog' is in .*train but not in .*test; both"),
        ("only in test", ValueError, "'dog' is in .*test but not in .*train; both"),
        ("text", ValueError, r"cannot read the image .*train/bee/1\.PNG: .*expected a"),
        ("empty file", ValueError, r"cannot read the image .*train/bee/1\.PNG"),
        ("truncated", ValueError, r"cannot read the image .*train/bee/1\.PNG"),
        ("truncated jpeg", ValueError, r"cannot read .*bee/1\.PNG: .*truncated.*repl"),
        ("broken link", ValueError, r"cannot read the image .*bee/1\.PNG: .*No such"),
        ("floats", ValueError, r"bee/1\.PNG: its pixels are floating-point numbers"),
        (
            "other size",
            ValueError,
            r"2 sizes .*: 6x5 \(8\), 7x9 \(1: .*bee/1\.PNG\)\. .*--config\.data\.im",
        ),
    ],
)
def test_folder_names_what_is_wrong(folder, cache_home, how, error, message):
    break_folder(folder, how)
    with pytest.raises(error, match=message):
        load_image_folder(str(folder))
    assert not list(cache_home.rglob("*.npz"))


@pytest.mark.parametrize(
    ("directory", "options", "error", "message"),
    [
        ("", {}, ValueError, r"no image folder.*DIR/train.*--config\.data\.dir=PATH"),
        ("/nowhere", {}, FileNotFoundError, r"no folder /nowhere; expected DIR/train/"),
        (
            "/nowhere",
            {"image_size": 0},
            ValueError,
            "image_size=0, expected at least 1",
        ),
        (
            "/nowhere",
            {"image_size": -3},
            ValueError,
            "image_size=-3, expected at least",
        ),
    ],
)
def test_folder_refuses(directory, options, error, message):
    with pytest.raises(error, match=message):
        load_image_folder(directory, **options)


def test_a_home_folder_may_be_a_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(load_image_folder("~/images")[0]) == 6


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_a_bar_or_a_line(folder, monkeypatch, capsys, caplog, terminal):
    monkeypatch.setattr("rich.console.Console.is_terminal", terminal)
    caplog.set_level(logging.INFO, logger="mothernets_jax")
    load_image_folder(str(folder))
    bar = "Decoding images" in capsys.readouterr().err
    lines = [r for r in caplog.records if "Decoding 9 images" in r.getMessage()]
    assert (bar, len(lines)) == ((True, 0) if terminal else (False, 1))


def test_load_splits_a_folder(folder):
    data = load("folder", directory=str(folder), image_size=4, validation_fraction=0.4)
    assert data.class_names == CLASSES and data.input_shape == (4, 4, 3)
    assert [len(data.train_images), len(data.validation_images)] == [4, 2]
    assert len(data.test_images) == 3


# The cache.


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
    path = folder / "train/ant/0.png"
    if how == "touched":
        stamp = path.stat().st_mtime_ns + 1
        os.utime(path, ns=(stamp, stamp))
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


CHANGES = ["touched", "grown", "added", "removed", "renamed", "class renamed"]


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
    # The old file is replaced, not added to; what is decoded without it is the same.
    (file,) = (cache_home / "mothernets_jax").iterdir()
    file.unlink()
    for expected, array in zip(load_image_folder(str(folder)), changed, strict=True):
        np.testing.assert_array_equal(array, expected)


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


# Images of another kind, in the form of the known ones.


@pytest.mark.parametrize(
    ("shape", "known", "expected"),
    [
        ((6, 6), (6, 6, 1), lambda pixels: pixels[..., None]),
        ((6, 6), (6, 6, 3), lambda pixels: np.repeat(pixels[..., None], 3, axis=-1)),
        ((6, 5, 3), (6, 5, 3), lambda pixels: pixels),  # no square: as they are
    ],
    ids=["grey", "grey for colour", "colour"],
)
def test_other_images_take_the_form_of_the_known_ones(tmp_path, shape, known, expected):
    pixels = write_folder(tmp_path / "images", shape)
    options = {"directory": str(tmp_path / "images"), "crop": "shift"}
    found = load_ood_images("folder", input_shape=known, **options)
    tests = [pixels[f"test/{name}/a.png"] for name in CLASSES]
    np.testing.assert_array_equal(found, expected(np.stack(tests)))
    resized = load_ood_images("folder", input_shape=(4, 4, 3), **options)
    assert resized.shape == (3, 4, 4, 3)


def test_other_images_are_optional(folder):
    assert load_ood_images(
        "", directory="", crop="shift", input_shape=(4, 4, 3)
    ).shape == (0, 4, 4, 3)


@pytest.mark.parametrize(
    ("name", "directory", "known", "message"),
    [
        ("", "images", (4, 4, 3), "ood_dir is 'images', but .*ood_name is empty: name"),
        ("svnh", "", (4, 4, 3), "ood_name is 'svnh', .* Did you mean 'svhn'"),
        ("folder", "/no/such", (4, 4, 3), "ood_name is 'folder', with .*/no/such"),
        ("folder", None, (4, 4, 1), r"have .* \(4, 4, 3\), expected \(4, 4, 1\)"),
        ("digits", "", (9, 9, 1), r"have .* \(8, 8, 1\), expected \(9, 9, 1\)"),
    ],
)
def test_other_images_that_are_refused(folder, name, directory, known, message):
    directory = str(folder) if directory is None else directory
    with pytest.raises(ValueError, match=message):
        load_ood_images(name, directory=directory, crop="shift", input_shape=known)
