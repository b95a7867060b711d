"""The choice of the strategy that steps a group: as requested, or by a short trial.

The choice is remembered in the run's folder, since strategies agree to rounding only: a
run that goes on after an interruption must not change its own.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mothernets_jax.models.variables import Variables
from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.stage import Stage, strategy_without_trial
from mothernets_jax.stages.task import Task, steps_per_epoch
from mothernets_jax.stages.trainer import GroupTrainer
from mothernets_jax.storage import files
from mothernets_jax.training.group_step import STRATEGIES
from mothernets_jax.training.member_step import MemberState

_log = logging.getLogger(__name__)

# A trial is worth its compilation where a program this many times as fast as single
# members would save more time than compiling it is expected to take.
_HOPED_FOR_SPEED = 1.5
# Compiled steps of more members than this take longer to compile than they can save.
_MOST_UNROLLED = 4


class StrategyMemory:
    """The choices of a run: device, architecture, batch, members, dtype -> strategy."""

    def __init__(self, path: Path | None = None):
        """Reads the choices from the file if it exists.

        Args:
            path: the JSON file of the choices; None keeps them in memory only.

        Raises:
            ValueError: the file is damaged.
        """
        self._path = path
        self._lock = threading.Lock()
        self.choices: dict[str, dict[str, Any]] = multihost.run_on_host0(self._read)

    def remember(self, key: str, choice: dict[str, Any]) -> None:
        """Adds a choice and writes the file; stages side by side may do so at once."""
        with self._lock:
            self.choices[key] = choice
            if self._path is not None:
                multihost.run_on_host0(self._write)

    def _read(self) -> dict[str, dict[str, Any]]:
        if self._path is None or not self._path.exists():
            return {}
        found = files.read_json(self._path)
        choices = found.values() if isinstance(found, dict) else [None]
        known = [
            isinstance(c, dict) and c.get("strategy") in STRATEGIES for c in choices
        ]
        if not all(known):
            raise ValueError(
                f"{self._path} is damaged (it names a strategy that there is not): "
                "delete it, and a few steps of each are timed anew"
            )
        return found

    def _write(self) -> None:
        assert self._path is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(self._path, self.choices)


def choose_strategy(
    requested: str,
    stage: Stage,
    task: Task,
    states: Sequence[MemberState],
    executables: Executables,
    memory: StrategyMemory,
    references: Sequence[Variables] = (),
) -> str:
    """Chooses the strategy of a stage; `auto` times a few steps where that can pay.

    Args:
        requested: `auto` or one of `group_step.STRATEGIES`.
        stage: the stage that will be trained.
        task: the images, and the devices to train on.
        states: first states of the members, in the stage's order.
        executables: the programs compiled so far, to which new ones are added.
        memory: the choices made before, to which a new one is added.
        references: variables of the networks that the loss refers to.
    """
    members = len(stage.members)
    strategy = strategy_without_trial(requested, stage)
    if strategy is not None:
        return strategy
    key = _key(stage, task)
    if key in memory.choices:
        return memory.choices[key]["strategy"]
    steps = stage.recipe.epochs * steps_per_epoch(stage.recipe, task)
    loop = GroupTrainer(stage, task, states, "loop", executables, references)
    seconds = {"loop": loop.seconds_per_step()}
    could_save = steps * seconds["loop"] * (1 - 1 / _HOPED_FOR_SPEED)
    other = "unroll" if jax.default_backend() == "cpu" else "vmap"
    too_many = other == "unroll" and members > _MOST_UNROLLED
    if not too_many and could_save > members * loop.compile_seconds:
        trial = GroupTrainer(stage, task, states, other, executables, references)
        seconds[other] = trial.seconds_per_step()
    strategy = min(seconds, key=seconds.__getitem__)
    memory.remember(key, {"strategy": strategy, "seconds_per_step": seconds})
    timed = ", ".join(f"{name} {1e3 * s:.2f} ms" for name, s in seconds.items())
    _log.info("%s: %s (a step of all members: %s)", stage.name, strategy, timed)
    return strategy


def _key(stage: Stage, task: Task) -> str:
    """The key of a choice: all that the fastest strategy depends on, in words."""
    dtype = task.dataset.mean.dtype if task.dtype is None else task.dtype
    return ", ".join(
        (
            f"{len(task.devices)} x {task.devices[0].device_kind}",
            str(stage.architecture),
            *(f"taught by {network}" for network in stage.spec.loss.references),
            f"batch {stage.recipe.batch_size}",
            f"{len(stage.members)} members",
            jnp.dtype(dtype).name,
        )
    )
