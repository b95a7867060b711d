"""Messages on images that cannot be used, naming all of them at once, not one a run."""

from collections.abc import Callable, Sequence

import numpy as np

from mothernets_jax.data.image_formats import FORMATS
from mothernets_jax.utils.argument_errors import Assignment
from mothernets_jax.utils.messages import short_repr

# Of the images or sizes that a message lists, and of the images of one size.
_MOST_LISTED, _MOST_OF_A_SIZE = 20, 3
_LONGEST_REASON = 200  # characters

# Follows a message on sizes, as parts of an `ArgumentError`.
HINT_SIZE = (
    " Give a size to resize them all to, e.g. ",
    Assignment("image_size"),
    "=32.",
)


def reason_of(error: BaseException) -> str:
    """Reason why an image cannot be read, on one line, from an error of any decoder."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:_LONGEST_REASON].rstrip(".")


def unreadable(images: Sequence[tuple[str, str]], num_images: int = 1) -> str:
    """Message on images that cannot be read.

    Args:
        images: (name, reason) of each image that cannot be read.
        num_images: number of images that were to be read.
    """
    formats = ", ".join(FORMATS).replace("PPM", "PPM (PGM, PBM)")
    if len(images) == 1:
        ((name, reason),) = images
        return (
            f"cannot read the image {_on_one_line(name)}: {reason}; expected a whole "
            f"image, one of {formats}. Convert, replace or remove it."
        )
    listed = [f"{_on_one_line(name)} ({reason})" for name, reason in images]
    return (
        f"cannot read {len(images):,} of {num_images:,} images: {_beginning(listed)}; "
        f"expected whole images, each one of {formats}. Convert, replace or remove "
        "them."
    )


def different_sizes(sizes: np.ndarray, name_of: Callable[[int], str]) -> str:
    """Message on images that are not of one size; empty where they are.

    `HINT_SIZE` is to follow it.

    Args:
        sizes: int [images, 2], (height, width) of each image in pixels; zeros for those
            that do not count.
        name_of: function from the number of an image to its name.
    """
    counted = sizes[sizes.any(axis=1)]
    found, counts = np.unique(counted, axis=0, return_counts=True)
    if len(found) < 2:
        return ""
    listed = []
    for i in np.argsort(-counts, kind="stable")[: _MOST_LISTED + 1].tolist():
        (height, width), count = found[i].tolist(), int(counts[i])
        about = f"{count:,}"
        # The usual size is no news; where all are rare, none is usual.
        if count < counts.max() or count <= _MOST_OF_A_SIZE:
            where = np.flatnonzero((sizes == found[i]).all(axis=1))[:_MOST_OF_A_SIZE]
            named = [_on_one_line(name_of(number)) for number in where.tolist()]
            named += ["..."] if count > len(named) else []
            about += f": {', '.join(named)}"
        listed.append(f"{height}x{width} ({about})")
    return (
        f"the images have {len(found):,} sizes (height x width in pixels, then how "
        f"many have it), expected one: {_beginning(listed, len(found))}."
    )


def _beginning(listed: list[str], count: int | None = None) -> str:
    """The first entries of a list, and the number of the others, of `count` in all."""
    rest = (count or len(listed)) - _MOST_LISTED
    ending = f", and {rest:,} more" if rest > 0 else ""
    return ", ".join(listed[:_MOST_LISTED]) + ending


def _on_one_line(name: str) -> str:
    """A file's name, whole, since it is to be found."""
    return name if name.isprintable() else short_repr(name)
