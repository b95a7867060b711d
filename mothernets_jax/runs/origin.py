"""Where a run's ensemble comes from: the data of its training, and its figures."""

from pathlib import Path
from typing import Any

from mothernets_jax.data import run_record
from mothernets_jax.ensembles.places import find
from mothernets_jax.report.finished_runs import read_run
from mothernets_jax.storage.paths import as_path


def origin(workdir: Path, method: str) -> dict[str, Any]:
    """What the model card of a method's ensemble says of the run.

    Args:
        workdir: folder of a finished run.
        method: name of the method.

    Returns:
        The arguments `training_data` and `figures` of `Ensemble.export_safetensors`;
        None each where the run does not tell.

    Raises:
        ValueError: no finished run is there, or one with a damaged file.
        OSError: a file cannot be read.
    """
    run, record = read_run(workdir), run_record.read(workdir)
    return {
        "training_data": record["data"] if record else None,
        "figures": run.results["methods"].get(method),
    }


def origin_of_saved(path: Any, method: str | None = None) -> dict[str, Any]:
    """What the model card of a saved ensemble says of the run in whose folder it is.

    Args:
        path: path of a run's folder or of an ensemble's own, as for `Ensemble.load`.
        method: name of the method; None where there is only one.

    Returns:
        The same as `origin`; empty for an ensemble's own folder, which has no run.

    Raises:
        ValueError: no ensemble is there, or more than one and no method is named; or a
            run that is not finished, or has a damaged file.
        OSError: a file cannot be read.
    """
    workdir, folder = as_path(path), find(path, method)
    return {} if folder == workdir else origin(workdir, folder.name)
