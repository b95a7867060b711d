"""Streaming of training images: their order, and reading them ahead, in every epoch.

What a step reads is a pure function of the stage's seed and the step's number. So any
step can be the first, and neither the number of processes that read nor how the steps
are divided among them changes a bit.

Reading ahead is done by grain, an optional package that nothing else needs.

Axes: `positions` are places in a batch; images are [positions, height, width,
channels].
"""

import dataclasses
import functools
import os
from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from absl import flags

from mothernets_jax.data import crops, decoding
from mothernets_jax.data.resizing import BoxOf, box_for
from mothernets_jax.utils.argument_errors import Argument, ArgumentError, Assignment

# Batches that each process of the stream holds ready.
_BATCHES_AHEAD = 2


class Batch(NamedTuple):
    """The images that a step trains on, or one host's part of them.

    Attributes:
        examples: int64 [positions], places among the training images.
        images: uint8 [positions, height, width, channels].
    """

    examples: np.ndarray
    images: np.ndarray


def check_grain() -> None:
    """Refuses to stream where grain is not installed.

    Raises:
        ValueError: grain cannot be imported; the message says how to install it, or how
            to do without.
    """
    try:
        import grain  # noqa: F401  # pyright: ignore[reportMissingImports]  # an extra
    except ImportError as error:
        raise ArgumentError(
            "the training images are to be streamed, for which grain is needed, and it "
            f"cannot be imported ({error}): pip install -r requirements-streaming.txt. "
            "To keep them in memory instead: a larger ",
            Argument("memory_bytes"),
            ", a smaller ",
            Argument("image_size"),
            " or fewer ",
            Argument("train_examples"),
            ", and ",
            Assignment("crop"),
            "=shift.",
        ) from error


@functools.lru_cache(maxsize=2)  # an epoch may begin while another one ends
def draw_order(seed: int, epoch: int, examples: int) -> np.ndarray:
    """Draws the order in which an epoch takes the training images.

    Args:
        seed: the stage's seed, below 2**32.
        epoch: number of the epoch, from 0.
        examples: number of training images.

    Returns:
        int64 [examples], a permutation.
    """
    # RandomState's stream is frozen by NumPy (NEP 19), so that a stage which goes on
    # after an upgrade sees each image once in its epoch all the same.
    return np.random.RandomState([seed, epoch]).permutation(examples)


@dataclasses.dataclass(frozen=True)
class StepReader:
    """Reads the batch of any step of a stage; can be sent to another process.

    In each epoch, the last images in its order that do not fill a batch are left out.

    Attributes:
        images: all training images, in their files.
        batch_size: number of images in a whole batch, of all hosts together.
        seed: the stage's seed, below 2**32.
        positions: int [positions], the places in a batch that are read here.
    """

    images: decoding.EncodedImages
    batch_size: int
    seed: int
    positions: np.ndarray

    @property
    def steps_per_epoch(self) -> int:
        """Number of whole batches in an epoch."""
        return len(self.images) // self.batch_size

    def examples(self, step: int) -> np.ndarray:
        """Places of a step's images among all training images, int64 [positions].

        Args:
            step: number of the step, counted from the beginning of epoch 0.
        """
        epoch, step_of_epoch = divmod(step, self.steps_per_epoch)
        order = draw_order(self.seed, epoch, len(self.images))
        return order[step_of_epoch * self.batch_size + self.positions]

    def __call__(self, step: int) -> Batch:
        """Reads and decodes the images that a step trains on.

        Args:
            step: number of the step, counted from the beginning of epoch 0.

        Raises:
            ValueError: a file that cannot be read, or is of another size than the rest.
        """
        examples = self.examples(step)
        images = np.empty((len(examples), *self.images.image_shape), np.uint8)
        files = self.images.files(self.images.numbers[examples])
        boxes = self._boxes(step)
        for i, (encoded, box_of) in enumerate(zip(files, boxes, strict=True)):
            image = decoding.decode(encoded, self.images.image_size, box_of)
            decoding.check_one_size(image, encoded.name, images.shape[1:3], "the first")
            images[i] = image[..., : images.shape[3]]  # grey fills all channels
        return Batch(examples, images)

    def _boxes(self, step: int) -> list[BoxOf]:
        """Functions, one an image, from its size to the box that this step reads."""
        if self.images.crop != "resized":
            return [box_for(self.images.resize)] * len(self.positions)
        # Drawn for the whole batch: the same, however it is divided among hosts.
        rng = np.random.default_rng((self.seed, step))
        draws = rng.random((self.batch_size, crops.ATTEMPTS, 4))[self.positions]
        return [functools.partial(crops.random_box, own) for own in draws]


def read_ahead(
    reader: StepReader, first: int, stop: int, *, workers: int
) -> Generator[Batch, None, None]:
    """Yields the batches of some steps in their order, read before they are needed.

    Args:
        reader: function that reads the batch of a step.
        first: number of the first step, counted from the beginning of epoch 0.
        stop: number of the last step, plus 1.
        workers: number of processes that read; 0 for threads of this one, which is best
            for large images, as decoding lets other threads run.

    Raises:
        ValueError: a file that cannot be read, or is of another size than the rest.
    """
    import grain  # pyright: ignore[reportMissingImports]

    threads = 0 if workers else os.cpu_count() or 1
    batches = (
        grain.MapDataset.range(first, stop)
        .map(reader)
        .to_iter_dataset(grain.ReadOptions(threads, threads))
    )
    if workers:
        if not flags.FLAGS.is_parsed():  # not from the command line: grain wants them
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(workers, _BATCHES_AHEAD)
        batches = batches.mp_prefetch(options)
    iterator = iter(batches)
    try:
        yield from iterator
    finally:
        iterator.close()


def own_positions(
    places: tuple[int, ...], num_places: int, batch_size: int
) -> np.ndarray:
    """The positions in a batch that a host reads, place by place.

    Args:
        places: numbers of the parts of a batch that the host's devices train on,
            from 0.
        num_places: number of equal parts that each batch is divided into.
        batch_size: number of images in a batch, a multiple of `num_places`.

    Returns:
        int64 [positions], `batch_size / num_places` for each of `places`.

    >>> own_positions((1, 3), num_places=4, batch_size=8)
    array([2, 3, 6, 7])
    """
    return np.arange(batch_size).reshape(num_places, -1)[list(places)].ravel()
