"""The training images that a call works on: all of them, or a chunk of a stream.

A stream's images are on the devices for some steps only, a chunk; the next is read and
moved while one is trained on. Every chunk has the same shape, so that one program does
them all. Where batches are divided among devices, each has only its part of a chunk.

Axes: a chunk holds [places, steps, own batch], flattened, of images [height, width,
channels]; a place is one device's part of every batch.
"""

import contextlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.data.decoding import EncodedImages
from mothernets_jax.data.streaming import Batch, StepReader, own_positions, read_ahead
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.task import Task, steps_per_epoch
from mothernets_jax.training.member_step import TrainingData
from mothernets_jax.training.sharding import Placement, own_places, put
from mothernets_jax.utils.pytrees import named_key

# The most bytes of one chunk's images, on all devices together, unless one step has
# more; two chunks are held at a time.
_CHUNK_BYTES = 64 * 2**20

# Yields, through an epoch, (first step, one past the last, data for these steps).
Calls = Generator[tuple[int, int, TrainingData], None, None]


class InMemory:
    """All training images, held on the devices throughout.

    Attributes:
        shapes: the training split itself, on the devices; every call takes it whole.
    """

    def __init__(self, data: TrainingData, steps: int, placement: Placement):
        """Puts the data on every device of the group.

        Args:
            data: the whole training split.
            steps: number of steps in an epoch.
            placement: the devices of the group, and how it is divided among them.
        """
        self.shapes = put(data, placement.everywhere)
        self._steps = steps

    def indices(self, drawn: jax.Array) -> jax.Array:
        """Returns the drawn examples as they are: they index the whole split."""
        return drawn

    def of_epoch(self, epoch: int, first: int = 0) -> Calls:
        """Yields all steps of an epoch at once, whatever the step it goes on from."""
        yield 0, self._steps, self.shapes


class Streamed:
    """Chunks of a stream; all members see the same images in the same order.

    Attributes:
        shapes: shapes, dtypes and shardings of a chunk's images and labels, with the
            statistics of the dataset themselves.
    """

    def __init__(self, stage: Stage, task: Task, placement: Placement):
        """Prepares to read, without reading anything yet.

        Args:
            stage: the stage, whose name and recipe decide what is read.
            task: the task, whose training images are encoded.
            placement: the devices of the group, and how it is divided among them.
        """
        images, batch_size = task.dataset.train_images, stage.recipe.batch_size
        assert isinstance(images, EncodedImages)
        self._task, self._by_batch = task, placement.by_batch
        dataset = task.dataset
        self._statistics = put((dataset.mean, dataset.std), placement.everywhere)
        self._own, self._places = own_places(placement)
        self._steps = steps_per_epoch(stage.recipe, task)
        key = named_key(task.key, stage.method, stage.label, "stream")
        self._reader = StepReader(
            images,
            batch_size,
            int(jax.random.bits(key, dtype=jnp.uint32)),
            own_positions(self._own, self._places, batch_size),
        )
        self._padding = task.augmentation.crop_padding
        height, width, channels = images.image_shape
        border = 2 * self._padding
        self._image_shape = height + border, width + border, channels
        batch_bytes = batch_size * int(np.prod(self._image_shape))
        self._chunk_steps = min(self._steps, max(1, _CHUNK_BYTES // batch_bytes))
        self._own_batch = batch_size // self._places

        examples = self._chunk_steps * batch_size

        def shape(of_example: tuple[int, ...], dtype: Any) -> Any:
            return jax.ShapeDtypeStruct(
                (examples, *of_example), dtype, sharding=placement.by_batch
            )

        self.shapes = TrainingData(
            shape(self._image_shape, jnp.uint8), shape((), jnp.int32), *self._statistics
        )

    def indices(self, drawn: jax.Array) -> jax.Array:
        """Indices into a device's part of the chunk that each step is in.

        The examples that were drawn do not matter: the stream has its own order.

        Args:
            drawn: drawn examples, int32 [members, steps, batch]; only the shape and
                dtype are used.

        Returns:
            The indices, of the same shape and dtype.
        """
        step = jnp.arange(drawn.shape[1], dtype=drawn.dtype)[:, None]
        position = jnp.arange(drawn.shape[2], dtype=drawn.dtype)[None]
        own = step % self._chunk_steps * self._own_batch + position % self._own_batch
        return jnp.broadcast_to(own, drawn.shape)

    def of_epoch(self, epoch: int, first: int = 0) -> Calls:
        """Yields the chunks of an epoch in their order, read ahead.

        Args:
            epoch: number of the epoch, from 0.
            first: the step, from 0, at which the epoch goes on; the chunk that
                contains it is the first to be yielded.
        """
        begin, workers = epoch * self._steps, self._task.stream_workers
        skipped = first // self._chunk_steps * self._chunk_steps
        batches = read_ahead(
            self._reader, begin + skipped, begin + self._steps, workers=workers
        )
        with contextlib.closing(batches), ThreadPoolExecutor(1, "stream") as thread:
            stop = min(self._chunk_steps, self._steps - skipped)
            coming = thread.submit(self._read, batches, stop)
            for of_chunk in range(skipped, self._steps, self._chunk_steps):
                chunk = coming.result()
                stop = min(of_chunk + self._chunk_steps, self._steps)
                following = min(self._chunk_steps, self._steps - stop)
                if following:
                    coming = thread.submit(self._read, batches, following)
                yield of_chunk, stop, chunk

    def _read(self, batches: Iterator[Batch], steps: int) -> TrainingData:
        """Reads the next `steps` steps as a chunk on the devices; the rest is black."""
        own_places, own_batch, edge = len(self._own), self._own_batch, self._padding
        of_places = own_places, self._chunk_steps, own_batch
        images = np.zeros((*of_places, *self._image_shape), np.uint8)
        labels = np.zeros(of_places, np.int32)
        height, width = self._image_shape[:2]
        inside = images[..., edge : height - edge, edge : width - edge, :]
        for step in range(steps):
            batch = next(batches)
            by_place = own_places, own_batch
            inside[:, step] = batch.images.reshape(*by_place, *batch.images.shape[1:])
            of_batch = self._task.dataset.train_labels[batch.examples]
            labels[:, step] = of_batch.reshape(by_place)
        return TrainingData(
            self._scatter(images), self._scatter(labels), *self._statistics
        )

    def _scatter(self, of_places: np.ndarray) -> jax.Array:
        """Moves this host's places [places, steps, own batch, ...] to the devices."""
        examples = self._chunk_steps * self._own_batch
        shape = (self._places * examples, *of_places.shape[3:])

        def own_part(index: Any) -> np.ndarray:
            place = self._own.index((index[0].start or 0) // examples)
            return of_places[place].reshape(examples, *shape[1:])

        return jax.make_array_from_callback(shape, self._by_batch, own_part)


def make_chunks(stage: Stage, task: Task, placement: Placement) -> InMemory | Streamed:
    """Makes the source of a group's images: memory if they are there, else a stream."""
    if task.training_data is None:
        return Streamed(stage, task, placement)
    return InMemory(task.training_data, steps_per_epoch(stage.recipe, task), placement)
