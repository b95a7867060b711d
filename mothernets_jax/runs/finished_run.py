"""A finished run found again: what of it is whole is kept, what is not is mended."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mothernets_jax.config.settings import Settings
from mothernets_jax.ensembles import image_scores, places, saving
from mothernets_jax.ensembles.record import is_failure
from mothernets_jax.runs.run_folder import RunLock, has_settings
from mothernets_jax.stages.state import epochs_of
from mothernets_jax.storage import checkpoints

_log = logging.getLogger(__name__)


def whole_entries(workdir: Path, results: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of the methods whose ensembles are there and whole; the log names others.

    Args:
        workdir: the folder of a finished run.
        results: the content of its `results.json`.

    Returns:
        The methods' entries in the results, by method.

    Raises:
        OSError: an ensemble cannot be read, which may be whole.
    """
    try:
        _histories(results)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        _log.warning("The results of %s are damaged (%r): made again", workdir, error)
        return {}
    failed = results.get("failed", {})  # none in older runs
    found = {}
    for method, entry in {**results["methods"], **failed}.items():
        folder = workdir / places.ENSEMBLES_FOLDER / method
        try:
            _check(workdir, method, failed=method in failed)
            found[method] = entry
        except FileNotFoundError:
            _log.warning("%s is missing: it is made again", folder)
        except ValueError as error:
            _log.warning("%s. It is made again", error)
    return found


def _check(workdir: Path, method: str, *, failed: bool) -> None:
    """Verifies a method's ensemble, or the record of why it has none.

    Raises:
        ValueError: it is damaged, or not what this run has made.
        OSError: it cannot be read, or is not there.
    """
    folder = workdir / places.ENSEMBLES_FOLDER / method
    if not checkpoints.is_finished(folder):
        raise FileNotFoundError(folder)
    if not failed:
        saving.verify(folder)
        image_scores.read_scores(workdir, method)
    elif not is_failure(checkpoints.read_record(folder)):
        raise ValueError(f"{folder} is an ensemble, of a method that has none")
    if not places.is_own(workdir, method):
        raise ValueError(f"{folder} is not what this run has made")


def _histories(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Figures of every epoch, by stage, as they are in the log of metrics."""
    methods = (results["methods"], results.get("failed", {}))
    return {
        stage["name"]: list(epochs_of(stage["history"]))
        for entries in methods
        for entry in entries.values()
        for stage in entry["stages"]
    }


def mend_files(
    workdir: Path, settings: Settings, results: Mapping[str, Any], owner: RunLock
) -> None:
    """Writes the settings and the log of every epoch anew where they are not whole.

    Args:
        workdir: the folder of a finished run.
        settings: the run's settings.
        results: the content of its `results.json`, whole.
        owner: the lock on the folder, taken where there is something to write.

    Raises:
        ValueError: the folder cannot be written, or another process works in it.
        OSError: a file cannot be read or written.
    """
    wanted, log = _histories(results), owner.epoch_log(settings)
    broken = [name for name, entries in wanted.items() if not log.has(name, entries)]
    strange = log.stages() - wanted.keys()  # lines whose stage was altered
    if has_settings(workdir) and not broken and not strange:
        return
    _log.warning("%s lacks some of its settings or metrics: they are added", workdir)
    if has_settings(workdir):
        owner.reserve(settings)
    else:
        owner.acquire(settings)
    for name in strange:
        log.forget(name)
    for name in broken:
        log.mend(name, wanted[name])
