"""The image folder: what it decodes to, and what is refused."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from image_folders import CLASSES, random_pixels, write_folder
from PIL import Image

from mothernets_jax.data import checks, load, load_ood_images
from mothernets_jax.data.image_folder import load_image_folder

pytestmark = pytest.mark.usefixtures("cache_home")


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
        arrays = load_image_folder(str(tmp_path))
        train_images, train_labels, test_images, test_labels, names, *_ = arrays
        assert names == CLASSES and arrays.validation_images is None
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
    train_images, _, test_images, *_ = load_image_folder(str(folder), **options)
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
    if how == "no train":
        (folder / "train").rename(folder / "old")
    elif how == "no classes":
        (folder / "train").rename(folder / "old")
        (folder / "train").mkdir()
    elif how == "empty class":
        for path in (folder / "train/bee").iterdir():
            path.rename(path.with_suffix(".txt")).write_text("not an image")
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
            "no train",
            FileNotFoundError,
            r"no folder train/ in .*\(found: old, test\); .*DIR/train/<class>/",
        ),
        ("no classes", ValueError, "no class folders in .*train; expected DIR/train/"),
        (
            "empty class",
            ValueError,
            r"no images in .*train/bee; expected .*PNG, JPEG.* 2 not images \(bee/0",
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
            r"2 sizes .*: 6x5 \(8\), 7x9 \(1: .*bee/1\.PNG\)\. .* image_size=32",
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
        ("", {}, ValueError, r"no image folder.*DIR/train.* directory=PATH\.$"),
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
        ("", "images", (4, 4, 3), "^directory is 'images', but name is empty: name"),
        ("svnh", "", (4, 4, 3), "^name is 'svnh': .* Did you mean 'svhn'"),
        ("folder", "/no/such", (4, 4, 3), "^name is 'folder': .*/no/such.* directory="),
        ("folder", None, (4, 4, 1), r"have .* \(4, 4, 3\), expected \(4, 4, 1\)"),
        ("digits", "", (9, 9, 1), r"have .* \(8, 8, 1\), expected \(9, 9, 1\)"),
    ],
)
def test_other_images_that_are_refused(folder, name, directory, known, message):
    directory = str(folder) if directory is None else directory
    with pytest.raises(ValueError, match=message):
        load_ood_images(name, directory=directory, crop="shift", input_shape=known)


def test_images_that_are_not_streamed_count_towards_memory(folder, monkeypatch):
    """A small training set does not hide a test set that fills the memory."""
    shape = load_image_folder(str(folder), memory_bytes=10**9).test_images.shape[1:]
    monkeypatch.setattr(checks, "_MEMORY_SHARE", 0.0)
    size = f"images of {shape[0]}x{shape[1]} pixels take"
    with pytest.raises(ValueError, match=f"6 training and 3 test {size}"):
        load_image_folder(str(folder), memory_bytes=10**9)
    options = {"directory": str(folder), "crop": "shift", "input_shape": shape}
    with pytest.raises(ValueError, match=f": 3 test {size}"):
        load_ood_images("folder", **options)


@pytest.mark.parametrize("name", ["loop", "~nobody-of-this-name/x"])
def test_a_path_that_leads_nowhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop")
    with pytest.raises(ValueError, match="no folder .*; expected"):
        load_image_folder(name)


def test_classes_have_names_that_can_be_written(folder):
    os.rename(folder / "train" / CLASSES[0], folder / "train" / os.fsdecode(b"\xff"))
    with pytest.raises(ValueError, match=r"'\\udcff' in .* is not UTF-8, .*: rename"):
        load_image_folder(str(folder))


def test_what_is_skipped_can_be_written(folder, caplog):
    (folder / "train" / CLASSES[0] / os.fsdecode(b"\xff.txt")).write_text("a")
    notes = load_image_folder(str(folder)).notes
    assert "\\udcff.txt" in "".join(notes).encode("utf-8").decode()


def test_images_are_opened_in_one_place():
    """That place, `image_formats.open_image`, has the list of formats."""
    package = Path(checks.__file__).parents[1]
    texts = [path.read_text(encoding="utf-8") for path in package.rglob("*.py")]
    assert len(texts) > 100
    assert not [text for text in texts if "Image.open(" in text]
