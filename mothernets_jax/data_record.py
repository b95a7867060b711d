"""A run's `data.json`: the data that it was begun on, to be those of every resumption.

It is written once, before anything is trained. Beside the data it holds with what the
run computes, of which a change is told, and not refused.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mothernets_jax import files
from mothernets_jax.data import identity

_log = logging.getLogger(__name__)

_NAME = "data.json"


def exists(workdir: Path) -> bool:
    """Whether a run's folder holds a record, be it damaged."""
    return (workdir / _NAME).exists()


def is_ours(workdir: Path) -> bool:
    """Whether a folder holds a record that is whole."""
    try:
        return _read(workdir) is not None
    except (files.DamagedError, OSError):
        return False


def begin(
    workdir: Path, described: Mapping[str, Any], made_with: Mapping[str, str]
) -> None:
    """Writes the record of a run, unless something was trained in its folder already.

    Args:
        workdir: the run's folder.
        described: the data, from `identity.describe`.
        made_with: versions and the like, by name.

    Raises:
        OSError: it could not be written.
    """
    if not _holds_work(workdir):
        content = {"data": described, "made_with": made_with}
        sealed = {**content, "sha256": _checksum(content)}
        files.write_json(workdir / _NAME, sealed)


def check(
    workdir: Path,
    described: Mapping[str, Any],
    made_with: Mapping[str, str],
    *,
    finished: bool = False,
) -> None:
    """Compares data with those that a run was begun on; writes nothing.

    A record of an earlier version, or of nothing trained, is not compared. Training
    images that were in memory and are streamed now are other data to a run that goes
    on, as their mean and order differ; a finished one is compared in the rest.

    Args:
        workdir: the run's folder.
        described: the data as they are, from `identity.describe`.
        made_with: versions and the like, by name.
        finished: whether nothing is trained any more.

    Raises:
        ValueError: other data, or a damaged record.
    """
    if not finished and not _holds_work(workdir):
        return
    record = read(workdir)
    if record is None:
        warn_of_no_record(workdir)
        return
    before = record["data"]
    found = identity.differences(before, described)
    changed = [
        f"{name} was {was} and is {made_with.get(name)}"
        for name, was in record["made_with"].items()
        if was != made_with.get(name)
    ]
    if before["streamed"] != described["streamed"]:
        was, is_ = (_kept(each["streamed"]) for each in (before, described))
        text = (
            f"the training images were {was} and are {is_} here, as this machine's "
            "memory and config.data.memory_share have it"
        )
        if not finished:
            found.append(text)
        elif not found:
            _log.warning("The data of %s are compared in part only: %s", workdir, text)
    if found:
        hint = f" (besides, {'; '.join(changed)})" if changed else ""
        raise ValueError(
            f"{workdir} holds a run on other data: {'; '.join(found)}{hint}. Restore "
            "the data as they were, or choose another --workdir"
        )
    if changed and not finished:
        _log.warning(
            "The run in %s was begun otherwise: %s. What is trained from here on may "
            "differ by more than rounding from what an uninterrupted run trains",
            workdir,
            "; ".join(changed),
        )


def warn_of_no_record(workdir: Path) -> None:
    """Tells that nothing is known of the data of an earlier version's run."""
    _log.warning(
        "The data of the run in %s cannot be checked, as it has no %s: an earlier "
        "version began it, or the file was deleted. Make sure that its images and "
        "labels are those that it was begun on",
        workdir,
        _NAME,
    )


def read(workdir: Path) -> dict[str, Any] | None:
    """The record: `data` and `made_with`; None where there is none.

    Raises:
        ValueError: it is damaged; says what to do.
    """
    try:
        return _read(workdir)
    except files.DamagedError as error:
        raise ValueError(
            f"{error}. Where the data are surely those that the run was begun on, "
            "delete the file alone, and the run goes on"
        ) from None


def _read(workdir: Path) -> dict[str, Any] | None:
    path = workdir / _NAME
    if not path.exists():
        return None
    found = files.read_json(path)
    if isinstance(found, dict) and found.keys() == {"data", "made_with", "sha256"}:
        content = {"data": found["data"], "made_with": found["made_with"]}
        if found["sha256"] == _checksum(content):
            return content
    raise files.DamagedError(f"{path} is damaged (it is not what its checksum says)")


def _holds_work(workdir: Path) -> bool:
    """Whether anything was trained in a run's folder, to its end or not."""
    return any(path.is_file() for path in (workdir / "stages").rglob("*"))


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _kept(streamed: bool) -> str:
    return "streamed" if streamed else "in memory"
