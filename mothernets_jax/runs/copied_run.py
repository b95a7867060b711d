"""Copies of the stages of a finished run, for the run that grows from it.

The finished run is only read. Copying goes on where it was interrupted, and nothing
that is in the new folder already is written again.
"""

import logging
from pathlib import Path

from mothernets_jax.runs.run_folder import RECORDS
from mothernets_jax.stages.autosave import Guard
from mothernets_jax.stages.context import STAGES
from mothernets_jax.storage import checkpoints, files, links

_log = logging.getLogger(__name__)


def copy_run(source: Path, workdir: Path, guard: Guard) -> None:
    """Copies a finished run's stages, and what they were trained with.

    Stages that a folder holds whole stay as they are there; one that is damaged in the
    finished run is left out, with a warning, and is trained again.

    Args:
        source: the folder of the finished run.
        workdir: the folder of the run that grows from it.
        guard: a function that raises ValueError where a path of `workdir` may not be
            written to.

    Raises:
        ValueError: a link is in the way.
        OSError: something could not be read or written.
    """
    stages = sorted(path for path in (source / STAGES).iterdir() if path.is_dir())
    missing = [
        path
        for path in stages
        if not checkpoints.is_finished(workdir / STAGES / path.name)
    ]
    if len(missing) == len(stages):  # of the first copy
        for name in RECORDS:  # before the stages, which were trained with them
            links.refuse_link(source / name)
            if (source / name).is_file():
                guard(workdir / name)
                files.write_whole(workdir / name, (source / name).read_bytes())
    for path in missing:
        try:
            if checkpoints.read_record(path) is None:
                continue
        except checkpoints.DamagedError as error:
            _log.warning("%s. The stage %s is trained again", error, path.name)
            continue
        copy = workdir / STAGES / path.name
        guard(copy)
        checkpoints.copy(path, copy)
