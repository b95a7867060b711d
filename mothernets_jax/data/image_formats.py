"""Formats of image files: told by their first bytes, and opened by a named list only.

Pillow knows some forty formats, and starts other programs for a few of them
(Ghostscript for EPS). Here a file's content decides which one of the decoders in
`FORMATS` reads it; a file of any other kind reaches none. Names of files say nothing.
"""

import contextlib
import importlib
import importlib.util
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

# Pillow's class that decodes each format.
_DECODERS = {
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),  # of MPO, as phones write, the first
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "PPM": ("PpmImagePlugin", "PpmImageFile"),  # PGM and PBM, too
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
}
# The libraries that not every build of Pillow has.
_LIBRARIES = {"WEBP": "PIL._webp", "AVIF": "PIL._avif"}

# The formats that are read.
FORMATS = tuple(
    name
    for name in _DECODERS
    if name not in _LIBRARIES or importlib.util.find_spec(_LIBRARIES[name])
)
# Pixels of the largest image that is read, a quarter of a GiB in colour: where Pillow
# begins to warn of files that are small and decode to more than the memory.
MOST_PIXELS = 89_478_485

TOO_MANY_PIXELS = (
    f"it has more than {MOST_PIXELS:,} pixels, the most that are read: scale it down"
)

# How much of a file `image_format` looks at.
HEAD_BYTES = 32

# Format, and the bytes at the beginning of its files.
_SIGNATURES = (
    ("PNG", b"\x89PNG\r\n\x1a\n"),
    ("JPEG", b"\xff\xd8\xff"),
    ("GIF", b"GIF87a"),
    ("GIF", b"GIF89a"),
    ("BMP", b"BM"),
    ("TIFF", b"II*\0"),
    ("TIFF", b"MM\0*"),
    ("TIFF", b"II+\0"),  # BigTIFF
    ("TIFF", b"MM\0+"),
    ("EPS", b"%!PS"),
    ("EPS", b"\xc5\xd0\xd3\xc6"),
    ("PDF", b"%PDF"),
    ("PSD", b"8BPS"),
    ("ICO", b"\0\0\1\0"),
    ("CUR", b"\0\0\2\0"),
    ("ICNS", b"icns"),
    ("JPEG 2000", b"\0\0\0\x0cjP  "),
    ("JPEG 2000", b"\xff\x4f\xff\x51"),
    ("JPEG XL", b"\xff\x0a"),
    ("JPEG XL", b"\0\0\0\x0cJXL "),
    ("JPEG XR", b"II\xbc\x01"),
    ("OpenEXR", b"\x76\x2f\x31\x01"),
    ("Radiance HDR", b"#?RADIANCE"),
    ("PFM", b"Pf"),
    ("PFM", b"PF"),
    ("PAM", b"P7"),
    ("QOI", b"qoif"),
    ("DDS", b"DDS "),
    ("DjVu", b"AT&TFORM"),
    ("XCF (GIMP)", b"gimp xcf"),
    ("WMF", b"\xd7\xcd\xc6\x9a"),
    ("FITS", b"SIMPLE  ="),
    ("HDF5", b"\x89HDF\r\n\x1a\n"),
    ("NumPy", b"\x93NUMPY"),
    ("ZIP", b"PK\3\4"),
    ("gzip", b"\x1f\x8b"),
    ("WebM or Matroska video", b"\x1a\x45\xdf\xa3"),
)
# The same for text, after white space and whether its letters are large or small.
_TEXTS = (
    ("SVG", b"<svg"),
    ("SVG (or other XML)", b"<?xml"),
    ("HTML", b"<!doctype html"),
    ("HTML", b"<html"),
    ("Git LFS pointer, whose file was not fetched", b"version https://git-lfs"),
)
# Brands of the ISO media files, which "ftyp" begins.
_AVIF = (b"avif", b"avis")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def image_format(head: bytes) -> str | None:
    """Name of the format of an image file, told by its content.

    Args:
        head: the file's first `HEAD_BYTES` bytes, or all of them where it is shorter.

    Returns:
        One of `FORMATS`; the name of another format, which is not read; None for what
        is no known kind of image.

    >>> image_format(b"%!PS-Adobe-3.0 EPSF-3.0")
    'EPS'
    """
    for name, signature in _SIGNATURES:
        if head.startswith(signature):
            # A raw file of Canon's, which begins as a TIFF does.
            return "CR2" if name == "TIFF" and head[8:10] == b"CR" else name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _media_format(head)
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PPM"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for name, signature in _TEXTS:
        if text.startswith(signature):
            return name
    return None


def _media_format(head: bytes) -> str:
    brand, others = head[8:12], head[16:]
    if brand in _AVIF or (brand in _HEIC and b"avif" in others):
        return "AVIF"
    if brand in _HEIC:
        return "HEIC"
    return "CR3" if brand == b"crx " else "MP4 or other video"


@contextlib.contextmanager
def open_image(file: str | BinaryIO) -> Iterator["ImageFile"]:
    """Opens an image file in one of `FORMATS`, not decoded yet.

    Args:
        file: the image's path, or a stream of its bytes.

    Yields:
        Pillow's image, not decoded yet.

    Raises:
        ValueError: the file is not a regular one, is empty or of another format, or the
            image has more than `MOST_PIXELS` pixels.
        Exception: whatever else Pillow raises for a damaged file.
    """
    if isinstance(file, str) and not stat.S_ISREG(os.stat(file).st_mode):
        raise ValueError("it is not a regular file")  # a pipe would wait for ever
    with contextlib.ExitStack() as stack:
        stream = (
            stack.enter_context(open(file, "rb")) if isinstance(file, str) else file
        )
        stream.seek(0)  # as Pillow does, wherever the stream was left
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        image = _decoder(head)(stream)
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"{TOO_MANY_PIXELS} ({width}x{height}, width x height)")
        yield image


def _decoder(head: bytes) -> type["ImageFile"]:
    """Pillow's class for a file's first bytes."""
    if not head:
        raise ValueError("it is empty")
    name = image_format(head)
    if name is None:
        raise ValueError("it is in no known format of images")
    if name not in FORMATS:
        raise ValueError(f"its format is {name}, which is not read")
    module, decoder = _DECODERS[name]
    return getattr(importlib.import_module(f"PIL.{module}"), decoder)
