"""The files of a run that a mirror has: what is finished, and the newest saves.

Not mirrored is what a run makes again from these: TensorBoard's files.
"""

import os
import re
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from mothernets_jax.ensembles import image_scores
from mothernets_jax.ensembles.places import ENSEMBLES_FOLDER
from mothernets_jax.runs.limits import gibibytes
from mothernets_jax.runs.run_folder import CONFIG, RECORDS
from mothernets_jax.stages.autosave import Guard
from mothernets_jax.stages.context import METRICS, STAGES, UNFINISHED
from mothernets_jax.storage import checkpoints, files, links, seals
from mothernets_jax.storage.mirror import (
    LocalFile,
    Mirror,
    MirrorState,
    StoredFile,
    in_parallel,
)
from mothernets_jax.storage.pinned import PinnedFiles
from mothernets_jax.utils.messages import safe_name

# They say what the run is, and how its stages are trained.
BEGINNING = (CONFIG, *RECORDS)
# They say that everything is done.
_END = (seals.NAME, seals.RESULTS)
_LOOSE = ("report.html", METRICS)
_LOOSE_FOLDERS = (("plots", ".png"), (image_scores.FOLDER, ".npz"))
_IN_LOOSE_FOLDERS = re.compile(
    "|".join(rf"{name}/[^/]+\{suffix}" for name, suffix in _LOOSE_FOLDERS)
)
# Where saves are, and what is in them.
_SAVED = re.compile(
    rf"(?:{STAGES}/[^/]+(?:/{UNFINISHED}/[0-9]+)?|{ENSEMBLES_FOLDER}/[^/]+)"
    rf"/(?:{checkpoints.RECORD}|{checkpoints.VARIABLES}/.+)"
)


def beginning_files(workdir: Path, pinned: PinnedFiles) -> dict[str, LocalFile]:
    """Pins the files that say what a run is, by their paths in its folder."""
    return _copies(workdir, BEGINNING, pinned)


def finished_files(
    workdir: Path, pinned: PinnedFiles, known: Container[str]
) -> dict[str, LocalFile]:
    """Pins what is finished in a run's folder, and the newest save of what is not.

    Args:
        workdir: the run's folder, in which the run may be at work.
        pinned: the files that are pinned, and on the folder's file system.
        known: checksums of files that need not be pinned.

    Returns:
        The files by their paths in the folder. With results there is all that they are
        made of.

    Raises:
        OSError: something cannot be read.
    """
    found = _copies(workdir, _END, pinned)  # first: what they are of is there by then
    stages = workdir / STAGES
    for folder in _folders(stages):
        found |= _stage(folder, f"{STAGES}/{folder.name}", pinned, known)
    for folder in _folders(workdir / ENSEMBLES_FOLDER):
        save = pinned.save(folder, known) or {}
        found |= _below(f"{ENSEMBLES_FOLDER}/{folder.name}", save)
    loose = [*BEGINNING, *_LOOSE]
    for name, suffix in _LOOSE_FOLDERS:
        paths = sorted((workdir / name).glob(f"*{suffix}"))
        loose += [f"{name}/{path.name}" for path in paths if path.name[0] != "."]
    return found | _copies(workdir, loose, pinned)


def check_files(state: MirrorState) -> None:
    """Refuses the state of a mirror with files that no run writes, or lacks some.

    Raises:
        ValueError: it is refused; the message names a file.
    """
    for name in state.files:
        if name in (*BEGINNING, *_END, *_LOOSE) or _IN_LOOSE_FOLDERS.fullmatch(name):
            continue
        if not _SAVED.fullmatch(name):
            raise ValueError(f"it has {safe_name(name)}, which no run writes")
    if CONFIG not in state.files:
        raise ValueError(f"it has no {CONFIG}")


def missing_files(workdir: Path, state: MirrorState) -> dict[str, StoredFile]:
    """The files of a state that a run's folder has not, or not as they are there.

    What belongs to a stage that is finished in the folder is not missing. Of a save of
    which one file is missing, all are.

    Raises:
        OSError: a file cannot be read.
    """
    finished = {
        f"{STAGES}/{folder.name}"
        for folder in _folders(workdir / STAGES)
        if checkpoints.is_finished(folder)
    }
    wanted = {
        name: own
        for name, own in state.files.items()
        if "/".join(PurePosixPath(name).parts[:2]) not in finished
    }
    missing = {n for n, own in wanted.items() if not _is_there(workdir / n, own)}
    broken = {save for name in missing if (save := _save_of(name)) is not None}
    return {
        n: own for n, own in wanted.items() if n in missing or _save_of(n) in broken
    }


def fetch_files(
    mirror: Mirror,
    wanted: Mapping[str, StoredFile],
    workdir: Path,
    pinned: PinnedFiles,
    guard: Guard,
) -> list[str]:
    """Writes files of a state into a run's folder, each whole or not.

    The record of a save comes after its arrays, and results come last, so that a folder
    is good whenever the process is killed. The record of a save that is damaged does
    not come.

    Args:
        mirror: the mirror.
        wanted: the files, from `missing_files`.
        workdir: the run's folder.
        pinned: a place for files that are not complete yet.
        guard: a function that raises ValueError where a path may not be written to or
            deleted.

    Returns:
        Paths of the files that are damaged in the mirror, and were left out.

    Raises:
        StoreError: the mirror cannot be read.
        OSError: a file cannot be written, as where the disk has too little room.
    """
    size, room = sum(own.size for own in wanted.values()), shutil.disk_usage(workdir)
    if size > room.free:
        raise ValueError(
            f"the state in the mirror {mirror.url} takes {gibibytes(size)}, and "
            f"{workdir} has room for {gibibytes(room.free)}: choose a --workdir on a "
            "larger disk"
        )
    for save in sorted({own for name in wanted if (own := _save_of(name)) is not None}):
        guard(workdir / save)
        if (workdir / save).exists():
            checkpoints.remove(workdir / save)
    parts = {name: pinned.new_path() for name in sorted(wanted, key=_turn)}

    def is_fetched(name: str) -> bool:
        try:
            mirror.download(wanted[name], parts[name])
        except files.DamagedError:
            return False
        return True

    damaged: list[str] = []
    fetched = in_parallel(is_fetched, parts)
    for (name, part), is_whole in zip(parts.items(), fetched, strict=True):
        save, path = _save_of(name), workdir / name
        if not is_whole:
            damaged.append(name)
        if not is_whole or save is not None and save in map(_save_of, damaged):
            continue
        guard(path)
        files.make_folder(path.parent)
        os.replace(part, path)
        files.sync(path.parent)
    return damaged


def _turn(name: str) -> tuple[bool, bool, str]:
    """By which files are sorted: arrays, records, results."""
    return name in _END, name.endswith(f"/{checkpoints.RECORD}"), name


def _save_of(name: str) -> str | None:
    """The folder of the save that a file is of; None for a file of none."""
    if not _SAVED.fullmatch(name):
        return None
    folder = name.removesuffix(f"/{checkpoints.RECORD}")
    return folder.partition(f"/{checkpoints.VARIABLES}/")[0]


def _stage(
    folder: Path, name: str, pinned: PinnedFiles, known: Container[str]
) -> dict[str, LocalFile]:
    """Pins a stage's result, or else its newest save."""
    for _ in range(2):  # it may be finished while its saves are looked at
        if (save := pinned.save(folder, known)) is not None:
            return _below(name, save)
        saves = [own for own in _folders(folder / UNFINISHED) if own.name.isdecimal()]
        for own in sorted(saves, key=lambda own: int(own.name), reverse=True):
            if (save := pinned.save(own, known)) is not None:
                return _below(f"{name}/{UNFINISHED}/{own.name}", save)
    return {}


def _folders(folder: Path) -> Iterator[Path]:
    """The folders in a folder that may be missing, in their order, without links."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return (path for path in paths if path.is_dir() and not path.is_symlink())


def _below(folder: str, found: Mapping[str, LocalFile]) -> dict[str, LocalFile]:
    return {f"{folder}/{name}": own for name, own in found.items()}


def _copies(
    workdir: Path, names: Iterable[str], pinned: PinnedFiles
) -> dict[str, LocalFile]:
    """Pins copies of those files that are there."""
    found = {}
    for name in names:
        try:
            found[name] = pinned.copy(workdir / name)
        except FileNotFoundError:
            continue
    return found


def _is_there(path: Path, stored: StoredFile) -> bool:
    links.refuse_link(path)
    if not path.is_file() or path.stat().st_size != stored.size:
        return False
    return seals.of_file(path) == stored.sha256
