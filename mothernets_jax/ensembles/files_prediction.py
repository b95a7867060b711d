"""Prediction of image files: a class, a probability and its uncertainty for each."""

import csv
import dataclasses
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mothernets_jax.data.file_batches import read_in_batches
from mothernets_jax.data.given_files import given_files
from mothernets_jax.data.preparation import Preparation, check_preparation
from mothernets_jax.data.resizing import RESIZES
from mothernets_jax.metrics.class_errors import distinct_names
from mothernets_jax.metrics.uncertainty import Uncertainty
from mothernets_jax.storage import files
from mothernets_jax.storage.paths import as_path
from mothernets_jax.utils.messages import short_repr

# From images to what an ensemble predicts, [images, classes], and its uncertainty.
Judge = Callable[[np.ndarray], tuple[np.ndarray, Uncertainty]]


class FilePrediction(NamedTuple):
    """What an ensemble predicts for one image file.

    Attributes:
        path: the file's path, as it was given or below the folder that was given.
        class_name: name of the likeliest class, followed by the class's number where
            several share a name.
        probability: the class's probability; for votes, its share of them.
        entropy, member_entropy, mutual_information: total uncertainty, and its two
            parts, in nats: see `metrics.uncertainty.Uncertainty`.
        disagreement: share of the pairs of members that predict different classes.
        spread: standard deviation, over members, of the class's probability.
    """

    path: str
    class_name: str
    probability: float
    entropy: float
    member_entropy: float
    mutual_information: float
    disagreement: float
    spread: float


class FailedFile(NamedTuple):
    """A file of which nothing can be predicted.

    Attributes:
        path: the file's path; of a folder without images, or that cannot be listed, the
            folder's.
        reason: reason why it cannot be read.
    """

    path: str
    reason: str


@dataclasses.dataclass(frozen=True)
class FilePredictions:
    """Predictions for many image files.

    Attributes:
        files: for each file, in the order in which they were given, its prediction, or
            why there is none.
    """

    files: tuple[FilePrediction | FailedFile, ...]

    @property
    def rows(self) -> list[FilePrediction]:
        """The files that could be read, in order; `pandas.DataFrame` takes them."""
        return [own for own in self.files if isinstance(own, FilePrediction)]

    @property
    def failed(self) -> list[FailedFile]:
        """The files that could not be read, in order."""
        return [own for own in self.files if isinstance(own, FailedFile)]

    def __iter__(self) -> Iterator[FilePrediction]:
        return iter(self.rows)

    def __len__(self) -> int:
        """Number of files that could be read."""
        return len(self.rows)

    def write_csv(self, path: str | Path) -> None:
        """Writes a table with one line for each file, whether it could be read or not.

        The columns are those of `FilePrediction`, and `error`: the reason why a file
        could not be read, whose other columns are empty. The table is UTF-8; bytes of a
        path that are not are written as `\\xff`, say. One that was there is replaced.

        Args:
            path: path of the table; `~` is the home folder.

        Raises:
            ValueError: the path is neither text nor a `Path`.
            OSError: the table could not be written.
        """
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*FilePrediction._fields, "error"])
        for own in self.files:
            if isinstance(own, FailedFile):
                blank = [""] * (len(FilePrediction._fields) - 1)
                writer.writerow([own.path, *blank, own.reason])
            else:
                name, class_name, *numbers = own
                shown = [f"{number:.9g}" for number in numbers]
                writer.writerow([name, class_name, *shown, ""])
        content = stream.getvalue().encode("utf-8", "backslashreplace")
        files.write_whole(as_path(path), content)


def predict_files(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    judge: Judge,
    *,
    preparation: Preparation,
    input_shape: tuple[int, int, int],
    class_names: Sequence[str],
    batch_size: int,
) -> FilePredictions:
    """Reads image files batch by batch and predicts each; see `Ensemble.predict_files`.

    Args:
        paths: paths of files or folders, or a single one.
        judge: function from images, uint8 [images, height, width, channels], to what
            the ensemble predicts.
        preparation: how the images are made of files.
        input_shape: (height, width, channels) of one image.
        class_names: one name for each class.
        batch_size: number of images at a time.

    Raises:
        ValueError: a path that is neither text nor a `Path`.
    """
    given, names = given_files(paths), distinct_names(class_names)
    found: list[FilePrediction | FailedFile | None] = [
        FailedFile(*own) if own.reason else None for own in given
    ]
    places = [place for place, own in enumerate(given) if not own.reason]
    files_to_read = [given[place].path for place in places]
    for batch in read_in_batches(files_to_read, preparation, input_shape, batch_size):
        for number, reason in batch.failed.items():
            found[places[number]] = FailedFile(files_to_read[number], reason)
        if not batch.numbers:
            continue
        scores, uncertainty = judge(batch.images)
        predicted = scores.argmax(axis=1).tolist()
        columns = [scores.max(axis=1), *uncertainty]
        numbers = np.stack(columns, axis=1).tolist()
        for number, label, own in zip(batch.numbers, predicted, numbers, strict=True):
            path = files_to_read[number]
            found[places[number]] = FilePrediction(path, names[label], *own)
    return FilePredictions(tuple(own for own in found if own is not None))


def preparation_of(
    recorded: Preparation | None, input_shape: tuple[int, int, int], resize: str | None
) -> Preparation:
    """How files are made into images of an ensemble: as it has recorded, or is told.

    Args:
        recorded: how the images that trained it were made; None if it does not know.
        input_shape: (height, width, channels) of its images.
        resize: `crop`, `pad` or `stretch`, in place of a record; None for none.

    Raises:
        ValueError: there is neither or both, or the images are none of files.
    """
    height, width, channels = input_shape
    if recorded is not None:
        if resize is not None:
            raise ValueError(
                f"resize is {short_repr(resize)}, but this ensemble knows how its "
                f"images were made of files ({_in_words(recorded)}): leave resize out"
            )
        return recorded
    if channels not in (1, 3):
        raise ValueError(
            f"this ensemble takes inputs of shape {input_shape}: expected 1 or 3 "
            "channels, as image files have. Use predict"
        )
    if resize is None:
        raise ValueError(
            "this ensemble does not know how its images were made of files, as it was "
            "trained on arrays or saved by an earlier version: give resize, one of "
            f"{', '.join(RESIZES)}, by which files become images of {height}x{width} "
            "pixels"
        )
    size = height if height == width else None  # others must have it already
    preparation = Preparation(size, resize=resize)
    check_preparation(preparation, input_shape)
    return preparation


def _in_words(preparation: Preparation) -> str:
    """A preparation as settings, without those that have no say."""
    size, crop, resize = preparation
    if size is None:
        return "not resized"
    return f"image_size={size}, {'crop=resized' if crop == 'resized' else resize}"
