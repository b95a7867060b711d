"""A run's `data.json`: a record of the data it was begun on and must go on with.

It is begun before anything is trained. Besides the data it names what the run computes
with: settings of random numbers, which must stay, and such as versions, a change of
which is told and added to the record, not refused.
"""

import hashlib
import itertools
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mothernets_jax.data import identity
from mothernets_jax.storage import files
from mothernets_jax.utils.argument_errors import Argument, ArgumentError

_log = logging.getLogger(__name__)

NAME = "data.json"
_FIELDS = {"data", "made_with", "sha256"}
# Not in records of earlier versions.
_LATER_FIELDS = {"random_numbers", "went_on_with"}


class Computation(NamedTuple):
    """What a run computes with.

    Attributes:
        made_with: versions and the like by name, which may change within a run.
        random_numbers: values, as text, of the environment's variables by which random
            numbers are drawn, by name.
    """

    made_with: Mapping[str, str]
    random_numbers: Mapping[str, str]


def exists(workdir: Path) -> bool:
    """Tells whether a run's folder holds a record, be it damaged."""
    return (workdir / NAME).exists()


def is_ours(workdir: Path) -> bool:
    """Tells whether a folder holds a record that is whole."""
    try:
        return _read(workdir) is not None
    except (files.DamagedError, OSError):
        return False


def begin(
    workdir: Path, described: Mapping[str, Any], computation: Computation
) -> None:
    """Writes the record of a run, or adds to it what the run goes on with.

    A run in whose folder something was trained already, and that has no record, gets
    none.

    Args:
        workdir: the run's folder.
        described: the data, from `identity.describe`.
        computation: what the run computes with from here on.

    Raises:
        ValueError: the record is damaged.
        OSError: the record could not be written.
    """
    if not _holds_work(workdir):
        _write(workdir, {"data": described, **computation._asdict()})
        return
    record, made_with = read(workdir), dict(computation.made_with)
    if record is None:
        return
    others = record.get("went_on_with", [])
    if made_with != (others[-1] if others else record["made_with"]):
        _write(workdir, {**record, "went_on_with": [*others, made_with]})


def changes_of(workdir: Path) -> str:
    """Describes how what a run was made with has changed on the way; empty if not.

    Raises:
        ValueError: the record is damaged.
    """
    record = read(workdir)
    if record is None:
        return ""
    steps = [record["made_with"], *record.get("went_on_with", [])]
    return ", then ".join(
        "; ".join(_changes(before, after))
        for before, after in itertools.pairwise(steps)
    )


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Clauses on the values of `before` that are others in `after`."""
    return [
        f"{name} was {was} and is {after.get(name)}"
        for name, was in before.items()
        if was != after.get(name)
    ]


def _write(workdir: Path, content: Mapping[str, Any]) -> None:
    sealed = {**content, "sha256": _checksum(content)}
    files.write_json(workdir / NAME, sealed)


def check(
    workdir: Path,
    described: Mapping[str, Any],
    computation: Computation,
    *,
    finished: bool = False,
) -> None:
    """Compares data and random numbers with a run's, without writing anything.

    Nothing is compared where a run has no record, as those of earlier versions, or has
    not trained anything yet. Training images that were in memory and are streamed now
    are other data to a run that goes on, as their mean and order differ; a finished one
    is compared in the rest, and draws no random numbers any more.

    Args:
        workdir: the run's folder.
        described: the data as they are, from `identity.describe`.
        computation: what the run computes with from here on.
        finished: whether the run is finished, so that nothing more is trained.

    Raises:
        ValueError: the data are others, random numbers are drawn otherwise, or the
            record is damaged.
    """
    if not finished and not _holds_work(workdir):
        return
    record = read(workdir)
    if record is None:
        warn_of_no_record(workdir)
        return
    before = record["data"]
    found = identity.differences(before, described)
    changed = _changes(record["made_with"], computation.made_with)
    why: tuple[str, ...] = ()
    if before["streamed"] != described["streamed"]:
        was, is_ = (_kept(each["streamed"]) for each in (before, described))
        text = f"the training images were {was} and are {is_} here"
        if not finished:
            found.append(text)
            memory_bytes = Argument("memory_bytes")
            why = (", as this machine's memory and ", memory_bytes, " have it")
        elif not found:
            _log.warning("The data of %s are compared in part only: %s", workdir, text)
    if found:
        hint = f" (besides, {'; '.join(changed)})" if changed else ""
        raise ArgumentError(
            f"{workdir} holds a run on other data: {'; '.join(found)}",
            *why,
            f"{hint}. Restore the data as they were, or choose another --workdir",
        )
    if finished:
        return
    drawn = record.get("random_numbers", {})
    if others := _changes(drawn, computation.random_numbers):
        wanted = " ".join(f"{name}={value}" for name, value in drawn.items())
        raise ValueError(
            f"{workdir} holds a run that draws other random numbers: "
            f"{'; '.join(others)}. Set the environment as it was ({wanted}), or choose "
            "another --workdir"
        )
    if changed:
        _log.warning(
            "The run in %s was begun otherwise: %s. What is trained from here on may "
            "differ by more than rounding from what an uninterrupted run trains",
            workdir,
            "; ".join(changed),
        )


def warn_of_no_record(workdir: Path) -> None:
    """Warns that the data of a run without a record cannot be checked."""
    _log.warning(
        "The data of the run in %s cannot be checked, as it has no %s: an earlier "
        "version began it, or the file was deleted. Make sure that its images and "
        "labels are those that it was begun on",
        workdir,
        NAME,
    )


def read(workdir: Path) -> dict[str, Any] | None:
    """Reads the record, `data`, `made_with` and the like; None where there is none.

    Raises:
        ValueError: the record is damaged; the message says what to do.
    """
    try:
        return _read(workdir)
    except files.DamagedError as error:
        raise ValueError(
            f"{error}. Where the data are surely those that the run was begun on, "
            "delete the file alone, and the run goes on"
        ) from None


def _read(workdir: Path) -> dict[str, Any] | None:
    path = workdir / NAME
    if not path.exists():
        return None
    found = files.read_json(path)
    if isinstance(found, dict) and _FIELDS <= found.keys() <= _FIELDS | _LATER_FIELDS:
        content = {name: own for name, own in found.items() if name != "sha256"}
        if found["sha256"] == _checksum(content):
            return content
    raise files.DamagedError(f"{path} is damaged (it is not what its checksum says)")


def _holds_work(workdir: Path) -> bool:
    """Tells whether anything was trained in a run's folder, to its end or not."""
    return any(path.is_file() for path in (workdir / "stages").rglob("*"))


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _kept(streamed: bool) -> str:
    return "streamed" if streamed else "in memory"
