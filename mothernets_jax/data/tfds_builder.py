"""TensorFlow Datasets (TFDS) by name: found where they are prepared, else fetched.

TFDS reads a data set without TensorFlow where it was prepared in the format
array_record. Downloading and preparing one does need TensorFlow.
"""

import contextlib
import difflib
import importlib.util
import logging
import multiprocessing
import os
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import absl.logging

from mothernets_jax.utils.argument_errors import (
    Argument,
    ArgumentError,
    Assignment,
    MissingPathError,
)
from mothernets_jax.utils.messages import short_repr

_log = logging.getLogger(__name__)

# The names of our own, and what TFDS calls them.
TFDS_NAMES = {
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "svhn": "svhn_cropped",
    "mnist": "mnist",
    "fashion_mnist": "fashion_mnist",
    "imagenet": "imagenet2012",
}
# Before any other name that TFDS has: "tfds:beans".
PREFIX = "tfds:"
FILE_FORMAT = "array_record"

_INSTALL = "pip install -r requirements-prepare.txt"
# An offline download would try again for minutes before it gives up.
_PATIENCE_SECONDS = 5.0


def is_tfds(name: str) -> bool:
    """Tells whether a data set's name, as `data.load` takes it, is one of TFDS's."""
    return name in TFDS_NAMES or (name.startswith(PREFIX) and name != PREFIX)


def prepared_builder(name: str, directory: str) -> Any:
    """The `tfds.core.DatasetBuilder` of a data set that can be read.

    A data set that is not there is downloaded and prepared, where TensorFlow is
    installed and the network answers within five seconds.

    Args:
        name: one of `TFDS_NAMES`, or "tfds:NAME[/CONFIG][:VERSION]".
        directory: where TFDS keeps its data sets; empty for TFDS's default.

    Raises:
        ValueError: there is no such data set, or it is prepared in another format.
        FileNotFoundError: the data set is not there and cannot be fetched; the message
            says what to do.
    """
    builder = make_builder(name, directory)
    with _no_warnings():
        is_prepared = builder.is_prepared()
    if not is_prepared:
        _fetch(builder, name, directory)
        builder = make_builder(name, directory)
    found = {file_format.value for file_format in builder.info.available_file_formats()}
    if FILE_FORMAT not in found:
        raise ArgumentError(
            f"the data set {short_repr(name)} in {builder.data_path} is prepared as "
            f"{', '.join(sorted(found))}, which needs TensorFlow to be read; expected "
            f"{FILE_FORMAT}. Prepare it once more in another folder, with "
            f"`{_command(name, 'PATH')}` ({_INSTALL}), and set ",
            Assignment("directory"),
            "=PATH.",
        )
    return builder


def make_builder(name: str, directory: str) -> Any:
    """The `tfds.core.DatasetBuilder` of a data set, prepared or not.

    Args:
        name: one of `TFDS_NAMES`, or "tfds:NAME[/CONFIG][:VERSION]".
        directory: where TFDS keeps its data sets; empty for TFDS's default.

    Raises:
        ValueError: there is no such data set, or TFDS cannot open it.
    """
    try:
        # Imported here: it takes a second or two, which other data need not pay.
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ValueError(
            f"the data set {short_repr(name)} is read with tensorflow-datasets, which "
            f"cannot be imported ({error}): pip install -r requirements.txt"
        ) from error
    tfds_name = TFDS_NAMES.get(name) or name.removeprefix(PREFIX)
    data_dir = Path(os.path.expanduser(directory)) if directory else None
    try:
        with _no_warnings():
            return tfds.builder(tfds_name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        close = difflib.get_close_matches(tfds_name[:100], known, n=1)
        hint = f" Did you mean {PREFIX + close[0]!r}?" if close else ""
        raise ArgumentError(
            f"TFDS has no data set {short_repr(tfds_name)}; expected {PREFIX}NAME, "
            "with a NAME of its catalogue or of a folder in ",
            Argument("directory"),
            f".{hint}",
        ) from None
    except Exception as error:  # Whatever the code of one of its data sets raises.
        raise ValueError(
            f"TFDS cannot open the data set {short_repr(tfds_name)}: "
            f"{_one_line(error)}. Delete its folder and prepare it again if it is "
            "damaged; one whose code needs TensorFlow cannot be read without."
        ) from error


def download_and_prepare(name: str, directory: str) -> str:
    """Downloads a data set and prepares it in the format that we read, `FILE_FORMAT`.

    Args:
        name: one of `TFDS_NAMES`, or "tfds:NAME[/CONFIG][:VERSION]".
        directory: where TFDS keeps its data sets; empty for TFDS's default.

    Returns:
        Path of the folder that the data set is prepared in.

    Raises:
        ValueError: the data set cannot be downloaded or prepared.
    """
    builder = make_builder(name, directory)
    try:
        builder.download_and_prepare(file_format=FILE_FORMAT)
    except (Exception, SystemExit) as error:  # By data set: anything.
        raise ValueError(
            f"TFDS could not prepare {short_repr(name)}: {_one_line(error)}. It needs "
            f"TensorFlow ({_INSTALL}), the network, and room on the disk."
        ) from error
    return str(builder.data_path)


def _fetch(builder: Any, name: str, directory: str) -> None:
    """Downloads and prepares what is not there, where that can be done at once."""
    addresses = builder.url_infos or {}
    first = next(iter(addresses), "")
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        folder = builder.data_dir_root / "downloads" / "manual"
        reason = f"must be downloaded by hand, into {folder} ({instructions})"
    elif importlib.util.find_spec("tensorflow") is None:
        reason = f"cannot be fetched without TensorFlow ({_INSTALL})"
    elif not first:
        reason = "has no address to fetch it from"
    elif not _answers(first):
        reason = (
            f"cannot be fetched, as {first} does not answer within "
            f"{_PATIENCE_SECONDS:g} seconds"
        )
    else:
        megabytes = sum(info.size for info in addresses.values()) / 1e6
        _log.info("Fetching %s (%.0f MB) into %s.", name, megabytes, builder.data_path)
        # In a process of its own: TensorFlow might take the GPU's memory.
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(1, mp_context=context) as process:
                process.submit(download_and_prepare, name, directory).result()
        except BrokenProcessPool as error:
            raise ValueError(
                f"TFDS was stopped while it prepared {short_repr(name)}, perhaps for "
                f"want of memory. Run `{_command(name, directory)}` to see why."
            ) from error
        return
    raise MissingPathError(
        f"the data set {short_repr(name)} is not in {builder.data_path} and {reason}. "
        f"Prepare it with `{_command(name, directory)}`, here or on another machine "
        "whose folder you copy; or name the folder that TFDS prepared it in: ",
        Assignment("directory"),
        "=PATH.",
    )


def _answers(address: str) -> bool:
    """Tells whether a download could begin, within `_PATIENCE_SECONDS`."""
    import requests

    answers = []

    def ask() -> None:
        try:
            with requests.get(
                address, stream=True, timeout=_PATIENCE_SECONDS
            ) as response:
                answers.append(response.ok)
        except (OSError, ValueError):  # RequestException is an OSError.
            answers.append(False)

    # In a thread, since looking a name up knows no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE_SECONDS)
    return answers == [True]


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Silences TFDS, which warns of folders that are not there: no news to us."""
    verbosity = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        yield
    finally:
        absl.logging.set_verbosity(verbosity)


def _command(name: str, directory: str) -> str:
    return f"python -m mothernets_jax.data.prepare {name} {directory}".rstrip()


def _one_line(error: BaseException) -> str:
    """Message of an error, on one line, or the beginning of it."""
    text = " ".join(str(error).split()) or type(error).__name__
    return textwrap.shorten(text, 300, placeholder=" ...").rstrip(".")
