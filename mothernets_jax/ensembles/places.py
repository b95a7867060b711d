"""Places of saved ensembles: checked before saving, and found for loading.

A saved ensemble is a folder with `variables/` and a sealed `record.json`, as
`storage.checkpoints` writes them; see `saving` and `record` for what is in them.
"""

from pathlib import Path
from typing import Any

from mothernets_jax.ensembles.record import from_json, is_failure
from mothernets_jax.storage import checkpoints, links, manifest, seals
from mothernets_jax.storage.files import DamagedError
from mothernets_jax.storage.paths import as_path
from mothernets_jax.utils.messages import short_repr

ENSEMBLES_FOLDER = "ensembles"  # of a run's folder
_RECORD, _VARIABLES = "record.json", "variables"
_NAMED = 5  # files that a message lists


def check_free(folder: Path) -> None:
    """Refuses a place where a save would mix with, or delete, what is not its own.

    A place is free if it does not exist yet, is an empty folder, or holds a saved
    ensemble, beside which other files stay.

    Args:
        folder: folder in which an ensemble is to be saved.

    Raises:
        ValueError: the folder is a link, is or lies in a file, or holds anything else.
    """
    names = sorted(links.names_in(folder))
    others = _others_in_ensemble(folder, names) if _RECORD in names else names
    if others:
        raise ValueError(
            f"{folder} is neither empty nor just a saved ensemble: found "
            f"{_listed(others)}. Choose another path, or move what is there (delete "
            "what a save has left that was killed)"
        )


def _others_in_ensemble(folder: Path, names: list[str]) -> list[str]:
    """Paths that replacing an ensemble would delete, though they are not its own."""
    try:
        sealed = manifest.read(folder / _RECORD, folder / _VARIABLES)
        from_json(sealed and sealed.record)
    except ValueError:
        return [_RECORD]  # a stranger's, or damaged
    assert sealed is not None
    own = {folder / _VARIABLES / name for name in sealed.files}
    found = (folder / _VARIABLES).rglob("*")
    others = [p for p in found if p not in own and (p.is_symlink() or not p.is_dir())]
    return [
        *(path.relative_to(folder).as_posix() for path in others),
        # `checkpoints.remove` deletes them, taking them for what a save left undone.
        *(n for n in names if n.startswith(_VARIABLES) and n != _VARIABLES),
    ]


def find(path: Any, method: str | None) -> Path:
    """Finds the folder of a saved ensemble.

    Args:
        path: path of a run's folder, or of an ensemble's own.
        method: name of the method whose ensemble is meant, in a run's folder; None
            where there is only one, and for an ensemble's own folder.

    Raises:
        ValueError: there is no ensemble, none of that method, or several and no method
            is named; or a method is named for an ensemble's own folder; or the run in
            whose folder it is has not made it.
        OSError: a file cannot be read.
    """
    folder = as_path(path)
    if checkpoints.is_finished(folder):
        if method is None:
            return folder
        raise ValueError(
            f"{folder} is one saved ensemble, and no run with one for each method: "
            f"leave out the method, which is {short_repr(method)}"
        )
    ensembles = folder / ENSEMBLES_FOLDER
    saved = sorted(
        own.name
        for own in (ensembles.iterdir() if ensembles.is_dir() else ())
        if checkpoints.is_finished(own)
    )
    # Methods that have no member are named only where nothing else is there.
    finished = [name for name in saved if not _has_failed(ensembles / name)] or saved
    if not finished:
        raise ValueError(
            f"{folder} holds no trained ensemble: {_described(folder)}. Expected a "
            f"finished run's folder, in which {ENSEMBLES_FOLDER}/ has one for each "
            "method, or a folder that Ensemble.save has written"
        )
    if method is None and len(finished) > 1:
        raise ValueError(
            f"{folder} holds the ensembles of {', '.join(finished)}: name one, as "
            f"in Ensemble.load(workdir, {finished[0]!r})"
        )
    if method is not None and method not in saved:
        raise ValueError(
            f"{folder} holds no ensemble of {short_repr(method)}: found "
            f"{', '.join(finished)}"
        )
    found = method or finished[0]
    if not is_own(folder, found) and _is_whole(ensembles / found):
        raise ValueError(
            f"{ensembles / found} is not what the run in {folder} has made: give its "
            "command again, which replaces it, or load it by its own path"
        )
    return ensembles / found


def record_of(method: str) -> str:
    """The path, in a run's folder, of the record of a method's ensemble."""
    return f"{ENSEMBLES_FOLDER}/{method}/{_RECORD}"


def is_own(workdir: Path, method: str) -> bool:
    """Tells whether an ensemble is the one that the run in whose folder it is has made.

    It is taken for that one where the run is not finished, is one of an earlier
    version, or has checksums that are damaged.

    Args:
        workdir: the run's folder.
        method: the method's name.

    Raises:
        OSError: a file cannot be read.
    """
    try:
        expected = seals.read(workdir).get(record_of(method))
    except DamagedError:
        return True
    path = workdir / record_of(method)
    if expected is None or not path.is_file():  # a pipe, say: loading says what it is
        return True
    return expected == seals.of_file(path)


def _is_whole(folder: Path) -> bool:
    """Tells whether a record is as it was written; if not, loading says what is not."""
    try:
        return checkpoints.read_record(folder) is not None
    except DamagedError:
        return False


def _has_failed(folder: Path) -> bool:
    """Tells whether a record says that none of a method's members could be trained."""
    try:
        return is_failure(checkpoints.read_record(folder))
    except (DamagedError, OSError):
        return False  # it is named when it is loaded


def _described(folder: Path) -> str:
    """Describes, for a message, what is there instead of an ensemble."""
    if not folder.exists():
        return "it does not exist"
    if not folder.is_dir():
        return "it is a file"
    names = [path.name for path in folder.iterdir()]
    return f"found {_listed(names)} there" if names else "it is empty"


def _listed(names: list[str]) -> str:
    """The first few of some names of files, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(short_repr, sorted(names)[:_NAMED])) + more
