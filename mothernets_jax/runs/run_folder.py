"""Keep a run's folder: its experiment, the process that works in it, its results."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mothernets_jax.config.identity import (
    of_this_version,
    result_relevant,
    without_places,
)
from mothernets_jax.config.settings import Settings
from mothernets_jax.data import run_record
from mothernets_jax.ensembles import image_scores
from mothernets_jax.ensembles.places import ENSEMBLES_FOLDER, record_of
from mothernets_jax.runs.folder_lock import LOCK_NAME, FolderLock
from mothernets_jax.runtime.interruption import Interruption
from mothernets_jax.stages.context import (
    BUDGET,
    EVENTS,
    METRICS,
    PLACEMENT,
    STAGES,
    STRATEGIES,
    UNFINISHED,
)
from mothernets_jax.stages.epoch_log import Callback, EpochLog
from mothernets_jax.storage import checkpoints, files, links, seals
from mothernets_jax.storage.event_files import EventFiles
from mothernets_jax.storage.metrics_log import MetricsLog
from mothernets_jax.utils.messages import safe_name, short_repr

_log = logging.getLogger(__name__)

CONFIG = "config.json"
MIRROR = ".mirror.json"  # which state of a mirror the folder is at
# They say what the stages are trained with, beside the settings.
RECORDS = (run_record.NAME, BUDGET, PLACEMENT, STRATEGIES)
# Where a run writes and deletes, files first, then folders and what is in them.
_FILES = (LOCK_NAME, CONFIG, seals.RESULTS, seals.NAME, *RECORDS)
_FILES += (METRICS, "report.html", MIRROR)
_FOLDERS = ("plots", image_scores.FOLDER, f"{image_scores.FOLDER}/*")
_FOLDERS += (ENSEMBLES_FOLDER, f"{ENSEMBLES_FOLDER}/*", STAGES, f"{STAGES}/*")
_FOLDERS += (f"{STAGES}/*/{UNFINISHED}", f"{STAGES}/*/{UNFINISHED}/*")
_FOLDERS += (EVENTS, f"{EVENTS}/*", f"{EVENTS}/*/*", f"{EVENTS}/*/*/*")
# What a file system puts into any folder; hidden files are passed over, too.
_NO_CONTENT = ("lost+found",)
_MOST_NAMES = 3  # of what a folder holds, in a message
_SETTINGS = ("seed", "methods")  # among others
_SECTIONS = ("name", "methods", "plan", "data", "provenance")  # of the results


def find_results(workdir: Path, settings: Settings) -> dict[str, Any] | None:
    """The content of a finished run's `results.json`; None if it is not finished.

    Raises:
        ValueError: the folder is a file, holds another experiment, or no run at all,
            or links where a run would write.
    """
    check_experiment(workdir, settings)
    path = workdir / seals.RESULTS
    try:
        if not path.exists():
            return None
        found = _read_object(path, *_SECTIONS)
        sums = seals.read(workdir)
        if sums.get(seals.RESULTS, seals.of_file(path)) != seals.of_file(path):
            raise checkpoints.DamagedError("it is not what its checksum says")
    except checkpoints.DamagedError:
        _log.warning("%s is damaged: it is made again", path)
        return None
    own = seals.of_content(files.json_bytes(settings.to_json()))
    if not has_settings(workdir) and sums.get(CONFIG, own) != own:
        raise ValueError(
            f"{workdir} is a finished run that lost its {CONFIG}, of other settings "
            f"than these: give the command that {path} has under provenance, or choose "
            "another --workdir"
        )
    return found


def has_settings(workdir: Path) -> bool:
    """Tells whether a run's folder holds its settings."""
    return (workdir / CONFIG).exists()


def check_experiment(workdir: Path, settings: Settings) -> None:
    """Makes sure that an existing folder is this experiment's.

    Raises:
        ValueError: the folder is a file, holds another experiment, or no run at all,
            or links where a run would write.
    """
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"--workdir={workdir} is a file: expected a folder")
    checkpoints.check_path(workdir)
    path = workdir / CONFIG
    if not path.exists():
        _check_no_strangers(workdir)
    _check_links(workdir)
    if not path.exists():
        return
    try:
        found = _read_object(path, *_SETTINGS)
    except checkpoints.DamagedError as error:
        raise ValueError(
            f"{error}. Where the folder is surely this experiment's, delete the file "
            "alone, and the run goes on"
        ) from None
    # Where there is a record of the data, the images themselves are compared.
    different = differences(found, settings, places=not run_record.exists(workdir))
    if different:
        raise ValueError(
            f"{workdir} holds another experiment: {different}. "
            "Choose another --workdir, or delete that folder; members and epochs are "
            "added to a finished run by `mothernets grow`"
        )


def parse_settings(content: bytes) -> dict[str, Any]:
    """Reads the settings that a run has written, from what a file of them holds.

    Raises:
        ValueError: it holds none.
    """
    try:
        found = files.parse_json(content)
    except RecursionError:
        found = None
    if not isinstance(found, dict) or not found.keys() >= set(_SETTINGS):
        raise ValueError(f"its {CONFIG} lacks {', '.join(_SETTINGS)}")
    return found


def differences(found: Mapping[str, Any], settings: Settings, *, places: bool) -> str:
    """Differences of a run's settings from others, of those that change its results.

    Args:
        found: the run's settings, as it has written them.
        settings: the others.
        places: whether to compare where the images are.

    Returns:
        The fields with both values, in words; empty where there are none.
    """
    ours, theirs = (
        result_relevant(own) for own in (settings.to_json(), of_this_version(found))
    )
    if not places:
        ours, theirs = without_places(ours), without_places(theirs)
    return "" if ours == theirs else _differences(theirs, ours)


def _check_no_strangers(workdir: Path) -> None:
    """Makes sure that a folder without settings is empty, or a run's that lost them."""
    if not workdir.is_dir():
        return
    if (workdir / STAGES).is_dir() or run_record.is_ours(workdir):
        return
    names = (path.name for path in workdir.iterdir())
    found = sorted(n for n in names if not n.startswith(".") and n not in _NO_CONTENT)
    if found:
        some = ", ".join(map(safe_name, found[:_MOST_NAMES]))
        more = len(found) - _MOST_NAMES
        raise ValueError(
            f"--workdir={workdir} is not the folder of a run: it holds {some}"
            + (f" and {more:,} more" if more > 0 else "")
            + f", and no {CONFIG}. Choose an empty folder or a new one, which is made"
        )


def _check_links(workdir: Path) -> None:
    """Refuses links, and what is neither file nor folder, where a run would write."""
    for name in _FILES:
        links.refuse_link(workdir / name)
    for pattern in _FOLDERS:  # what holds them was looked at before
        for path in sorted(workdir.glob(pattern)):
            links.refuse_link(path)


def _read_object(path: Path, *fields: str) -> dict[str, Any]:
    """Reads a JSON file that must hold an object with the given fields.

    Raises:
        DamagedError: the file holds no object, or one that lacks a field.
    """
    found = files.read_json(path)
    if not isinstance(found, dict) or not found.keys() >= set(fields):
        raise checkpoints.DamagedError(
            f"{path} is damaged (it lacks {', '.join(fields)}): delete it to make it "
            "again"
        )
    return found


class RunLock:
    """A lock on a run's folder for one process, which ends with that process."""

    def __init__(self, workdir: Path, command: str):
        """Prepares the lock without taking it.

        Args:
            workdir: the run's folder.
            command: the command line, told to another process that is refused.
        """
        self._workdir = workdir
        self._lock = FolderLock(workdir, command)

    def reserve(self, settings: Settings) -> None:
        """Locks the folder if it is not locked yet; changes nothing else in it.

        Raises:
            ValueError: the folder cannot be written, or another process works in it.
        """
        with _explained(self._workdir):
            self._lock.take()
            # Another process may have made it another experiment's meanwhile.
            check_experiment(self._workdir, settings)

    def reserve_existing(self, settings: Settings) -> None:
        """Locks the folder, as `reserve` does, if there is one."""
        if self._workdir.exists():
            self.reserve(settings)

    def acquire(self, settings: Settings) -> None:
        """Makes the folder if there is none, locks it and writes the settings.

        Raises:
            ValueError: the folder cannot be written, or another process works in it.
        """
        with _explained(self._workdir):
            files.make_folder(self._workdir)
            self.reserve(settings)
            files.write_json(self._workdir / CONFIG, settings.to_json())

    def check(self, path: Path) -> None:
        """Makes sure that a path below the folder may be written to or deleted.

        Raises:
            ValueError: the path leads through a link, or the folder was moved, deleted
                or replaced, so that another process may work at its path.
        """
        self._lock.check()
        links.refuse_links(self._workdir, path)

    def epoch_log(
        self,
        settings: Settings,
        callback: Callback | None = None,
        interruption: Interruption | None = None,
    ) -> EpochLog:
        """Opens the folder's log of every epoch's figures, touching no file yet.

        Args:
            settings: the run's settings, which tell what is logged beside the metrics.
            callback: see `EpochLog`.
            interruption: see `EpochLog`.
        """
        events = None
        if settings.log.tensorboard:
            events = EventFiles(self._workdir / EVENTS, self.check)
        metrics = MetricsLog(self._workdir / METRICS)
        return EpochLog(metrics, events, callback, interruption)

    def finish(self, results: dict[str, Any]) -> None:
        """Marks the run as done: writes the checksums of its files, then the results.

        Raises:
            ValueError: the folder was moved, deleted or replaced.
            OSError: the files could not be written.
        """
        self.check(self._workdir / seals.RESULTS)
        content = files.json_bytes(results)
        sums = {seals.RESULTS: seals.of_content(content)}
        records = map(record_of, (*results["methods"], *results["failed"]))
        for name in (CONFIG, *records):
            sums[name] = seals.of_file(self._workdir / name)
        seals.write(self._workdir, sums)
        files.write_whole(self._workdir / seals.RESULTS, content)

    def release(self) -> None:
        """Lets others work in the folder."""
        self._lock.release()


@contextlib.contextmanager
def _explained(workdir: Path) -> Iterator[None]:
    """Turns the OSError of a folder that cannot be written into a ValueError."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"--workdir={workdir} cannot be written ({error.strerror}): expected a "
            "folder that you may write to"
        ) from error


def _differences(found: Any, wanted: Any, path: str = "config") -> str:
    """Fields in which two settings differ, with both values."""
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return f"{path} is {short_repr(found)} there and {short_repr(wanted)} here"
    names = sorted(found.keys() | wanted.keys())
    return "; ".join(
        _differences(found.get(name), wanted.get(name), f"{path}.{name}")
        for name in names
        if found.get(name) != wanted.get(name)
    )
