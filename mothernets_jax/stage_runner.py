"""Run a stage: train its members, epoch by epoch, and record what happened."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax import hosts, metrics
from mothernets_jax.compilation import Executables, ProgramStore
from mothernets_jax.devices import describe_speed
from mothernets_jax.evaluation import predict_logits, prepare_prediction
from mothernets_jax.group_trainer import GroupTrainer, prepare_training
from mothernets_jax.models import Variables, abstract_variables
from mothernets_jax.progress import RunProgress
from mothernets_jax.stages import (
    EVALUATION_BATCH,
    Stage,
    Task,
    epoch_flops,
    epoch_images,
)
from mothernets_jax.strategies import StrategyMemory, choose_strategy
from mothernets_jax.training import MemberState

_log = logging.getLogger(__name__)


class StageResult(NamedTuple):
    """What a stage produced: states by member and a JSON record of the training."""

    states: dict[str, MemberState]
    record: dict[str, Any]


def plateaued(accuracies: Sequence[float], patience_epochs: int) -> bool:
    """Whether the training accuracy has not improved for so many epochs."""
    best = int(np.argmax(accuracies)) if accuracies else 0
    return len(accuracies) - 1 - best >= patience_epochs


def prepare_stage(stage: Stage, task: Task, strategy: str, store: ProgramStore) -> None:
    """Compiles in the background what `run_stage` will use on a single device."""
    if len(task.devices) > 1:
        return  # which devices it will have is not known yet
    stage.prepare(store)
    variables = abstract_variables(
        stage.architecture, task.input_shape, task.num_classes
    )
    prepare_training(stage, task, variables, strategy, store)
    prepare_prediction(
        stage.architecture, variables, task.input_shape, EVALUATION_BATCH, store
    )


def run_stage(
    stage: Stage,
    task: Task,
    trained: Mapping[str, MemberState],
    *,
    strategy: str,
    memory: StrategyMemory,
    executables: Executables,
    progress: RunProgress,
    log: Callable[..., None],
) -> StageResult:
    """Trains a stage's members from their start to the end of their recipe.

    Args:
        stage: what to train.
        task: on what.
        trained: states in which earlier stages left their networks.
        strategy: `auto` or one of `groups.STRATEGIES`.
        memory: the run's choices of strategies.
        executables: compiled programs; its meter counts this stage's alone.
        progress: told of every epoch.
        log: called with the metrics of each member's epoch as keyword arguments.
    """

    def stopwatch() -> Callable[[], float]:
        """Seconds since now, without those spent waiting for programs."""
        started, waited = time.perf_counter(), executables.waited
        return lambda: time.perf_counter() - started - (executables.waited - waited)

    hatching = stopwatch()
    start = stage.start(trained, executables)
    hatch_seconds = hatching()
    starts = [start.states[name] for name in stage.members]
    # Hosts of several kinds may round differently.
    starts = hosts.arrays_on_first(lambda: starts, starts)
    taught = stage.distillation
    teacher = trained[taught.teacher].variables if taught else None
    strategy = choose_strategy(
        strategy, stage, task, starts, executables, memory, teacher
    )
    trainer = GroupTrainer(stage, task, starts, strategy, executables, teacher)
    histories = {name: _new_history() for name in stage.members}
    train_seconds, eval_seconds = 0.0, 0.0
    recipe, flops = stage.recipe, epoch_flops(stage, task)
    progress.start_stage(stage.name, recipe.epochs)
    for epoch in range(recipe.epochs):
        active = [
            recipe.stop == "epochs"
            or not plateaued(
                [-error for error in histories[name]["train_error"]],
                recipe.patience_epochs,
            )
            for name in stage.members
        ]
        if stage.branches_at:  # all or none, as they share their trunk
            active = [any(active)] * len(active)
        if not any(active):
            progress.skip(flops * (recipe.epochs - epoch) * len(stage.members))
            break
        now_training = flops * sum(active)
        seconds = trainer.run_epoch(
            epoch, active, lambda share, work=now_training: progress.work(share * work)
        )
        train_seconds += seconds
        progress.skip(flops * len(active) - now_training)
        evaluating = stopwatch()
        states, metrics_of = trainer.states(), trainer.metrics()
        for i, name in enumerate(stage.members):
            if active[i]:
                entry = {
                    "train_loss": metrics_of[i].loss,
                    "train_error": 1 - metrics_of[i].accuracy,
                    "validation_error": _validation_error(
                        stage, task, states[name].variables, executables
                    ),
                    "learning_rate": trainer.mean_rate(epoch),
                }
                for key, value in entry.items():
                    histories[name][key].append(value)
                log(stage=stage.name, member=name, epoch=epoch + 1, **entry)
        eval_seconds += evaluating()
        images = trainer.steps_per_epoch * recipe.batch_size * sum(active)
        speed = describe_speed(images, now_training, seconds, task.dtype)
        latest = f"{_latest(histories.values())}, {speed}"
        progress.advance(stage.name, epoch + 1, recipe.epochs, latest)
    progress.end_stage(stage.name)
    epochs = {name: len(h["train_loss"]) for name, h in histories.items()}
    record = {
        "name": stage.name,
        "architecture": str(stage.architecture),
        "members": list(stage.members),
        "strategy": strategy,
        "epochs": epochs,
        "train_flops": flops * sum(epochs.values()),
        "images": epoch_images(recipe, task) * sum(epochs.values()),
        "needs": list(stage.needs),
        "history": histories,
        "checks": start.checks,
        "clocks": {
            "train_seconds": train_seconds,
            "eval_seconds": eval_seconds,
            "hatch_seconds": hatch_seconds if start.checks else 0.0,
            "compile_seconds": executables.seconds,
            "compile_wait_seconds": executables.waited,
            "memory_bytes": trainer.memory_bytes(),
        },
    }
    return StageResult(trainer.states(), record)


def _validation_error(
    stage: Stage, task: Task, variables: Variables, executables: Executables
) -> float | None:
    dataset = task.dataset
    if not len(dataset.validation_labels):
        return None
    logits = predict_logits(
        stage.architecture,
        variables,
        dataset.validation_images,
        dataset.mean,
        dataset.std,
        batch_size=EVALUATION_BATCH,
        executables=executables,
    )
    return metrics.error(logits, dataset.validation_labels)


def _new_history() -> dict[str, list]:
    names = ("train_loss", "train_error", "validation_error", "learning_rate")
    return {name: [] for name in names}


def _latest(histories: Iterable[Mapping[str, list]]) -> str:
    """The group's newest figures in a few words."""
    losses = [history["train_loss"][-1] for history in histories]
    errors = [history["train_error"][-1] for history in histories]
    validation = [history["validation_error"][-1] for history in histories]
    text = f"loss {np.mean(losses):.3f}, training error {np.mean(errors):.1%}"
    if None not in validation:
        text += f", validation error {np.mean(validation):.1%}"
    if not np.isfinite(losses).all():
        _log.warning("the training loss is no longer a number: %s", text)
    return text
