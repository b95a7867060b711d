"""Run a stage: train its members, epoch by epoch, and record what happened."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax import metrics
from mothernets_jax.compilation import Executables
from mothernets_jax.evaluation import predict_logits
from mothernets_jax.groups import choose_strategy, make_epoch, train_epoch
from mothernets_jax.models import Variables
from mothernets_jax.progress import RunProgress
from mothernets_jax.schedules import learning_rates
from mothernets_jax.stages import EVALUATION_BATCH, Stage, Task, epoch_flops
from mothernets_jax.training import MemberState, new_state
from mothernets_jax.trees import named_key

_log = logging.getLogger(__name__)


class StageResult(NamedTuple):
    """What a stage produced: variables by member and a JSON record of the training."""

    variables: dict[str, Variables]
    record: dict[str, Any]


def plateaued(accuracies: Sequence[float], patience_epochs: int) -> bool:
    """Whether the training accuracy has not improved for so many epochs."""
    best = int(np.argmax(accuracies)) if accuracies else 0
    return len(accuracies) - 1 - best >= patience_epochs


def run_stage(
    stage: Stage,
    task: Task,
    trained: Mapping[str, Variables],
    *,
    strategy: str,
    executables: Executables,
    progress: RunProgress,
    log: Callable[..., None],
) -> StageResult:
    """Trains a stage's members from their start to the end of their recipe.

    Args:
        stage: what to train.
        task: on what.
        trained: variables that earlier stages trained, by network.
        strategy: `auto` or one of `groups.STRATEGIES`.
        executables: compiled programs.
        progress: told of every epoch.
        log: called with the metrics of each member's epoch as keyword arguments.
    """
    compiled_before, started = executables.seconds, time.perf_counter()
    start = stage.start(trained, executables)
    hatch_seconds = time.perf_counter() - started
    hatch_seconds -= executables.seconds - compiled_before

    strategy = choose_strategy(strategy, len(stage.members))
    states = [new_state(start.variables[name]) for name in stage.members]
    trainer = _GroupTrainer(stage, task, strategy, states, executables)
    histories = {name: _new_history() for name in stage.members}
    clocks = {"train_seconds": 0.0, "eval_seconds": 0.0}
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
        if not any(active):
            progress.skip(flops * (recipe.epochs - epoch) * len(stage.members))
            break
        clocks["train_seconds"] += trainer.run_epoch(epoch, active)
        evaluated = time.perf_counter()
        compiled = executables.seconds
        for i, name in enumerate(stage.members):
            if active[i]:
                entry = trainer.epoch_record(i, epoch)
                for key, value in entry.items():
                    histories[name][key].append(value)
                log(stage=stage.name, member=name, epoch=epoch + 1, **entry)
        clocks["eval_seconds"] += time.perf_counter() - evaluated
        clocks["eval_seconds"] -= executables.seconds - compiled
        progress.skip(flops * (len(active) - sum(active)))
        latest = _latest(histories.values())
        progress.advance(
            stage.name, epoch + 1, recipe.epochs, flops * sum(active), latest
        )
    epochs = {name: len(h["train_loss"]) for name, h in histories.items()}
    record = {
        "name": stage.name,
        "architecture": str(stage.architecture),
        "members": list(stage.members),
        "strategy": strategy,
        "epochs": epochs,
        "train_flops": flops * sum(epochs.values()),
        "history": histories,
        "checks": start.checks,
        "clocks": {
            **clocks,
            "hatch_seconds": hatch_seconds if start.checks else 0.0,
            "compile_seconds": executables.seconds - compiled_before,
        },
    }
    return StageResult(trainer.variables(), record)


class _GroupTrainer:
    """The moving parts of a stage: the members' states and the last epoch's metrics."""

    def __init__(
        self,
        stage: Stage,
        task: Task,
        strategy: str,
        states: list[MemberState],
        executables: Executables,
    ):
        recipe, examples = stage.recipe, len(task.dataset.train_labels)
        self._steps = examples // recipe.batch_size
        self._rates = learning_rates(
            recipe.schedule,
            recipe.learning_rate,
            total_steps=self._steps * recipe.epochs,
            warmup_steps=round(self._steps * recipe.warmup_epochs),
        )
        self._weight_decay = jnp.asarray(recipe.weight_decay, jnp.float32)
        self._keys = [
            named_key(task.key, stage.method, name, "train") for name in stage.members
        ]
        self._stage, self._task = stage, task
        self._strategy, self._states, self._executables = strategy, states, executables
        self._metrics: list = [None] * len(states)
        together = 1 if strategy == "loop" else len(states)
        self._program = executables.get(
            make_epoch(
                stage.architecture, task.augmentation, recipe.batch_size, strategy
            ),
            tuple(states[:together]),
            task.training_data,
            tuple(self._keys[:together]),
            self._epoch_rates(0),
            self._weight_decay,
        )

    def run_epoch(self, epoch: int, active: list[bool]) -> float:
        """Trains the active members for an epoch; returns the seconds it took."""
        started = time.perf_counter()
        self._states, self._metrics = train_epoch(
            self._program,
            self._strategy,
            self._states,
            active,
            self._task.training_data,
            [jax.random.fold_in(key, epoch) for key in self._keys],
            self._epoch_rates(epoch),
            self._weight_decay,
        )
        jax.block_until_ready(self._states)
        return time.perf_counter() - started

    def epoch_record(self, i: int, epoch: int) -> dict[str, float | None]:
        """The figures of the i-th member's last epoch."""
        return {
            "train_loss": float(self._metrics[i].loss),
            "train_error": 1 - float(self._metrics[i].accuracy),
            "validation_error": self._validation_error(i),
            "learning_rate": float(self._epoch_rates(epoch).mean()),
        }

    def variables(self) -> dict[str, Variables]:
        """The members' variables as they stand."""
        states = zip(self._stage.members, self._states, strict=True)
        return {name: state.variables for name, state in states}

    def _epoch_rates(self, epoch: int) -> jax.Array:
        return jnp.asarray(self._rates[epoch * self._steps : (epoch + 1) * self._steps])

    def _validation_error(self, i: int) -> float | None:
        dataset = self._task.dataset
        if not len(dataset.validation_labels):
            return None
        logits = predict_logits(
            self._stage.architecture,
            self._states[i].variables,
            dataset.validation_images,
            dataset.mean,
            dataset.std,
            batch_size=EVALUATION_BATCH,
            executables=self._executables,
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
