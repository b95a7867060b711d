"""An ensemble's right and wrong on every test image, kept for paired comparisons.

Axes: [examples], the test images in the order of the data set.
"""

import io
import itertools
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.metrics.classification import log_probabilities
from mothernets_jax.metrics.paired import error_difference, mean_difference
from mothernets_jax.storage import files

FOLDER = "test_scores"
# The most bytes that scores may have, those of some 30 million images.
_MOST_BYTES = 2**28
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


class ImageScores(NamedTuple):
    """How an averaged ensemble did on every test image.

    Attributes:
        wrong: bool [examples], whether its likeliest class is not the label.
        nll: float64 [examples], negative log-likelihood of the label, in nats.
    """

    wrong: np.ndarray
    nll: np.ndarray


def image_scores(probabilities: np.ndarray, labels: np.ndarray) -> ImageScores:
    """Judges a prediction image by image.

    Args:
        probabilities: floats [examples, classes], rows summing to 1.
        labels: int [examples], the true classes.
    """
    of_labels = probabilities[np.arange(len(labels)), labels]
    wrong = probabilities.argmax(axis=1) != labels
    return ImageScores(wrong, -log_probabilities(of_labels))


def write_scores(workdir: Path, method: str, scores: ImageScores) -> None:
    """Writes a method's scores into its run's folder, whole or not at all."""
    stream = io.BytesIO()
    np.savez_compressed(stream, wrong=scores.wrong, nll=scores.nll)
    path = scores_path(workdir, method)
    path.parent.mkdir(exist_ok=True)
    files.write_whole(path, stream.getvalue())


def read_scores(workdir: Path, method: str) -> ImageScores | None:
    """Reads a method's scores from its run's folder.

    Returns:
        The scores; None where the run has none, as those of earlier versions.

    Raises:
        ValueError: the file is damaged.
        OSError: the file cannot be read.
    """
    path = scores_path(workdir, method)
    if not path.exists():
        return None
    if not path.is_file():  # a pipe would be waited for
        raise ValueError(_damaged(path, "it is no plain file"))
    try:
        stream = io.BytesIO(files.read_bytes(path, _MOST_BYTES))
        with zipfile.ZipFile(stream) as archive:
            scores = ImageScores(_array(archive, "wrong"), _array(archive, "nll"))
    except (ValueError, KeyError, EOFError, *_BAD_ZIP) as error:
        raise ValueError(_damaged(path, str(error))) from None
    kinds = scores.wrong.dtype.kind + scores.nll.dtype.kind
    if kinds != "bf" or not scores.wrong.shape == scores.nll.shape != ():
        raise ValueError(_damaged(path, "it holds other arrays"))
    return scores


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Reads an array, after a look at how many numbers its header says there are.

    Raises:
        ValueError: it is no such array, or too large.
        KeyError: it is not there.
    """
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > _MOST_BYTES or info.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        raise ValueError(f"{name} would have {info.file_size:,} bytes")
    with archive.open(info) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is in another format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if len(shape) != 1 or dtype.kind not in "bf" or dtype.itemsize > 8:
            raise ValueError("it holds other arrays")
        if shape[0] * dtype.itemsize > info.file_size:
            raise ValueError(f"{name} holds fewer numbers than it says")
        return np.frombuffer(file.read(shape[0] * dtype.itemsize), dtype)


def scores_path(workdir: Path, method: str) -> Path:
    """The file of a method's scores in its run's folder."""
    return workdir / FOLDER / f"{method}.npz"


def _damaged(path: Path, how: str) -> str:
    return (
        f"{path} is damaged ({how}): give the run's command again, and it is made "
        "again, or delete it to go without paired intervals"
    )


def paired_differences(scores: Mapping[str, ImageScores]) -> list[dict[str, Any]]:
    """Differences between all pairs of ensembles on the same test images.

    Args:
        scores: scores on the same images, by the ensemble's name.

    Returns:
        For each pair its names, `first` and `second`, and of `error` and `nll` the
        first's less the second's: `difference`, and `low` and `high` of its 95%
        interval.
    """
    return [
        {
            "first": first,
            "second": second,
            "error": error_difference(ours.wrong, theirs.wrong)._asdict(),
            "nll": mean_difference(ours.nll, theirs.nll)._asdict(),
        }
        for (first, ours), (second, theirs) in itertools.combinations(scores.items(), 2)
    ]
