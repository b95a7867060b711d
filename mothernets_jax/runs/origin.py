"""Where a run's ensemble comes from: the data of its training, and its figures."""

from pathlib import Path
from typing import Any

from mothernets_jax.data import run_record
from mothernets_jax.report.finished_runs import read_run


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
