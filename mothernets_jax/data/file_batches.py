"""Many image files read batch by batch, ahead of what is done with them.

Axes: images, height, width, channels.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from mothernets_jax.data.image_files import decoding_progress
from mothernets_jax.data.preparation import Preparation, read_prepared

_CHUNK_FILES = 16  # that a thread reads at a time
# Images, or the reasons why they cannot be read.
_Chunk = list[np.ndarray | str]


class FileBatch(NamedTuple):
    """Some images, and the files among them that could not be read.

    Attributes:
        numbers: numbers of the files that were read, from 0, ascending.
        images: uint8 [images, height, width, channels], one a number.
        failed: reasons why files could not be read, by number.
    """

    numbers: list[int]
    images: np.ndarray
    failed: dict[int, str]


def read_in_batches(
    paths: Sequence[str],
    preparation: Preparation,
    input_shape: tuple[int, int, int],
    batch_size: int,
) -> Iterator[FileBatch]:
    """Yields files in their order, as full batches of images that can be read.

    A thread for each core reads on while a batch is being used. No more images are in
    memory than two batches and a few for each thread.

    Args:
        paths: paths of the files.
        preparation: how the images are made of files.
        input_shape: (height, width, channels) of one image.
        batch_size: number of images of each batch but the last, which may be empty.
    """
    if not paths:
        return
    size = min(batch_size, len(paths))

    def read_chunk(start: int) -> _Chunk:
        chunk = paths[start : start + _CHUNK_FILES]
        return [_read(path, preparation, input_shape) for path in chunk]

    with (
        decoding_progress(len(paths), "") as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        images, numbers, failed = np.empty((size, *input_shape), np.uint8), [], {}
        starts = range(0, len(paths), _CHUNK_FILES)
        ahead = -(-size // _CHUNK_FILES) + 2 * (os.cpu_count() or 1)
        number = 0
        for chunk in _ahead(pool, read_chunk, starts, ahead):
            for found in chunk:
                if isinstance(found, str):
                    failed[number] = found
                else:
                    images[len(numbers)] = found
                    numbers.append(number)
                number += 1
                if len(numbers) == size or number == len(paths):
                    yield FileBatch(numbers, images[: len(numbers)], failed)
                    images, numbers, failed = np.empty_like(images), [], {}
            advance(len(chunk))


def _read(
    path: str, preparation: Preparation, input_shape: tuple[int, int, int]
) -> np.ndarray | str:
    """The image of a file, or the reason why it cannot be read."""
    try:
        return read_prepared(path, preparation, input_shape)
    except ValueError as error:
        return str(error)


def _ahead(
    pool: ThreadPoolExecutor, call: Callable[[int], _Chunk], items: range, most: int
) -> Iterator[_Chunk]:
    """Yields the results of calls in their order, with `most` of them under way."""
    pending: deque[Future[_Chunk]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(call, item))
            if len(pending) > most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
