"""Times of a stage's programs: a few real steps, on stand-ins for trained networks."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from mothernets_jax.ensembles.prediction import predict_logits, validation_scores
from mothernets_jax.models.variables import Variables, abstract_variables
from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.divergence import divergence_reasons
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.strategy import StrategyMemory, choose_strategy
from mothernets_jax.stages.task import Task
from mothernets_jax.stages.trainer import GroupTrainer
from mothernets_jax.training.member_step import MemberState, blank_state

_TRIALS = 3
# Of a call whose steps are timed, at least, unless an epoch is shorter.
_CALL_SECONDS = 0.2
_CALLS = 2 * (_TRIALS + 1)  # about so many calls are timed


class StageTiming(NamedTuple):
    """Seconds and bytes that the programs of a stage take.

    Attributes:
        strategy: the strategy that was timed, which the stage will be trained by.
        step_seconds: seconds of one step of all members.
        epoch_seconds: seconds that an epoch of all members takes beside its steps:
            drawing its batches and judging the members, without evaluating them.
        evaluation_seconds: seconds that one member takes to predict one image.
        peak_bytes: bytes that a device holds in a step, the images included; None where
            nobody counts.
    """

    strategy: str
    step_seconds: float
    epoch_seconds: float
    evaluation_seconds: float
    peak_bytes: int | None


def time_stage(
    stage: Stage,
    task: Task,
    strategy: str,
    executables: Executables,
    memory: StrategyMemory,
    *,
    seconds: float = 0.0,
) -> StageTiming:
    """Times a few steps of a stage and an evaluation, without training or saving it.

    Programs are compiled before, and the devices are waited for. The members are
    stand-ins of random numbers, whose values do not change how long a step takes. A
    stage of a recipe without epochs has no steps: their seconds are 0.

    Args:
        stage: the stage, which is not started.
        task: the images, and the devices to train on.
        strategy: `auto` or one of `group_step.STRATEGIES`.
        executables: the programs compiled so far, to which new ones are added.
        memory: the strategies chosen before, to which a new one is added.
        seconds: seconds to spend on timing, about; 0 for a few.
    """
    variables = _stand_in(stage.architecture, task)
    evaluation = _evaluation_seconds(stage, task, variables, executables)
    if not stage.recipe.epochs:
        return StageTiming("loop", 0.0, 0.0, evaluation, None)
    references = [_stand_in(own, task) for own in stage.spec.loss.references]
    states = [blank_state(variables, stage.spec) for _ in stage.members]
    chosen = choose_strategy(
        strategy, stage, task, states, executables, memory, references
    )
    trainer = GroupTrainer(stage, task, states, chosen, executables, references)
    of_call = max(_CALL_SECONDS, seconds / _CALLS)
    step = trainer.seconds_per_step(of_call)
    judged = len(stage.members) * len(task.dataset.validation_labels)
    parts = step * trainer.steps_per_epoch, evaluation * judged
    epoch = _epoch_seconds(trainer, stage, task, executables, parts, of_call)
    return StageTiming(chosen, step, epoch, evaluation, _peak_bytes(trainer, task))


def _epoch_seconds(
    trainer: GroupTrainer,
    stage: Stage,
    task: Task,
    executables: Executables,
    parts: tuple[float, float],
    call_seconds: float,
) -> float:
    """Seconds that an epoch takes beside its steps and the evaluation of members.

    Epochs that are short are timed whole, one after another as in a run: there the
    processor's caches do not hold what they do when a part is repeated alone.

    Args:
        trainer: the members' trainer.
        stage: the stage.
        task: the images.
        executables: the programs compiled so far.
        parts: seconds of all steps of an epoch, and of the evaluation of all members.
        call_seconds: seconds that short epochs are trained for, several times.
    """
    if sum(parts) > call_seconds:
        done = trainer.steps_per_epoch
        return _mean_seconds(lambda: _train_epoch(trainer, stage, task, first=done))

    def whole_epochs() -> None:
        for _ in range(repeats):
            states = _train_epoch(trainer, stage, task)
            for state in states.values():
                validation_scores(
                    stage.architecture,
                    state.variables,
                    task.dataset,
                    batch_size=task.evaluation_batch,
                    executables=executables,
                )

    repeats = max(1, round(call_seconds / sum(parts)))
    return max(0.0, _mean_seconds(whole_epochs) / repeats - sum(parts))


def _train_epoch(
    trainer: GroupTrainer, stage: Stage, task: Task, first: int = 0
) -> dict[str, MemberState]:
    """Trains an epoch from a step on and judges the members; returns their states."""
    trainer.run_epoch(0, [True] * len(stage.members), first=first)
    states = trainer.states()
    metrics = dict(zip(stage.members, trainer.metrics(), strict=True))
    divergence_reasons(states, metrics, task.num_classes)
    return states


def _stand_in(architecture: Any, task: Task) -> Variables:
    """Variables of random numbers; made on the host, so that nothing is compiled."""
    shapes = abstract_variables(architecture, task.input_shape, task.num_classes)
    generator = np.random.default_rng(0)

    def draw(leaf: Any) -> jax.Array:
        values = generator.uniform(0.01, 0.02, leaf.shape)
        return jax.device_put(values.astype(leaf.dtype))

    return jax.tree.map(draw, shapes)


def _evaluation_seconds(
    stage: Stage, task: Task, variables: Variables, executables: Executables
) -> float:
    """Seconds that one member takes to predict one image, in batches as in a run."""
    batch_size = task.evaluation_batch
    images = np.zeros((batch_size, *task.input_shape), task.dataset.input_dtype)

    def predict() -> None:
        predict_logits(
            stage.architecture,
            variables,
            images,
            task.dataset.mean,
            task.dataset.std,
            batch_size=batch_size,
            smallest_batch=batch_size,
            executables=executables,
        )

    return _mean_seconds(predict) / batch_size


def _mean_seconds(work: Callable[[], object]) -> float:
    """Mean seconds of some work after it was done once; the first host's on all.

    Of times whose sum is wanted, slow ones count as they are.
    """
    work()
    seconds = []
    for _ in range(_TRIALS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return multihost.broadcast_float(statistics.fmean(seconds))


def _peak_bytes(trainer: GroupTrainer, task: Task) -> int | None:
    """The most bytes that a device holds: as it counts, else as the compiler does."""
    counted = (task.devices[0].memory_stats() or {}).get("peak_bytes_in_use")
    compiled = trainer.memory_bytes()
    return max(filter(None, (counted, compiled)), default=None)
