"""The settings and the folder of a run that grows from a finished one."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.grown import Dropped, changes
from mothernets_jax.config.identity import digest, of_this_version
from mothernets_jax.config.settings import Settings
from mothernets_jax.methods import read_settings
from mothernets_jax.runs import finished_run, run_folder
from mothernets_jax.runs.run_folder import CONFIG
from mothernets_jax.stages.context import STAGES
from mothernets_jax.storage import checkpoints, files
from mothernets_jax.storage.paths import as_path
from mothernets_jax.utils.messages import short_repr

_SUFFIX = re.compile(r"-grown-[0-9a-f]{8}$")


class GrowingRun(NamedTuple):
    """A run that grows from a finished one.

    Attributes:
        source: the folder of the finished run, which stays as it is.
        settings: the settings of the run that grows.
        name: its name for the report, that of the finished run.
        workdir: its folder.
    """

    source: Path
    settings: Settings
    name: str
    workdir: Path


def growing_run(
    run: Any,
    *,
    add: Mapping[str, Architecture | str] | None = None,
    replicas: int | None = None,
    drop: Sequence[str] = (),
    distill: str | None = None,
    epochs: int | None = None,
    methods: Sequence[str] = (),
    workdir: str | Path | None = None,
) -> GrowingRun:
    """Finds a finished run, and describes what is to grow from it.

    Args:
        run: the folder of a finished run, grown or not.
        add: the new members' architectures by name.
        replicas: number of networks, in all, of each of the run's architectures.
        drop: names of members to leave out.
        distill: name of the member that the ensemble is distilled into; it goes on for
            `epochs`.
        epochs: number of epochs for which every member goes on, where none is
            distilled into.
        methods: further methods to train.
        workdir: the folder of the run that grows; None for one beside the finished run,
            the same for the same changes.

    Raises:
        ValueError: no finished run, nothing to change, or a change that cannot be made.
        OSError: a file cannot be read.
    """
    source = as_path(run, "run")
    before, results = _finished(source)
    if isinstance(drop, str):
        raise ValueError(f"drop is {short_repr(drop)}: expected a list of names")
    changes = [f"add {own}={architecture}" for own, architecture in (add or {}).items()]
    changes += [] if replicas is None else [f"replicas {replicas}"]
    changes += [f"drop {own}" for own in drop]
    if distill is not None:
        if epochs is None:
            raise ValueError(
                f"distill is {short_repr(distill)}, and epochs are missing: give the "
                "number for which this member goes on, taught by all"
            )
        changes.append(f"distill {distill} epochs {epochs}")
    elif epochs is not None:
        changes.append(f"epochs {epochs}")
    if not changes and not methods:
        raise ValueError(
            f"nothing is to change in {source}: give members to add, to drop or to "
            "distill into, replicas, epochs or methods"
        )
    values = before.to_json()
    values["grown"] += changes
    values["methods"] += list(methods)
    settings = read_settings(values)
    if distill is not None:
        _check_teachers(settings, results)
    folder = source.parent / f"{_SUFFIX.sub('', source.name)}-grown-{digest(settings)}"
    folder = folder if workdir is None else as_path(workdir, "workdir")
    if folder.resolve() == source.resolve():
        raise ValueError(
            f"--workdir={folder} is the finished run itself, which stays as it is: "
            "choose another folder, or leave it out"
        )
    return GrowingRun(source, settings, str(results["name"]), folder)


def _check_teachers(settings: Settings, results: Mapping[str, Any]) -> None:
    """Refuses to distill an ensemble that lacks some of its members.

    Raises:
        ValueError: a member was left out of the ensemble, and is not dropped now.
    """
    dropped = {own.network for own in changes(settings) if isinstance(own, Dropped)}
    for entry in {**results["methods"], **results.get("failed", {})}.values():
        for name, reason in entry.get("left_out", {}).items():
            if name not in dropped:
                raise ValueError(
                    f"{name} was left out of the ensemble, as {reason}, and cannot "
                    "teach: drop it, too"
                )


def _finished(source: Path) -> tuple[Settings, Mapping[str, Any]]:
    """The settings and the results of a finished run.

    Raises:
        ValueError: there is no run, or it is not finished, or not whole.
    """
    path = source / CONFIG
    if not path.is_file():
        raise ValueError(
            f"{source} holds no run: expected the folder of a finished one, with its "
            f"{CONFIG}"
        )
    settings = read_settings(of_this_version(files.read_json(path)))
    results = run_folder.find_results(source, settings)
    whole = {} if results is None else finished_run.whole_entries(source, results)
    if results is None or not whole.keys() >= set(settings.methods):
        raise ValueError(
            f"the run in {source} is not finished, or not whole: give its own command "
            "again, which goes on, then this one"
        )
    trained = [stage["name"] for own in whole.values() for stage in own["stages"]]
    for stage in trained:
        if not checkpoints.is_finished(source / STAGES / stage):
            raise ValueError(
                f"{source / 'stages' / stage} is gone, which has the networks that are "
                "to grow: restore it"
            )
    return settings, results
