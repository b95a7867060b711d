"""A folder of images, such as `train/<class>/*` and `test/<class>/*`, as arrays.

Decoding takes 10 to 20 seconds for 60,000 small images, so it is done once: the
arrays are kept in the user's cache folder until a file is added, removed or changed.
Where the training images are too many for memory they stay in their files.

The module `folder_splits` tells which folder is which split, and `folder_listing` which
files are images.

Axes: examples, height, width, channels.
"""

import logging

import numpy as np

from mothernets_jax.data import checks, decoding
from mothernets_jax.data.dataset import Arrays, Images
from mothernets_jax.data.digests import Source, digest_of_files
from mothernets_jax.data.drawn_test import TEST_FRACTION
from mothernets_jax.data.folder_classes import FoundImages, find_images
from mothernets_jax.data.folder_listing import describe_skipped, list_images
from mothernets_jax.data.folder_splits import find_folder, split_folders
from mothernets_jax.data.image_paths import (
    decode_paths,
    files_at,
    refuse_bad,
    sizes_of,
)
from mothernets_jax.data.load_files import in_files, load_files
from mothernets_jax.data.preparation import Preparation

_log = logging.getLogger(__name__)


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
    preparation = Preparation(image_size, crop, resize)
    images, notes = load_files(
        files_at(found.paths),
        {
            "training": len(found.train),
            "validation": 0 if found.validation is None else len(found.validation),
            "test": len(found.test),
        },
        preparation,
        memory_bytes=memory_bytes,
        decode=lambda: decode_paths(
            found.paths, preparation, root=found.root, listed_in=found.root
        ),
        source=lambda: _source(found),
    )

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
    preparation = Preparation(image_size, crop, resize)
    files = files_at(listing.images)
    images = in_files(files, len(listing.images), preparation)
    checks.check_memory({"test": len(listing.images)}, images.image_shape)
    return images.read()


def _take(images: Images, places: np.ndarray) -> Images:
    """The images at these places; a view of them where they are next to each other."""
    if isinstance(images, decoding.EncodedImages):
        return images.take(places)
    first, last = places[0], places[-1]
    if last - first + 1 == len(places):
        return images[first : last + 1]
    return images[places]


def _source(found: FoundImages) -> Source:
    """Tells training images that stay in their files from others, wherever they are.

    Raises:
        ValueError: images that could not be read.
    """
    refuse_bad(found.bad)
    paths = [found.paths[number] for number in found.train.tolist()]
    names = [path.removeprefix(str(found.root)) for path in paths]
    return Source(files=digest_of_files(zip(names, sizes_of(paths), strict=True)))
