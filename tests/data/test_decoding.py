"""Image files to arrays: which are read, and that every pixel is what it should be.

Files are made by Pillow, or byte by byte where Pillow writes none of the kind; what
they should decode to is computed with NumPy or by hand.
"""

import io
import logging
import os
import shutil
import stat
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageOps

from mothernets_jax.data import decoding, image_files, image_formats, load
from mothernets_jax.data.crops import centre_box
from mothernets_jax.data.decoding import Encoded, decode, decode_all

COLOUR = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
GREY = COLOUR[..., 0]
LOSSLESS = {"WEBP": {"lossless": True}}


def encoded(image, file_format, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, file_format, **LOSSLESS.get(file_format, {}), **options)
    return file.getvalue()


def decoded(data, image_size=None, **how):
    return decode(Encoded("x.png", io.BytesIO(data)), image_size, **how)


def refusal(data):
    with pytest.raises(ValueError, match=r"^cannot read the image x\.png: ") as caught:
        decoded(data)
    return str(caught.value)


def png(rows, width, bits, colour_type, height=None):
    """A PNG file of these bytes, one string for each row, that claims this height."""

    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    height = height or len(rows)
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def tiff(pixels, width, height, bits, order="<", **tags):
    """A TIFF file of one strip of these bytes; `tags` by number, as `t254=1`."""
    fields = {256: width, 257: height, 258: bits, 259: 1, 262: 1}
    fields |= {273: 8, 277: 1, 278: height, 279: len(pixels)}
    fields |= {int(name[1:]): value for name, value in tags.items()}
    mark = b"II*\0" if order == "<" else b"MM\0*"
    pixels += b"\0" * (len(pixels) % 2)
    entries = b"".join(
        # A 16-bit value stands at the beginning of its four bytes; 4: of 32 bits.
        struct.pack(f"{order}HHI", tag, 4 if tag == 273 or tag == 279 else 3, 1)
        + struct.pack(f"{order}I" if tag in (273, 279) else f"{order}HH", *values)
        for tag, value in sorted(fields.items())
        for values in [(value,) if tag in (273, 279) else (value, 0)]
    )
    offset = struct.pack(f"{order}I", 8 + len(pixels))
    count = struct.pack(f"{order}H", len(fields))
    return mark + offset + pixels + count + entries + b"\0\0\0\0"


# Which files are read.


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "WEBP", "TIFF", "PPM"])
def test_content_decides_and_not_the_name(file_format):
    data = encoded(COLOUR, file_format)
    assert decoding.image_format(data[: image_formats.HEAD_BYTES]) == file_format
    np.testing.assert_array_equal(decoded(data), COLOUR)


@pytest.mark.parametrize("file_format", ["JPEG", "MPO", "AVIF"])
def test_lossy_formats_are_read(file_format):
    smooth = np.add.outer(np.arange(16), np.arange(24))[..., None] * [4, 5, 6]
    data = encoded(smooth.astype(np.uint8), file_format, quality=100)
    expected = "JPEG" if file_format == "MPO" else file_format
    assert decoding.image_format(data[:32]) == expected in decoding.FORMATS
    assert np.abs(decoded(data) - smooth).max() < 16


@pytest.mark.parametrize("mode", ["1", "L"])
def test_pbm_and_pgm_are_read(mode):
    image = Image.fromarray(GREY).convert(mode)
    data = encoded(image, "PPM")
    assert data[:2] == {"1": b"P4", "L": b"P5"}[mode]
    np.testing.assert_array_equal(decoded(data)[..., 0], np.asarray(image.convert("L")))


OTHER_FORMATS = [
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"),
    (b"\xc5\xd0\xd3\xc6\x1e\0\0\0", "EPS"),
    (b"%PDF-1.7\n", "PDF"),
    (b'<svg xmlns="http://www.w3.org/2000/svg">', "SVG"),
    (b'\xef\xbb\xbf \n<SVG viewBox="0 0 1 1">', "SVG"),
    (b'<?xml version="1.0"?><svg/>', "SVG (or other XML)"),
    (b"<!DOCTYPE html><html>404", "HTML"),
    (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
    (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "video"),
    (b"8BPS\0\1", "PSD"),
    (b"\0\0\1\0\1\0", "ICO"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II*\0\x10\0\0\0CR\2\0", "CR2"),
    (b"Pf\n2 2\n-1.0\n", "PFM"),
]


@pytest.mark.parametrize(("data", "name"), OTHER_FORMATS)
def test_other_formats_are_named_and_never_opened(data, name):
    assert name in (decoding.image_format(data[:32]) or "")
    message = refusal(data + b"\0" * 100)
    assert f"its format is {name}" in message or f"{name}, which is not" in message
    assert "which is not read; expected a whole image, one of PNG, JPEG" in message
    assert "Convert, replace or remove it." in message


@pytest.mark.parametrize("suffix", ["ico", "pcx", "tga", "jp2", "sgi", "dds"])
def test_what_pillow_could_open_is_not(suffix):
    data = encoded(Image.fromarray(COLOUR), Image.registered_extensions()[f".{suffix}"])
    Image.open(io.BytesIO(data)).load()
    assert "which is not read" in (message := refusal(data)) or "no known" in message


def test_text_and_nothing_are_no_images():
    assert decoding.image_format(b"hello") is None
    assert "it is in no known format of images" in refusal(b"hello")
    assert "it is empty" in refusal(b"")


def test_avif_by_its_compatible_brands():
    head = b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiaf"
    assert decoding.image_format(head) == "AVIF"


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 6
%%EndComments
showpage
%%EOF
"""


def test_no_other_program_is_started(tmp_path, monkeypatch):
    called = tmp_path / "called"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!{shutil.which('sh')}\necho gs >> {called}\n")
    ghostscript.chmod(ghostscript.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    (tmp_path / "x.png").write_bytes(EPS)
    # The control: Pillow by itself does start it.
    with pytest.raises(OSError), Image.open(tmp_path / "x.png") as image:
        image.load()
    assert called.exists()
    called.unlink()
    with pytest.raises(ValueError, match="its format is EPS, which is not read"):
        decode(Encoded("x.png", str(tmp_path / "x.png")), None)
    assert not called.exists()


def test_images_are_opened_in_one_place():
    package = Path(image_formats.__file__).parents[1]
    sources = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    assert len(sources) > 50
    assert [path for path, text in sources.items() if "Image.open(" in text] == []
    assert [path.name for path, text in sources.items() if "ImagePlugin" in text] == [
        "image_formats.py"
    ]


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    messages = []

    def read():
        try:
            decode(Encoded("x.png", str(tmp_path / "x.png")), None)
        except ValueError as error:
            messages.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert messages and "it is not a regular file" in messages[0]


GIF, BMP = encoded(GREY, "GIF"), encoded(COLOUR, "BMP")


@pytest.mark.parametrize(
    "data",
    [
        png([b"\0"], 90_000, 8, 0, height=1_000),
        b"P5 20000 20000 255\n",
        GIF[:6] + struct.pack("<HH", 65_535, 65_535) + GIF[10:],
        tiff(b"", 10_000, 10_000, 8),
        BMP[:18] + struct.pack("<ii", 9_500, 9_500) + BMP[26:],
    ],
    ids=["png", "pgm", "gif", "tiff", "bmp"],
)
def test_too_many_pixels_are_refused_without_a_warning(data):
    message = refusal(data)
    assert "more than 89,478,485 pixels, the most that are read" in message
    assert "scale it down" in message


@pytest.mark.parametrize(
    "file_format", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF"]
)
def test_a_file_cut_anywhere_is_refused_or_whole(file_format):
    data = encoded(COLOUR, file_format)
    whole = decoded(data)
    refused = 0
    for length in range(0, len(data), max(1, len(data) // 60)):
        try:
            np.testing.assert_array_equal(decoded(data[:length]), whole)
        except ValueError:
            refused += 1
    assert refused >= 45  # of 60; what comes after the pixels may be missing


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_several_frames_the_first_is_taken(file_format):
    first, second = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16))
    options = {"lossless": True} if file_format == "WEBP" else {}
    file = io.BytesIO()
    first.save(file, file_format, save_all=True, append_images=[second], **options)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        assert image.n_frames == 2
    np.testing.assert_allclose(
        decoded(file.getvalue()), [[[255, 0, 0]] * 16] * 16, 0, 4
    )


# The right way up.

TURNS = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: stored[::-1, ::-1],
    4: np.flipud,
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),  # "row 0 is the right side": clockwise
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
# Each quarter another colour, so that no turn looks like another.
QUARTERS = np.array([[[250, 20, 20], [20, 250, 20]], [[20, 20, 250], [240, 240, 20]]])
STORED = QUARTERS.repeat(16, axis=0).repeat(24, axis=1).astype(np.uint8)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 100, "subsampling": 0}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
    ],
    ids=["png", "jpeg", "webp", "tiff", "tiff_lzw", "avif"],
)
def test_photos_are_turned_as_their_exif_says(file_format, options, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    found = decoded(encoded(STORED, file_format, exif=exif, **options))
    upright = TURNS[orientation](STORED)
    assert found.shape == upright.shape
    np.testing.assert_allclose(found.astype(int), upright, atol=12)


def test_boxes_and_sizes_are_those_of_the_turned_image():
    exif = Image.Exif()
    exif[274] = 6
    sideways, seen = encoded(COLOUR, "PNG", exif=exif), []

    def box_of(width, height):
        seen.append((width, height))
        return 0.0, 0.0, float(width), float(height)

    found = decoded(sideways, 4, box_of=box_of)
    assert seen == [(6, 8)] and found.shape == (4, 4, 3)
    upright = encoded(np.rot90(COLOUR, -1), "PNG")
    images = decode_all(files([sideways, upright]), 2)
    np.testing.assert_array_equal(images[0], images[1])


def test_exif_that_cannot_be_read_says_nothing():
    data = encoded(COLOUR, "PNG", exif=b"Exif\0\0II*\0garbage")
    np.testing.assert_array_equal(decoded(data), COLOUR)
    exif = Image.Exif()
    exif[274] = 9  # no such orientation
    np.testing.assert_array_equal(decoded(encoded(COLOUR, "PNG", exif=exif)), COLOUR)


# More than 8 bits.

VALUES = np.array(
    [[0, 1, 255, 256], [257, 4095, 4096, 32_767], [32_768, 65_279, 65_280, 65_535]]
)
# By hand: how often 256 goes into each.
HIGH_BYTES = [[0, 0, 0, 1], [1, 15, 16, 127], [128, 254, 255, 255]]


def rows_of(values, dtype):
    return [row.astype(dtype).tobytes() for row in values]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(rows_of(VALUES, ">u2"), 4, 16, 0), HIGH_BYTES),
        (b"P5 4 3 65535\n" + VALUES.astype(">u2").tobytes(), HIGH_BYTES),
        (tiff(VALUES.astype("<u2").tobytes(), 4, 3, 16), HIGH_BYTES),
        (tiff(VALUES.astype(">u2").tobytes(), 4, 3, 16, ">"), HIGH_BYTES),
        (
            tiff(VALUES.astype("<u2").tobytes(), 4, 3, 16, t262=0),  # white is zero
            255 - np.array(HIGH_BYTES),
        ),
        # Two values of 12 bits in three bytes: 0x123, 0xabc and 0xfff, 0x00f.
        (tiff(b"\x12\x3a\xbc\xff\xf0\x0f", 2, 2, 12), [[0x12, 0xAB], [0xFF, 0x00]]),
        (b"P5 3 1 1023\n" + struct.pack(">3H", 0, 512, 1023), [[0, 128, 255]]),
        (b"P5 3 1 15\n\0\5\17", [[0, 85, 255]]),
    ],
    ids=["png", "pgm", "tiff", "tiff_big", "tiff_white", "tiff_12", "pgm_10", "pgm_4"],
)
def test_of_deep_greys_the_high_8_bits_are_kept(data, expected):
    found = decoded(data)
    assert found.shape[2] == 1
    np.testing.assert_array_equal(found[..., 0], expected)


@pytest.mark.parametrize("colour_type", [2, 4, 6], ids=["rgb", "grey_alpha", "rgba"])
def test_grey_and_colour_of_16_bits_agree(colour_type):
    samples = {2: [0, 1, 2], 4: [0, 1], 6: [0, 1, 2, 3]}[colour_type]
    pixels = np.random.default_rng(1).integers(0, 2**16, (5, 7, len(samples)))
    found = decoded(png(rows_of(pixels, ">u2"), 7, 16, colour_type))
    channels = 1 if colour_type == 4 else 3
    np.testing.assert_array_equal(found, pixels[..., :channels] // 256)


def test_deep_ppm_is_rounded_by_pillow():
    data = b"P6 4 1 65535\n" + VALUES.astype(">u2").tobytes()
    found = image_files.decode_image(Encoded("x", io.BytesIO(data)), None)
    np.testing.assert_array_equal(found.pixels, np.rint(VALUES / 257).reshape(1, 4, 3))
    assert found.deep and np.abs(found.pixels.ravel() - np.ravel(HIGH_BYTES)).max() <= 1
    eight = image_files.decode_image(
        Encoded("x", io.BytesIO(encoded(COLOUR, "PPM"))), 4
    )
    assert not eight.deep


def test_a_deep_set_is_said_to_lose_bits(caplog):
    caplog.set_level(logging.INFO, "mothernets_jax")
    full = png(rows_of(VALUES, ">u2"), 4, 16, 0)
    dark = png(rows_of(VALUES // 16, ">u2"), 4, 16, 0)  # 12 bits in 16
    eight = encoded(np.zeros((3, 4), np.uint8), "PNG")
    notes = image_files.decode_with_notes(files([full, dark, eight]), 3).notes
    assert notes == (
        "2 of 3 images have more than 8 bits a channel: the high 8 bits are kept",
    )
    (note,) = image_files.decode_with_notes(files([dark, eight]), 2).notes
    assert note.startswith("1 of 2 images have more than 8 bits a channel")
    assert "only 16 of 256 levels are used" in note  # 65,535 // 16 // 256 is 15
    lines = [record.getMessage() for record in caplog.records]
    assert [f"{line}." for line in (*notes, note)] == lines[1::2]  # after "Decoding"


REFUSED = [
    (encoded(Image.new("F", (4, 3)), "TIFF"), "floating-point numbers"),
    (encoded(Image.new("I", (4, 3)), "TIFF"), "whole numbers"),
    (tiff(b"\0" * 48, 4, 3, 32), "whole numbers"),
    (tiff(b"\0" * 24, 4, 3, 16, t339=2), "signed whole numbers"),
    (tiff(b"\0" * 12, 4, 3, 8, t339=2), "signed whole numbers"),
    (tiff(b"\0" * 12, 4, 3, 8, t254=1), "its first image is a thumbnail"),
    (encoded(Image.new("LAB", (4, 3)), "TIFF"), "its colours are CIELAB"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED)
def test_pixels_of_other_kinds_are_refused(data, reason):
    assert reason in refusal(data)


# Grey, palettes, inks.


def paletted(colours, alpha=None):
    """6x5 pixels of these colours, whose palette ends with 4 red ones."""
    indices = np.arange(30, dtype=np.uint8).reshape(6, 5) % len(colours)
    image = Image.fromarray(indices)
    image.putpalette(bytes(np.array([*colours, *[[255, 0, 0]] * 4], np.uint8).ravel()))
    options = {} if alpha is None else {"transparency": alpha}
    return image, np.array(colours)[indices], options


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("colour", [None, [90, 91, 90]])
def test_a_palette_is_grey_where_the_colours_in_use_are(file_format, colour):
    greys = [[level] * 3 for level in (7, 200, 90, 13)]
    image, expected, _ = paletted(greys + ([colour] if colour else []))
    found = decoded(encoded(image, file_format))
    expected = expected if colour else expected[..., :1]
    np.testing.assert_array_equal(found, expected)


def test_transparency_makes_no_colour():
    image, expected, options = paletted([[9] * 3, [99] * 3], alpha=bytes([0, 128]))
    np.testing.assert_array_equal(
        decoded(encoded(image, "PNG", **options)), expected[..., :1]
    )
    with_alpha = Image.merge("PA", [Image.fromarray(GREY), Image.fromarray(GREY)])
    with_alpha.putpalette(bytes(np.arange(256).repeat(3).astype(np.uint8)))
    np.testing.assert_array_equal(decoded(encoded(with_alpha, "TIFF"))[..., 0], GREY)


def test_a_grey_palette_set_has_one_channel_and_rgb_has_three():
    image, expected, _ = paletted([[7] * 3, [200] * 3])
    palette, rgb = encoded(image, "PNG"), encoded(expected.astype(np.uint8), "PNG")
    grey = encoded(expected[..., 0].astype(np.uint8), "PNG")
    assert decode_all(files([palette, grey]), 2).shape == (2, 6, 5, 1)
    assert decode_all(files([palette, rgb]), 2).shape == (2, 6, 5, 3)


def test_inks_become_colours():
    inks = np.random.default_rng(2).integers(0, 256, (6, 8, 4), np.uint8)
    data = encoded(Image.fromarray(inks, "CMYK"), "TIFF")
    paper = 255.0 - inks
    np.testing.assert_allclose(
        decoded(data), paper[..., :3] * paper[..., 3:] / 255, atol=1.01
    )
    # Photoshop's JPEGs hold the inverse: solid cyan, with a quarter of black.
    solid = Image.new("CMYK", (16, 16), (255, 0, 0, 64))
    found = decoded(encoded(solid, "JPEG", quality=100)).astype(int)
    np.testing.assert_allclose(found - [0, 191, 191], 0, atol=3)


# To squares.


def test_the_shorter_side_is_kept_or_the_longer_or_both():
    columns = np.arange(8, dtype=np.uint8) * 30 + 10  # 10, 40, ..., 220
    wide = encoded(np.tile(columns, (4, 1)), "PNG")
    ways = {
        way: decode_all(files([wide]), 1, image_size=4, resize=way)[0, ..., 0]
        for way in ("crop", "pad", "stretch")
    }
    np.testing.assert_array_equal(ways["crop"], [[70, 100, 130, 160]] * 4)
    # Half the width and height: two rows of black above and below two of the image.
    np.testing.assert_array_equal(ways["pad"][[0, 3]], 0)
    assert (ways["pad"][1:3] > 0).all()
    # Bilinear, twice as coarse: weights 1, 3, 3, 1 of four columns, by hand; at the
    # ends 3, 3, 1.
    means = [round((10 * 3 + 40 * 3 + 70) / 7), 85, 145]
    means.append(round((220 * 3 + 190 * 3 + 160) / 7))
    np.testing.assert_allclose(ways["pad"][1:3], [means] * 2, atol=1)
    np.testing.assert_allclose(ways["stretch"], [means] * 4, atol=1)


@pytest.mark.parametrize("shape", [(40, 60, 3), (90, 30, 3), (31, 52)])
def test_crops_and_paddings_are_those_of_imageops(shape):
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, shape, np.uint8))
    data, way = encoded(image, "PNG"), Image.Resampling.BILINEAR
    for resize, function in (("crop", ImageOps.fit), ("pad", ImageOps.pad)):
        found = decode_all(files([data]), 1, image_size=24, resize=resize)[0]
        expected = np.asarray(function(image, (24, 24), way))
        np.testing.assert_array_equal(found.squeeze(), expected)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_a_square_is_the_same_each_way_and_a_line_is_still_there(resize):
    square = encoded(COLOUR[:6, :6], "PNG")
    (found,) = decode_all(files([square]), 1, image_size=6, resize=resize)
    np.testing.assert_array_equal(found, COLOUR[:6, :6])
    line = encoded(np.full((1, 300), 200, np.uint8), "PNG")
    (found,) = decode_all(files([line]), 1, image_size=8, resize=resize)
    assert found.max() == 200
    assert (found == 200).all(axis=(1, 2)).sum() == (1 if resize == "pad" else 8)


@pytest.mark.parametrize(
    ("resize", "done"),
    [
        ("crop", "cropped to the middle"),
        ("pad", "padded with black"),
        ("stretch", "stretched to squares"),
    ],
)
def test_what_was_done_is_said_once(caplog, resize, done):
    caplog.set_level(logging.INFO, "mothernets_jax")
    images = [encoded(COLOUR, "PNG")] * 70 + [encoded(COLOUR[:6, :6], "PNG")] * 60
    how = {"image_size": 4, "resize": resize}
    found = image_files.decode_with_notes(files(images), len(images), **how)
    line = f"70 of 130 images are not square: {done} (resize={resize})"
    assert found.notes == (line,)
    lines = [record.getMessage() for record in caplog.records]
    assert lines.count(f"{line}.") == 1 and len(lines) == 2  # and that it decodes
    # Nothing was done: nothing is said.
    assert image_files.decode_with_notes(files(images[70:]), 9, **how).notes == ()
    assert image_files.decode_with_notes(files(images), 9).notes == ()
    own = {"image_size": 4, "box_of": centre_box}
    assert image_files.decode_with_notes(files(images), 9, **own).notes == ()


def write_set(root, count=4):
    """Random images of 12x8 pixels, width by height, of two classes."""
    rng = np.random.default_rng(4)
    for split in ("train", "test"):
        for name in ("ant", "bee"):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (8, 12, 3), np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return {"directory": str(root), "image_size": 4}


@pytest.mark.extras
@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_memory_and_stream_resize_alike(tmp_path, monkeypatch, resize):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    streaming = pytest.importorskip("mothernets_jax.data.streaming")
    options = write_set(tmp_path / "images") | {"validation_fraction": 0.0}
    memory = load("folder", **options, resize=resize)
    stream = load("folder", **options, resize=resize, memory_bytes=0)
    with Image.open(tmp_path / "images/test/ant/0.png") as image:
        squares = {
            "crop": ImageOps.fit(image, (4, 4), Image.Resampling.BILINEAR),
            "pad": ImageOps.pad(image, (4, 4), Image.Resampling.BILINEAR),
            "stretch": image.resize((4, 4), Image.Resampling.BILINEAR),
        }
    np.testing.assert_array_equal(memory.test_images[0], np.asarray(squares[resize]))
    np.testing.assert_array_equal(stream.test_images, memory.test_images)
    np.testing.assert_array_equal(stream.train_images[:], memory.train_images)
    reader = streaming.StepReader(stream.train_images, 8, 0, np.arange(8))
    batch = reader(0)
    np.testing.assert_array_equal(batch.images, memory.train_images[batch.examples])
    assert load("folder", **options).test_images.tobytes() == (
        load("folder", **options, resize="crop").test_images.tobytes()
    )


def test_resizing_that_cannot_be_is_refused(tmp_path):
    options = {"directory": str(tmp_path), "image_size": 4}
    for resize in ("pad", "stretch"):
        with pytest.raises(ValueError, match=f"resize='{resize}' .* crop='resized'"):
            load("folder", **options, crop="resized", resize=resize)
    with pytest.raises(ValueError, match="resize='pad' is given, but .*'digits'"):
        load("digits", resize="pad")
    with pytest.raises(ValueError, match="resize='fit', expected one of crop, pad"):
        decode_all(files([encoded(COLOUR, "PNG")]), 1, image_size=4, resize="fit")


# All that is wrong, at once.


def files(images):
    """What `decode_all` reads: these files' bytes, named by their numbers."""

    def read(numbers):
        return [Encoded(f"{i}.png", io.BytesIO(images[i])) for i in numbers]

    return read


def test_all_bad_files_are_listed():
    good = encoded(COLOUR, "PNG")
    images = [good, b"", *[b"no image"] * 23, EPS, *[good] * 100]
    with pytest.raises(ValueError) as caught:
        decode_all(files(images), len(images))
    message = str(caught.value)
    assert message.startswith(
        "cannot read 25 of 126 images: 1.png (it is empty), 2.png"
    )
    named = [i for i in range(126) if f" {i}.png (" in message]
    assert named == list(range(1, 21))
    assert "20.png (it is in no known format of images), and 5 more; exp" in message
    assert len(message.splitlines()) == 1
    with pytest.raises(ValueError, match=r"^cannot read the image 1\.png: it is empty"):
        decode_all(files(images[:2]), 2)
    with pytest.raises(ValueError, match=r"^cannot read 2 of 2 images: 0\.png .* 1\.p"):
        decode_all(files([b"", EPS]), 2)


def test_all_sizes_are_listed_beside_bad_files():
    images = [encoded(COLOUR[:4], "PNG")] * 2 + [encoded(COLOUR, "PNG")] * 5
    images += [encoded(COLOUR[:, :3], "PNG")] * 4
    with pytest.raises(ValueError) as caught:
        decode_all(files(images), len(images))
    assert (
        "the images have 3 sizes (height x width in pixels, then how many have it), "
        "expected one: 6x8 (5), 6x3 (4: 7.png, 8.png, 9.png, ...), 4x8 (2: 0.png, "
        "1.png). Give a size to resize them all to, e.g. image_size=32."
    ) == str(caught.value)
    with pytest.raises(
        ValueError, match=r"cannot .* 11\.png: .* Besides, the im.* 3 si"
    ):
        decode_all(files([*images, b""]), len(images) + 1)
    many = [encoded(COLOUR[:1].repeat(i, axis=0), "PNG") for i in range(1, 31)]
    with pytest.raises(
        ValueError, match=r"30 sizes .* 20x8 \(1: 19\.png\), and 10 more"
    ):
        decode_all(files(many), len(many))
    assert decode_all(files(images), len(images), image_size=4).shape == (11, 4, 4, 3)


def test_names_that_are_no_line_are_shown_as_one():
    with pytest.raises(ValueError) as caught:
        decode(Encoded("a\nb\udcff.png", io.BytesIO(b"")), None)
    assert "the image 'a\\nb\\udcff.png': it is empty" in str(caught.value)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, RuntimeError])
def test_what_is_no_fault_of_a_file_ends_at_once(monkeypatch, error):
    decoded = []

    def fail(encoded, *how):
        decoded.append(encoded.name)
        raise error

    monkeypatch.setattr(image_files, "decode_image", fail)
    images = [encoded(COLOUR, "PNG")] * 20_000
    with pytest.raises(error):
        decode_all(files(images), len(images), image_size=4)
    assert len(decoded) < 300  # of 20,000: one for each part that had begun
