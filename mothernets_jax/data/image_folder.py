"""A folder of images, such as `train/<class>/*` and `test/<class>/*`, as arrays.

Decoding takes 10 to 20 seconds for 60,000 small images, so it is done once: the
arrays are kept in the user's cache folder until a file is added, removed or changed.
Where the training images are too many for memory they stay in their files.

The module `folder_splits` tells which folder is which split, and `folder_listing` which
files are images.

Axes: examples, height, width, channels.
"""

import contextlib
import dataclasses
import logging
import math
import os
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from mothernets_jax.data import checks, decoding, image_cache
from mothernets_jax.data.dataset import Arrays, Images
from mothernets_jax.data.digests import Source, digest_of_files
from mothernets_jax.data.folder_classes import (
    TEST_FRACTION,
    FoundImages,
    find_images,
)
from mothernets_jax.data.folder_listing import describe_skipped, list_images
from mothernets_jax.data.folder_splits import find_folder, split_folders
from mothernets_jax.data.image_files import Decoded

_log = logging.getLogger(__name__)

_MOST_NAMED = 20  # of files that are refused


def load_image_folder(
    directory: str,
    *,
    image_size: int | None = None,
    crop: str = "shift",
    resize: str = "crop",
    memory_bytes: int | None = None,
    test_fraction: float = TEST_FRACTION,
) -> Arrays:
    """Loads all images of a folder, decoding them on the first call only.

    Images at any depth below a class's folder are taken, by their content and whatever
    their names; what is skipped is said in a note. Of an animation the first frame is
    taken; transparency is dropped. Where every image is grey there is one channel,
    else all become RGB.

    Args:
        directory: the folder that holds train/ and test/, and may hold val/. Without
            test/, the test set is val/, or else drawn from train/. The class folders
            may also lie directly in `directory`.
        image_size: height and width, in pixels, to resize to (bilinear, antialiased);
            None where all have one size already.
        crop: `shift`, or `resized` for random parts in training and the middles
            elsewhere; for images that stay in their files.
        resize: `crop`, `pad` or `stretch` (`resizing.RESIZES`), for images that are not
            square.
        memory_bytes: number of bytes; images stay in their files where those that train
            would take more when decoded, all with three channels, since no one has seen
            yet whether any has colours. None to decode all images.
        test_fraction: share of each class, in (0, 1), that becomes the test set where
            the folder has none.

    Returns:
        Images uint8 [examples, height, width, channels] and labels int32 [examples];
        class_names are the sorted names of the class folders.

    Raises:
        ValueError: an empty `directory`, an `image_size` below 1, splits or classes
            that do not fit together, an image that cannot be read, or images of
            different sizes.
        FileNotFoundError: there is no such folder, or no train/ in it.
    """
    decoding.check_size(image_size)
    found = find_images(directory, test_fraction)
    for note in found.notes:
        _log.info("%s", note)
    images, notes = None, ()
    if memory_bytes is not None:
        in_files = _in_files(found.paths, image_size, crop, resize)
        if len(found.train) * math.prod(in_files.image_shape) > memory_bytes:
            _refuse_bad(found.bad)
            images = dataclasses.replace(in_files, source=_source(found))
        else:
            in_memory = {
                "training": len(found.train),
                "validation": 0 if found.validation is None else len(found.validation),
                "test": len(found.test),
            }
            checks.check_memory(in_memory, in_files.image_shape)
    if images is None:
        images, notes = _decode(found, image_size, resize)

    validation = found.validation
    return Arrays(
        _take(images, found.train),
        found.labels[found.train],
        _take(images, found.test),
        found.labels[found.test],
        found.class_names,
        None if validation is None else _take(images, validation),
        None if validation is None else found.labels[validation],
        (*found.notes, *notes),
    )


def load_test_images(
    directory: str,
    *,
    image_size: int | None = None,
    crop: str = "shift",
    resize: str = "crop",
) -> np.ndarray:
    """Loads the test images of a folder, or all images of one that has no splits.

    Args:
        directory: a folder with a test/, else a val/; or one with images at any depth.
        image_size: height and width, in pixels, to resize to; None where all have one
            size already.
        crop: `shift`, or `resized` for the middles of images that are read here.
        resize: `crop`, `pad` or `stretch` (`resizing.RESIZES`), for images that are not
            square.

    Returns:
        uint8 [images, height, width, 3].

    Raises:
        ValueError: an empty `directory`, no images, an image that cannot be read, or
            images of different sizes.
        FileNotFoundError: there is no such folder.
    """
    root = find_folder(directory)
    splits = split_folders(root)
    folder = splits.get("test", splits.get("validation", root))
    listing = list_images(folder)
    note = describe_skipped(root, listing.skipped)
    if not listing.images:
        raise ValueError(f"no images in {folder}. {note}".rstrip())
    if note:
        _log.info("%s", note)
    images = _in_files(listing.images, image_size, crop, resize)
    checks.check_memory({"test": len(listing.images)}, images.image_shape)
    return images.read()


def _in_files(
    paths: Sequence[str], image_size: int | None, crop: str, resize: str
) -> decoding.EncodedImages:
    """Images that stay in their files, all of one form.

    Raises:
        ValueError: none of the first images can be read.
    """
    height, width = _size(paths, image_size)
    return decoding.EncodedImages(
        partial(_open, list(paths)),
        np.arange(len(paths)),
        (height, width, 3),
        image_size,
        crop,
        resize=resize,
    )


def _size(paths: Sequence[str], image_size: int | None) -> tuple[int, int]:
    """(height, width) of the images: of the first that can be read."""
    if image_size is not None:
        return image_size, image_size
    *others, last = paths[:_MOST_NAMED]
    for path in others:
        with contextlib.suppress(ValueError):  # It is named with all that are bad.
            height, width, _ = decoding.decode(decoding.Encoded(path, path), None).shape
            return height, width
    height, width, _ = decoding.decode(decoding.Encoded(last, last), None).shape
    return height, width


def _decode(found: FoundImages, image_size: int | None, resize: str) -> Decoded:
    """All images, from the cache where they are in it."""
    cache_file = image_cache.path_for(found.root, image_size, resize)
    files = found.root, found.paths
    fingerprint = image_cache.fingerprint(*files)
    if fingerprint is not None:
        cached = image_cache.read(cache_file, fingerprint, len(found.paths), image_size)
        if cached is not None:
            for note in cached.notes:
                _log.info("%s.", note)
            return cached
    decoded = decoding.decode_with_notes(
        partial(_open, found.paths),
        len(found.paths),
        image_size=image_size,
        resize=resize,
        purpose=" (once; then they are cached)",
    )
    if fingerprint is None or fingerprint != image_cache.fingerprint(*files):
        _log.warning("Images changed while they were read: they are not cached.")
    else:
        image_cache.write(cache_file, fingerprint, decoded)
    return decoded


def _take(images: Images, places: np.ndarray) -> Images:
    """The images at these places; a view of them where they are next to each other."""
    if isinstance(images, decoding.EncodedImages):
        return images.take(places)
    first, last = places[0], places[-1]
    if last - first + 1 == len(places):
        return images[first : last + 1]
    return images[places]


def _open(paths: Sequence[str], numbers: Iterable[int]) -> list[decoding.Encoded]:
    return [decoding.Encoded(paths[number], paths[number]) for number in numbers]


def _source(found: FoundImages) -> Source:
    """Tells training images that stay in their files from others, wherever they are."""
    paths = [found.paths[number] for number in found.train.tolist()]
    root = str(found.root)
    named = ((path.removeprefix(root), os.stat(path).st_size) for path in paths)
    return Source(files=digest_of_files(named))


def _refuse_bad(paths: Sequence[str]) -> None:
    """Refuses images that could not be read, before a stream comes upon them."""
    if paths:
        more = len(paths) - _MOST_NAMED
        named = ", ".join(paths[:_MOST_NAMED]) + (f" and {more:,} more" * (more > 0))
        raise ValueError(
            f"cannot read {len(paths):,} image{'s' if len(paths) > 1 else ''}: "
            f"{named}. They are empty, of no format that is read, or links that lead "
            f"nowhere; expected {', '.join(decoding.FORMATS)}. Replace or remove them."
        )
