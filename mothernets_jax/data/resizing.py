"""Resizing of images to squares of one size: cropped, padded or stretched.

Each way is a box, the part of an image that the square shows: (left, top, right,
bottom) in pixels of the image, not rounded. A part of the box that lies beyond the
image is black.

The default is "crop", which keeps the proportions and fills the square, as evaluation
on photographs does (the shorter side to the size, then the middle). "pad" keeps what
lies at the ends of long images, at the cost of black bars. "stretch" shows all without
bars, but things change their shape.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mothernets_jax.data.crops import Box
from mothernets_jax.utils.argument_errors import Argument, ArgumentError, Assignment

if TYPE_CHECKING:
    from PIL import Image

# From an image's width and height to the part of it that is taken.
BoxOf = Callable[[int, int], Box]


def middle_box(width: int, height: int) -> Box:
    """Box of the largest square in the middle of an image, from its size in pixels.

    >>> middle_box(60, 40)
    (10.0, 0.0, 50.0, 40.0)
    """
    return _centred_square(min(width, height), width, height)


def surrounding_box(width: int, height: int) -> Box:
    """Box of the smallest square around an image, from the image's size in pixels.

    >>> surrounding_box(60, 40)
    (0.0, -10.0, 60.0, 50.0)
    """
    return _centred_square(max(width, height), width, height)


def whole_box(width: int, height: int) -> Box:
    """Box of a whole image, from its size in pixels.

    >>> whole_box(60, 40)
    (0.0, 0.0, 60.0, 40.0)
    """
    return 0.0, 0.0, float(width), float(height)


_BOXES: dict[str, BoxOf] = {
    "crop": middle_box,
    "pad": surrounding_box,
    "stretch": whole_box,
}
_DONE = {
    "crop": "cropped to the middle",
    "pad": "padded with black",
    "stretch": "stretched to squares",
}
# What `data.resize` may be.
RESIZES = tuple(_BOXES)


def box_for(resize: str) -> BoxOf:
    """Function that gives the part of an image which a way of resizing shows.

    Args:
        resize: `crop`, `pad` or `stretch` (`RESIZES`).

    Raises:
        ValueError: `resize` is none of these.
    """
    if resize not in _BOXES:
        raise ValueError(
            f"resize={resize!r}, expected one of {', '.join(RESIZES)}: what is done "
            "with images that are not square"
        )
    return _BOXES[resize]


def resize_box(image: "Image.Image", size: int, box: Box) -> "Image.Image":
    """Resizes a part of an image to a square, bilinear and antialiased.

    Args:
        image: an image of mode L (grey) or RGB.
        size: height and width of the square, in pixels.
        box: (left, top, right, bottom) of the part, in pixels of the image; any of it
            beyond the image becomes black.
    """
    from PIL import Image

    left, top, right, bottom = box
    inside = (
        max(left, 0),
        max(top, 0),
        min(right, image.width),
        min(bottom, image.height),
    )
    if inside == box:
        return image.resize((size, size), Image.Resampling.BILINEAR, box)
    # At least a pixel, however long the image.
    width = max(1, round(size * (inside[2] - inside[0]) / (right - left)))
    height = max(1, round(size * (inside[3] - inside[1]) / (bottom - top)))
    square = Image.new(image.mode, (size, size))
    square.paste(
        image.resize((width, height), Image.Resampling.BILINEAR, inside),
        ((size - width) // 2, (size - height) // 2),
    )
    return square


def check_size(image_size: int | None) -> None:
    """Refuses a size below 1 with a ValueError, before anything is read."""
    if image_size is not None and image_size < 1:
        raise ArgumentError(
            Argument("image_size"),
            f"={image_size}, expected at least 1 pixel. Set e.g. ",
            Assignment("image_size"),
            "=32, or leave it out to keep the size.",
        )


def describe_resized(num_not_square: int, num_images: int, resize: str) -> str:
    """One line on how images that are not square became so; empty where all are.

    Args:
        num_not_square: number of images that are not square.
        num_images: number of all images.
        resize: `crop`, `pad` or `stretch` (`RESIZES`).

    >>> describe_resized(412, 1000, "crop")
    '412 of 1,000 images are not square: cropped to the middle (resize=crop)'
    """
    if not num_not_square:
        return ""
    return (
        f"{num_not_square:,} of {num_images:,} images are not square: {_DONE[resize]} "
        f"(resize={resize})"
    )


def _centred_square(side: int, width: int, height: int) -> Box:
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
