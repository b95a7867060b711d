"""TensorBoard's event files: the figures of every epoch of every network, as curves.

A network's figures in a stage are one file, `STAGE/MEMBER/events.out.tfevents.TIME`,
which TensorBoard shows as the run `STAGE/MEMBER`. A stage that begins again or goes on
is given new files, into which what there was is written again: no point is there twice.
The file before is emptied and stays until the next, as a TensorBoard that is reading it
waits for ever where it is gone.

The format and its checksums are TensorBoard's own, an optional package that nothing
else needs. Its bytes are a function of the figures alone, by which whole files are
known.
"""

import datetime
import io
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from mothernets_jax.storage import files, links

# Imported when first needed.
_EVENTS = "tensorboard.compat.proto.event_pb2"
_SUMMARIES = "tensorboard.compat.proto.summary_pb2"
_WRITER = "tensorboard.summary.writer.record_writer"

_PREFIX = "events.out.tfevents"  # by which TensorBoard knows them
_VERSION = "brain.Event:2"
# Curves by the metric: those of one kind stand side by side.
_TAGS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_error": "error/train",
    "validation_error": "error/validation",
    "learning_rate": "learning_rate",
}


def why_unavailable() -> str:
    """The reason why TensorBoard cannot be imported, in words; empty where it can."""
    try:
        for name in ("tensorboard", _EVENTS, _SUMMARIES, _WRITER):
            import_module(name)
    except ImportError as error:
        return str(error)
    return ""


class EventFiles:
    """The event files of a run; only stages of different names may write at once."""

    def __init__(self, folder: Path, guard: Callable[[Path], None] = lambda path: None):
        """Prepares the files without touching any.

        Args:
            folder: the folder of all stages' files, which the first point makes.
            guard: a function that raises ValueError where a path may not be written to
                or deleted.
        """
        self._folder, self._guard = folder, guard
        self._paths: dict[tuple[str, str], Path] = {}

    def append(self, entry: Mapping[str, Any]) -> None:
        """Adds the points of one epoch of one network.

        Args:
            entry: a line of the log of metrics, with its `stage`.

        Raises:
            ValueError: the file may not be written to.
            OSError: the file could not be written.
        """
        key = entry["stage"], entry["member"]
        path, content = self._paths.get(key), _points(entry)
        if path is None:
            # A later name than that of a file before it: TensorBoard goes on to it.
            path = self._folder.joinpath(*key, f"{_PREFIX}.{time.time():.6f}")
            content = _beginning(entry) + content
        self._guard(path)
        files.make_folder(path.parent)
        with open(links.open_plain(path), "ab") as file:
            file.write(content)
        self._paths[key] = path

    def forget(self, stage: str) -> None:
        """Drops a stage's points, before it is trained again or goes on.

        Raises:
            ValueError: a file may not be written to or deleted.
            OSError: a file could not be written or deleted.
        """
        newest = {path.parent: path for path in self._files(stage)}
        for path in self._files(stage):
            self._guard(path)
            if path != newest[path.parent]:
                path.unlink()
            elif path.stat().st_size:
                files.write_whole(path, b"")
        for key in [key for key in self._paths if key[0] == stage]:
            del self._paths[key]

    def has(self, stage: str, entries: Iterable[Mapping[str, Any]]) -> bool:
        """Tells whether a stage's files are there, all of them whole, and no others.

        Args:
            stage: the stage's name.
            entries: metrics of each line of the stage, as `mend` takes them.
        """
        wanted = _by_member(stage, entries)
        found = [path for path in self._files(stage) if path.stat().st_size]
        if sorted(wanted) != sorted(path.parent.name for path in found):
            return False
        return all(_is_whole(path, wanted[path.parent.name]) for path in found)

    def mend(self, stage: str, entries: Iterable[Mapping[str, Any]]) -> None:
        """Makes sure that a stage's files are there, all of them whole, and no others.

        Args:
            stage: the stage's name.
            entries: metrics of each line of the stage, by name, without `stage`.

        Raises:
            ValueError: a file may not be written to or deleted.
            OSError: a file could not be written.
        """
        entries = list(entries)
        if not self.has(stage, entries):
            self.forget(stage)
            for entry in entries:
                self.append({"stage": stage, **entry})

    def _files(self, stage: str) -> list[Path]:
        """A stage's event files, the older first; other files are not ours."""
        return sorted((self._folder / stage).glob(f"*/{_PREFIX}.*"))


def _by_member(stage: str, entries: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """The content of a stage's files, by the member's name."""
    content: dict[str, bytes] = {}
    for entry in entries:
        name = entry["member"]
        entry = {"stage": stage, **entry}
        content[name] = (content.get(name) or _beginning(entry)) + _points(entry)
    return content


def _is_whole(path: Path, content: bytes) -> bool:
    try:
        return files.read_bytes(path, len(content)) == content
    except ValueError:  # larger, or no file
        return False


def _beginning(first: Mapping[str, Any]) -> bytes:
    """What stands before all points of a file; `first` is the first one's entry.

    A TensorBoard that has read an earlier file of this network forgets its points.
    """
    events, seconds = import_module(_EVENTS), _seconds(first)
    start = events.SessionLog(status=events.SessionLog.START)
    return _records(
        events.Event(wall_time=seconds, file_version=_VERSION),
        events.Event(wall_time=seconds, session_log=start),
    )


def _points(entry: Mapping[str, Any]) -> bytes:
    """The points of one epoch of one network, over its optimiser's steps."""
    events, summaries = import_module(_EVENTS), import_module(_SUMMARIES)
    values = [
        summaries.Summary.Value(tag=tag, simple_value=entry[metric])
        for metric, tag in _TAGS.items()
        if entry.get(metric) is not None
    ]
    step = entry.get("step", entry["epoch"])  # which earlier versions did not count
    summary = summaries.Summary(value=values)
    return _records(events.Event(wall_time=_seconds(entry), step=step, summary=summary))


def _seconds(entry: Mapping[str, Any]) -> float:
    """The time of an entry in seconds since 1970; 0 where it is not known."""
    stamp = entry.get("clocks", {}).get("time")
    return datetime.datetime.fromisoformat(stamp).timestamp() if stamp else 0.0


def _records(*events: Any) -> bytes:
    """Events as records with lengths and checksums."""
    buffer = io.BytesIO()
    writer = import_module(_WRITER).RecordWriter(buffer)
    for event in events:
        writer.write(event.SerializeToString())
    return buffer.getvalue()
