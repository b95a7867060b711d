"""SHA-256 of arrays, and what is known of images that stay in their files."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

# What a thread hashes at a time; hashlib lets other threads run meanwhile.
_CHUNK_BYTES = 2**24


class Source(NamedTuple):
    """The origin of images, beyond those of their pixels that are in memory.

    Attributes:
        version: name and version of a published data set; empty where it has none.
        files: a digest or description of the files that are read again for every epoch,
            wherever they are; empty where none are.
        decoded: SHA-256 of the pixels of those of them that gave mean and deviation.
    """

    version: str = ""
    files: str = ""
    decoded: str = ""


def digest_of(array: np.ndarray) -> str:
    """SHA-256, in hexadecimal, of the SHA-256 of every 16 MiB of an array's bytes.

    Two levels, so that all cores hash one array together.

    Args:
        array: of any shape; neither it nor its dtype is part of the digest.
    """
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    starts = range(0, len(content), _CHUNK_BYTES)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        chunks = (content[start : start + _CHUNK_BYTES] for start in starts)
        digests = pool.map(lambda chunk: hashlib.sha256(chunk).digest(), chunks)
        return hashlib.sha256(b"".join(digests)).hexdigest()


def digest_of_files(names_and_sizes: Iterable[tuple[str, int]]) -> str:
    """SHA-256, in hexadecimal, of the names and sizes of files, in their order.

    Args:
        names_and_sizes: paths from the data set's own folder, and bytes.
    """
    digest = hashlib.sha256()
    for name, size in names_and_sizes:
        digest.update(os.fsencode(f"{name}\0{size}\n"))
    return digest.hexdigest()
