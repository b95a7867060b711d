"""A folder of images, `train/<class>/*` and `test/<class>/*`, as arrays in memory.

Decoding takes 10 to 20 seconds for 60,000 small images, so it is done once: the
arrays are kept in the user's cache folder until a file is added, removed or changed.
Where the training images are too many for memory they stay in their files.

Axes: examples, height, width, channels.
"""

import hashlib
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mothernets_jax.data import decoding, image_cache
from mothernets_jax.data.dataset import Arrays
from mothernets_jax.data.digests import Source, digest_of_files

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm")
_LAYOUT = "expected DIR/train/<class>/ and DIR/test/<class>/ with the images in them"
_HINT_DIRECTORY = "Set --config.data.dir=PATH."


class _File(NamedTuple):
    path: str
    size_bytes: int
    modified_ns: int


def load_image_folder(
    directory: str,
    *,
    image_size: int | None = None,
    crop: str = "shift",
    memory_bytes: int | None = None,
) -> Arrays:
    """Loads all images of a folder, decoding them on the first call only.

    Images directly in `train/<class>/` and `test/<class>/` are taken by their suffix;
    hidden and other files are skipped. Of an animation the first frame is taken;
    transparency is dropped. Where every image is grey there is one channel, else
    all become RGB.

    Args:
      directory: the folder that holds train/ and test/.
      image_size: height and width, in pixels, to resize to (bilinear, antialiased,
        not keeping the proportions); None where all have one size already.
      crop: one of `crops.CROPS`.
      memory_bytes: training images that would take more than this stay in their
        files, all with three channels, since no one has seen yet whether any has
        colours; None: they never do.

    Returns:
      train_images uint8 [examples, height, width, channels],
      train_labels int32 [examples], test_images, test_labels (likewise), class_names
      (the sorted names of the folders in train/).

    Raises:
      FileNotFoundError: no such folder, or no train/ or test/ in it.
      ValueError: an empty `directory`, an `image_size` below 1, no classes, other
        classes in test/ than in train/, a class without images, an image that cannot
        be read, or images of different sizes.
    """
    decoding.check_size(image_size)
    root = _find_folder(directory)
    train, test = _list_classes(root / "train"), _list_classes(root / "test")
    _check_classes(root, train, test)
    files = [file for split in (train, test) for of in split.values() for file in of]
    train_labels, test_labels = _labels(train), _labels(test)
    num_train = len(train_labels)
    if memory_bytes is not None:
        first = decoding.Encoded(files[0].path, files[0].path)
        height, width, _ = decoding.decode(first, image_size).shape
        if num_train * height * width * 3 > memory_bytes:
            images = decoding.EncodedImages(
                partial(_open, [file.path for file in files]),
                np.arange(len(files)),
                (height, width, 3),
                image_size,
                crop,
                source=_source(root, files[:num_train]),
            )
            numbers = np.split(images.numbers, [num_train])
            encoded = [images.take(split) for split in numbers]
            return encoded[0], train_labels, encoded[1], test_labels, tuple(train)

    cache_file = image_cache.path_for(root, image_size)
    fingerprint = _fingerprint(root, files)
    images = image_cache.read(cache_file, fingerprint)
    if images is None:
        images = decoding.decode_all(
            partial(_open, [file.path for file in files]),
            len(files),
            image_size=image_size,
            purpose=" (once; then they are cached)",
        )
        image_cache.write(cache_file, fingerprint, images)
    train_images, test_images = images[:num_train], images[num_train:]
    return train_images, train_labels, test_images, test_labels, tuple(train)


# Finding the files.


def _find_folder(directory: str) -> Path:
    if not directory:
        raise ValueError(f"no image folder is given; {_LAYOUT}. {_HINT_DIRECTORY}")
    root = Path(directory).expanduser().resolve()
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}; {_LAYOUT}. {_HINT_DIRECTORY}")
    for name in ("train", "test"):
        if not (root / name).is_dir():
            found = sorted(p.name for p in root.iterdir() if p.is_dir())
            raise FileNotFoundError(
                f"no folder {name}/ in {root} (found: {', '.join(found) or 'none'}); "
                f"{_LAYOUT}. {_HINT_DIRECTORY}"
            )
    return root


def _list_classes(split: Path) -> dict[str, list[_File]]:
    """The images of each class in `train/` or `test/`, both in sorted order."""
    with os.scandir(split) as entries:
        names = sorted(e.name for e in entries if e.is_dir() and e.name[0] != ".")
    return {name: _list_images(split / name) for name in names}


def _list_images(folder: Path) -> list[_File]:
    # os.scandir, as pathlib would take seconds for 60,000 files.
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            hidden = entry.name.startswith(".")
            if hidden or not entry.name.lower().endswith(_SUFFIXES) or entry.is_dir():
                continue
            # A broken link is listed too: skipped, it would shrink the data silently.
            status = entry.stat(follow_symlinks=entry.is_file())
            files.append(_File(entry.path, status.st_size, status.st_mtime_ns))
    return sorted(files)


def _check_classes(
    root: Path, train: dict[str, list[_File]], test: dict[str, list[_File]]
) -> None:
    if not train:
        raise ValueError(f"no class folders in {root / 'train'}; {_LAYOUT}.")
    for here, there, of_here, of_there in (
        ("train", "test", train, test),
        ("test", "train", test, train),
    ):
        missing = [name for name in of_here if name not in of_there]
        if missing:
            raise ValueError(
                f"class {', '.join(map(repr, missing))} is in {root / here} but not in "
                f"{root / there}; both need the same class folders. Add or remove it."
            )
        for name, files in of_here.items():
            if not files:
                raise ValueError(
                    f"no images in {root / here / name}; expected files directly in "
                    f"it that end in {' '.join(_SUFFIXES)}. Add some or remove the "
                    "class from both train/ and test/."
                )


def _open(paths: list[str], numbers: Iterable[int]) -> list[decoding.Encoded]:
    return [decoding.Encoded(paths[number], paths[number]) for number in numbers]


def _labels(classes: dict[str, list[_File]]) -> np.ndarray:
    counts = [len(files) for files in classes.values()]
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def _source(root: Path, files: list[_File]) -> Source:
    """Tells training images that stay in their files from others, wherever they are."""
    named = ((file.path.removeprefix(str(root)), file.size_bytes) for file in files)
    return Source(files=digest_of_files(named))


def _fingerprint(root: Path, files: list[_File]) -> str:
    """Changes when a file is added, removed, renamed or written."""
    digest = hashlib.sha256()
    for path, size_bytes, modified_ns in files:
        relative = path.removeprefix(str(root))
        digest.update(os.fsencode(f"{relative}\0{size_bytes}\0{modified_ns}\n"))
    return digest.hexdigest()
