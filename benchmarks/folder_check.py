"""What it costs to find a folder's images and to see that none has changed.

    python -m benchmarks.folder_check [--dir=IMAGES] [--images=60000] [--repeats=3]

Without a folder, one of so many 32x32 photographs' size is made: random pixels, half of
them PNGs, half JPEGs. Files are in the machine's memory after the first repeat. Printed
are seconds, and those of the processor, which other work on the machine disturbs less.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from PIL import Image

from mothernets_jax.data import decoding, image_cache
from mothernets_jax.data.folder_classes import find_images

_DIR = flags.DEFINE_string("dir", "", "A folder of images; empty to make one.")
_IMAGES = flags.DEFINE_integer("images", 60_000, "How many to make.", lower_bound=60)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Times each is done.", lower_bound=1)

_CLASSES = 10


def make_images(root: Path, count: int) -> None:
    """Five sixths of the images in train/, the others in test/, in ten classes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        split = "test" if number % 6 == 0 else "train"
        folder = root / split / f"class{number // 6 % _CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
        suffix = ".png" if number % 2 else ".jpg"
        Image.fromarray(pixels).save(folder / f"{number:06}{suffix}")


def timed(what: str, function: Callable[[], Any]) -> Any:
    """Prints what a call took."""
    started, worked = time.perf_counter(), time.process_time()
    result = function()
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    print(f"{what}: {seconds:.2f} s, of the processor {processor:.2f} s")
    return result


def main(argv: list[str]) -> None:
    """Times each part in turn."""
    del argv
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(_DIR.value or temporary)
        if not _DIR.value:
            make_images(root, _IMAGES.value)
        for _ in range(_REPEATS.value):
            found = timed("list, tell by content", lambda: find_images(str(root)))
            files = found.root, found.paths
            timed("hash", lambda files=files: image_cache.fingerprint(*files))
        print(f"{len(found.paths):,} images")

        def read(chunk: range) -> list[decoding.Encoded]:
            paths = [found.paths[number] for number in chunk]
            return [decoding.Encoded(path, path) for path in paths]

        timed("decode", lambda: decoding.decode_all(read, len(found.paths)))


if __name__ == "__main__":
    app.run(main)
