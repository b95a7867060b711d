"""A folder of images, `train/<class>/*` and `test/<class>/*`, as arrays in memory.

Decoding takes 10 to 20 seconds for 60,000 small images, so it is done once: the
arrays are kept in the user's cache folder until a file is added, removed or changed.

Axes: examples, height, width, channels.
"""

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mothernets_jax.data import image_cache
from mothernets_jax.data.dataset import Arrays

_log = logging.getLogger(__name__)

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm")
_LAYOUT = "expected DIR/train/<class>/ and DIR/test/<class>/ with the images in them"
_HINT_DIRECTORY = "Set --config.data.dir=PATH."
_HINT_SIZE = "Give a size to resize them all to, e.g. --config.data.image_size=32."
# Images a thread decodes at a time: few enough for a smooth progress bar.
_CHUNK_IMAGES = 64


class _File(NamedTuple):
    path: str
    size_bytes: int
    modified_ns: int


def load_image_folder(directory: str, *, image_size: int | None = None) -> Arrays:
    """Loads all images of a folder, decoding them on the first call only.

    Images directly in `train/<class>/` and `test/<class>/` are taken by their suffix;
    hidden and other files are skipped. Of an animation the first frame is taken;
    transparency is dropped. Where every image is grey there is one channel, else
    all become RGB.

    Args:
      directory: the folder that holds train/ and test/.
      image_size: height and width, in pixels, to resize to (bilinear, antialiased,
        not keeping the proportions); None where all have one size already.

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
    if image_size is not None and image_size < 1:
        raise ValueError(
            f"image_size={image_size}, expected at least 1 pixel. "
            "Set e.g. --config.data.image_size=32, or leave it out to keep the size."
        )
    root = _find_folder(directory)
    train, test = _list_classes(root / "train"), _list_classes(root / "test")
    _check_classes(root, train, test)
    files = [file for split in (train, test) for of in split.values() for file in of]

    cache_file = image_cache.path_for(root, image_size)
    fingerprint = _fingerprint(root, files)
    images = image_cache.read(cache_file, fingerprint)
    if images is None:
        images = _decode_all(files, image_size)
        image_cache.write(cache_file, fingerprint, images)
    train_labels, test_labels = _labels(train), _labels(test)
    num_train = len(train_labels)
    # Copied: a view would keep the training images in memory, split or not.
    test_images = images[num_train:].copy()
    return images[:num_train], train_labels, test_images, test_labels, tuple(train)


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


def _labels(classes: dict[str, list[_File]]) -> np.ndarray:
    counts = [len(files) for files in classes.values()]
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def _fingerprint(root: Path, files: list[_File]) -> str:
    """Changes when a file is added, removed, renamed or written."""
    digest = hashlib.sha256()
    for path, size_bytes, modified_ns in files:
        relative = path.removeprefix(str(root))
        digest.update(os.fsencode(f"{relative}\0{size_bytes}\0{modified_ns}\n"))
    return digest.hexdigest()


# Decoding.


def _decode_all(files: list[_File], image_size: int | None) -> np.ndarray:
    """Decodes with a thread for each core: Pillow's decoders release the GIL.

    (Two threads decode photographs twice as fast as one; 32x32 images gain nothing.)

    Returns:
      uint8 [files, height, width, channels]; channels is 1 where all are grey, else 3.
    """
    height, width, _ = _decode(files[0].path, image_size).shape
    images = np.empty((len(files), height, width, 3), np.uint8)
    grey = np.empty(len(files), np.bool_)

    def decode_chunk(start: int) -> int:
        chunk = range(start, min(start + _CHUNK_IMAGES, len(files)))
        for i in chunk:
            image = _decode(files[i].path, image_size)
            if image.shape[:2] != (height, width):
                raise ValueError(
                    f"{files[i].path} is {image.shape[0]}x{image.shape[1]} pixels "
                    f"(height x width), but {files[0].path} is {height}x{width}; "
                    f"expected one size. {_HINT_SIZE}"
                )
            images[i] = image  # A grey image fills all three channels.
            grey[i] = image.shape[2] == 1
        return len(chunk)

    starts = range(0, len(files), _CHUNK_IMAGES)
    with _progress(len(files)) as advance, ThreadPoolExecutor(os.cpu_count()) as pool:
        for num_decoded in pool.map(decode_chunk, starts):
            advance(num_decoded)
    return np.ascontiguousarray(images[..., :1]) if grey.all() else images


def _decode(path: str, image_size: int | None) -> np.ndarray:
    """One image as uint8 [height, width, channels], with 1 channel if it is grey."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"it has more than 8 bits a pixel ({image.mode})")
            mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
            if image.mode == "P":
                # Straight to RGB, Pillow warns where colours are part transparent.
                image = image.convert("RGBA")
            image = image.convert(mode)
            if image_size is not None:
                size = (image_size, image_size)
                image = image.resize(size, Image.Resampling.BILINEAR)
            pixels = np.asarray(image)
    except Exception as error:  # By format: OSError, SyntaxError, struct.error, ...
        raise ValueError(
            f"cannot read the image {path}: {error}; expected a whole 8-bit image. "
            "Replace or remove the file."
        ) from error
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


@contextlib.contextmanager
def _progress(num_images: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, else one line in the log."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        _log.info("Decoding %d images (once; then they are cached).", num_images)
        yield lambda num_decoded: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("Decoding images (once)", total=num_images)
        yield lambda num_decoded: bar.advance(task, num_decoded)
