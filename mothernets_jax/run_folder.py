"""A run's folder: whose it is, and whether it is done."""

from pathlib import Path
from typing import Any

from mothernets_jax import checkpoints
from mothernets_jax.settings import Settings, without_prices

_CONFIG, _RESULTS = "config.json", "results.json"


def find_results(workdir: Path, settings: Settings) -> dict[str, Any] | None:
    """The content of a finished run's `results.json`; None where it is not finished.

    Raises:
        ValueError: the folder is a file, or holds another experiment.
    """
    _check_owner(workdir, settings)
    path = workdir / _RESULTS
    return checkpoints.read_json(path) if path.exists() else None


def _check_owner(workdir: Path, settings: Settings) -> None:
    """Makes sure that an existing folder is this experiment's."""
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"--workdir={workdir} is a file: expected a folder")
    path = workdir / _CONFIG
    if not path.exists():
        return
    found, wanted = checkpoints.read_json(path), settings.to_json()
    found, wanted = without_prices(found), without_prices(wanted)
    if found != wanted:
        raise ValueError(
            f"{workdir} holds another experiment: {_differences(found, wanted)}. "
            "Choose another --workdir, or delete that folder"
        )


def claim(workdir: Path, settings: Settings) -> None:
    """Makes the run's folder, after all that could be refused was looked at.

    Raises:
        ValueError: it cannot be written.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        checkpoints.write_json(workdir / _CONFIG, settings.to_json())
    except OSError as error:
        raise ValueError(
            f"--workdir={workdir} cannot be written ({error.strerror}): expected a "
            "folder that you may write to"
        ) from None


def finish(workdir: Path, results: dict[str, Any]) -> None:
    """Writes `results.json`, with which the run is done."""
    checkpoints.write_json(workdir / _RESULTS, results)


def _differences(found: Any, wanted: Any, path: str = "config") -> str:
    """The fields in which two settings differ, with both values."""
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return f"{path} is {found!r} there and {wanted!r} here"
    names = sorted(found.keys() | wanted.keys())
    return "; ".join(
        _differences(found.get(name), wanted.get(name), f"{path}.{name}")
        for name in names
        if found.get(name) != wanted.get(name)
    )
