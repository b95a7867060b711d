"""Restore a stage's result from the run's folder, or make and save it."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mothernets_jax.runtime import multihost
from mothernets_jax.stages import figures, saved_states
from mothernets_jax.stages.context import RunContext, stage_folder
from mothernets_jax.stages.run_stage import StageResult, run_stage
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.state import epochs_of
from mothernets_jax.stages.task import Task
from mothernets_jax.storage import checkpoints
from mothernets_jax.training.member_step import MemberState

_log = logging.getLogger(__name__)


def read_records(workdir: Path, stages: Sequence[Stage]) -> dict[str, dict[str, Any]]:
    """Reads the records of the stages that are done, by the stage's name.

    A stage whose record is damaged counts as not done.
    """

    def read() -> dict[str, dict[str, Any]]:
        found = {}
        for stage in stages:
            with contextlib.suppress(checkpoints.DamagedError):
                record = checkpoints.read_record(stage_folder(workdir, stage))
                if record is not None:
                    found[stage.name] = record
        return found

    return multihost.run_on_host0(read)


def run_or_restore(
    stage: Stage,
    task: Task,
    trained: Mapping[str, MemberState],
    context: RunContext,
) -> StageResult:
    """Restores a stage's result if the run's folder holds it whole, else trains it.

    Args:
        stage: the stage with its members and recipe.
        task: the task with the images and the devices to train on.
        trained: final states of the networks of earlier stages, by name.
        context: the folder, strategy, progress and the like that all stages of the
            run share.

    Raises:
        InterruptedRunError: the run was asked to stop; what was trained is saved.
    """
    context.interruption.check()
    with context.interruption.shielded():
        result = _restored(stage, task, context)
        return result or _run_and_save(stage, task, trained, context)


def _run_and_save(
    stage: Stage,
    task: Task,
    trained: Mapping[str, MemberState],
    context: RunContext,
) -> StageResult:
    folder = context.stage_folder(stage)
    if context.metrics is not None and multihost.is_host0():
        context.metrics.forget(stage.name)
    result = run_stage(stage, task, trained, context)
    states = saved_states.finished_to_saved(result.states)

    def save() -> None:
        context.guard(folder)
        checkpoints.save(folder, states, result.record)

    multihost.run_on_host0(save)
    context.autosave(stage).discard()
    if multihost.is_host0():
        context.saved()
    context.progress.message(figures.of_finished(result.record))
    return result


def _restored(stage: Stage, task: Task, context: RunContext) -> StageResult | None:
    """Result of a finished stage, None if it is missing or damaged."""
    folder = context.stage_folder(stage)

    def find() -> tuple[dict[str, Any], Any] | None:
        try:
            record = checkpoints.read_record(folder)
            if record is None:
                return None
            saved = checkpoints.saved_shapes(folder)
            found = saved_states.finished_outline(saved)
            template = saved_states.finished_template(stage, task, found)
            kept = [name for name in stage.members if name not in record["left_out"]]
            if sorted(template) != sorted(kept):
                raise checkpoints.DamagedError(
                    f"{folder} is damaged (it lacks members): delete it to train it "
                    "again"
                )
            checkpoints.compare(folder, saved, template)
        except checkpoints.DamagedError as error:
            _log.warning("%s. The stage %s is trained again", error, stage.name)
            return None
        return record, found

    done = multihost.run_on_host0(find)
    if done is None:
        return None
    record, found = done
    arrays = {}  # where all of its members are left out, there is nothing to read
    if found:
        template = saved_states.finished_template(stage, task, found)
        arrays = multihost.arrays_from_host0(
            lambda: checkpoints.read(folder, template), template
        )
    context.log_again(stage.name, epochs_of(record["history"]))
    context.progress.message(f"{stage.name}: done already")
    return StageResult(saved_states.finished_from_saved(arrays), record)
