"""Conversion of an opened image file to 8 bits a channel, the right way up.

| in the file | becomes |
|---|---|
| black and white, grey, grey with alpha | grey |
| a palette | grey where all colours that are used are grey, else RGB |
| RGB, RGBA, CMYK, YCbCr | RGB |
| 12 or 16 bits of grey or colour | the high 8 bits of each value (*) |
| 32-bit or signed whole numbers, floating-point numbers, CIELAB | refused |

(*) Except for the colours of a PPM, which Pillow rounds: at most one level apart.

Transparency is dropped; of several images or frames in a file the first is taken.

References: Exif 2.32, tag 274 (Orientation); TIFF 6.0, sections 4 and 8.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

# Tags of TIFF and Exif.
_SUBFILE_TYPE, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 254, 258, 262, 339
_ORIENTATION = 274

_GREYS = ("1", "LA")
_SAVE_ANEW = "save it with 8 or 16 bits, scaled to their range"


class Upright(NamedTuple):
    """An image in 8 bits a channel, the right way up.

    Attributes:
        image: Pillow's image, of mode L (grey) or RGB.
        deep: whether the file has more than 8 bits a channel.
    """

    image: "Image.Image"
    deep: bool


def to_8_bits(image: "ImageFile") -> Upright:
    """Decodes an opened file, and turns it as its Exif orientation says.

    Args:
        image: Pillow's image, opened but not decoded.

    Raises:
        ValueError: its pixels are of a kind that is refused, such as floating-point
            numbers.
        Exception: whatever Pillow raises for a damaged file.
    """
    tags = getattr(image, "tag_v2", {})  # of TIFF
    _check_tags(tags)
    raw, largest = _storage(image)
    deep = image.mode.startswith("I") or ";16" in raw or largest > 255
    image.load()
    if image.mode in ("P", "PA"):
        converted = _from_palette(image)
    elif image.mode.startswith("I"):
        converted = _from_deep_grey(image, tags)
    elif image.mode in ("L", "RGB"):
        converted = image
    elif image.mode in _GREYS:
        converted = image.convert("L")
    elif raw.startswith("LA;"):  # 16-bit grey with alpha: Pillow makes it RGBA
        converted = image.getchannel(0)
    elif image.mode == "F":
        raise ValueError(f"its pixels are floating-point numbers: {_SAVE_ANEW}")
    elif image.mode == "LAB":
        raise ValueError("its colours are CIELAB: save it in RGB")
    else:
        converted = image.convert("RGB")
    return Upright(_turn(converted, _orientation(image)), deep)


def _check_tags(tags: Any) -> None:
    """Refuses TIFF files whose pixels Pillow would take for something else."""
    if 2 in _all_of(tags, _SAMPLE_FORMAT):
        raise ValueError(f"its pixels are signed whole numbers: {_SAVE_ANEW}")
    if _all_of(tags, _SUBFILE_TYPE)[:1] == (1,):  # camera's raw files: DNG, NEF, ARW
        raise ValueError(
            "its first image is a thumbnail, as in a camera's raw file: convert it"
        )


def _all_of(tags: Any, tag: int) -> tuple:
    value = tags.get(tag, ())
    return value if isinstance(value, tuple) else (value,)


def _storage(image: "ImageFile") -> tuple[str, int]:
    """Layout of the pixels in a file that is open but not decoded.

    Returns:
        Pillow's name for the layout, for PNG and TIFF, else empty; the largest value of
        a PPM's channels, else 0.
    """
    args = image.tile[0].args if image.tile else ()
    args = args if isinstance(args, tuple) else (args,)
    if image.format == "PPM":
        return "", int(args[1]) if len(args) > 1 else 0
    return str(args[0]) if args and image.format in ("PNG", "TIFF") else "", 0


def _from_palette(image: "ImageFile") -> "Image.Image":
    from PIL import Image

    # Straight to RGB, Pillow warns where colours are part transparent.
    pixels = np.asarray(image.convert("RGBA"))[..., :3]
    is_grey = (pixels == pixels[..., :1]).all()
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if is_grey else pixels))


def _from_deep_grey(image: "ImageFile", tags: Any) -> "Image.Image":
    from PIL import Image

    if image.mode == "I" and image.format != "PPM":  # whose values Pillow scales
        raise ValueError(f"its pixels are 32-bit whole numbers: {_SAVE_ANEW}")
    bits = 12 if _all_of(tags, _BITS) == (12,) else 16
    values = np.asarray(image).astype(np.int32)
    if _all_of(tags, _PHOTOMETRIC) == (0,):  # white is zero
        values = 2**bits - 1 - values
    # As Pillow does for 16-bit colours, so that grey and colour images agree.
    return Image.fromarray((values >> (bits - 8)).astype(np.uint8))


def _orientation(image: "ImageFile") -> int:
    """Exif orientation of a decoded image, 1 to 8; 1 where it cannot be read."""
    try:
        # What Pillow has turned itself, it says no longer (TIFF).
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 (by what is damaged; the pixels may be whole)
        return 1


def _turn(image: "Image.Image", orientation: int) -> "Image.Image":
    """Turns an image of this Exif orientation the right way up."""
    if orientation == 1:
        return image
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image
