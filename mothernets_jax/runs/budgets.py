"""A budget of time or dollars, turned into epochs once, before anything is trained.

A few steps of each program are timed; the epochs that fit are written into the run's
folder, and a run that goes on reads them there: it is never timed again.
"""

import functools
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mothernets_jax.config.budget_limit import BudgetLimit, parse_limit
from mothernets_jax.config.settings import Settings
from mothernets_jax.methods.budget import in_epochs, of_epochs
from mothernets_jax.runs.measure import (
    Measurement,
    dollars,
    measure,
    method_seconds,
    untimed_seconds,
)
from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.stages.context import BUDGET, STRATEGIES
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.strategy import StrategyMemory
from mothernets_jax.stages.task import Task
from mothernets_jax.stages.timing import StageTiming
from mothernets_jax.storage import files

_log = logging.getLogger(__name__)

_FIELDS = {"limit": str, "epochs": float, "expected_seconds": float}
# Seconds that a run is expected to spend once, on evaluation and the report: an
# estimate, from small networks on two cores.
_RUN_SECONDS = 4.0
_SMALLEST_EPOCHS, _LARGEST_EPOCHS = 2.0**-6, 2.0**20
_MEASURED_EPOCHS = 64.0  # whose plan is timed, if it can be made
_TIMED_SHARE = 0.05  # of a budget's seconds, to time steps in
_PRECISION = 1.002  # of the number of epochs


class PlannedBudget(NamedTuple):
    """A budget as epochs, and what is to be kept of finding them.

    Attributes:
        settings: the run's settings, with a budget of epochs.
        record: content of the folder's record of the budget; None for none.
        choices: the strategies that were chosen on the way.
    """

    settings: Settings
    record: dict[str, Any] | None = None
    choices: Mapping[str, dict[str, Any]] = MappingProxyType({})

    def keep(self, workdir: Path) -> None:
        """Writes into a run's folder, on the first host, what a resumed run reads."""
        self.hand_on(StrategyMemory(workdir / STRATEGIES))
        if self.record is not None:
            write = functools.partial(files.write_json, workdir / BUDGET, self.record)
            multihost.run_on_host0(write)

    def hand_on(self, memory: StrategyMemory) -> None:
        """Adds the strategies that were chosen on the way to others."""
        for key, choice in self.choices.items():
            memory.remember(key, choice)


def plan_budget(
    settings: Settings,
    task: Task,
    workdir: Path | None,
    store: ProgramStore,
    *,
    started: float,
) -> PlannedBudget:
    """Turns a run's budget into a number of epochs, whatever it was given as.

    Args:
        settings: the run's settings.
        task: the task of the run.
        workdir: the run's folder, which need not be there; nothing is written. None
            where there is no run to go on with.
        store: compiled programs, to which those that are timed are added.
        started: `time.perf_counter()` of when the run began.

    Raises:
        ValueError: the budget does not pay for the smallest run, no price is known of
            the device, or the folder's record of the budget is damaged.
    """
    settings = in_epochs(settings, task)
    if not settings.budget.limit:
        return PlannedBudget(settings)
    limit = parse_limit(settings.budget.limit)
    found = multihost.run_on_host0(lambda: _read(workdir, settings.budget.limit))
    if found is not None:
        return PlannedBudget(of_epochs(settings, found["epochs"]))
    memory = StrategyMemory()
    record = _measured(settings, task, memory, store, limit, started)
    return PlannedBudget(of_epochs(settings, record["epochs"]), record, memory.choices)


def _measured(
    settings: Settings,
    task: Task,
    memory: StrategyMemory,
    store: ProgramStore,
    limit: BudgetLimit,
    started: float,
) -> dict[str, Any]:
    """The record of a budget whose epochs are found by timing a few steps."""
    seconds = limit.amount
    if limit.unit == "dollars":
        an_hour = dollars(3600.0, task, settings.prices)
        if an_hour is None:
            raise ValueError(
                f"config.budget.limit is {settings.budget.limit!r}, but no price is "
                f"known of {task.devices[0].device_kind!r}: set config.prices.NAME, in "
                "dollars an hour, for a NAME that is a part of it"
            )
        seconds = limit.amount / an_hour * 3600.0
    smallest = _smallest(settings, task)
    timed = of_epochs(settings, max(smallest, _MEASURED_EPOCHS))
    measurement = measure(
        timed, task, store=store, memory=memory, seconds=_TIMED_SHARE * seconds
    )
    timing_of = _by_program(timed, task, measurement)

    def expected(epochs: float) -> float:
        plans = method_plans(task, of_epochs(settings, epochs))
        trained = 0.0
        for plan in plans.values():
            own = {stage.name: timing_of[_program(stage)] for stage in plan.stages}
            trained += method_seconds(plan, own, task)
            trained += sum(map(untimed_seconds, plan.stages))
        return trained + _RUN_SECONDS

    spent = multihost.broadcast_float(time.perf_counter() - started)
    epochs = _most_epochs(expected, seconds - spent, smallest)
    if epochs is None:
        least = expected(smallest) + spent
        raise ValueError(
            f"config.budget.limit is {settings.budget.limit!r}, of which "
            f"{spent:.0f} s are gone on data, compiling and timing: the smallest run "
            f"takes about {least:.0f} s in all. Raise it, or train fewer or smaller "
            "networks"
        )
    total = expected(epochs) + spent
    _log.info(
        "budget %s: %.3g epochs of the reference network, about %.0f s in all",
        settings.budget.limit,
        epochs,
        total,
    )
    return {
        "limit": settings.budget.limit,
        "epochs": epochs,
        "expected_seconds": total,
    }


def _smallest(settings: Settings, task: Task) -> float:
    """The fewest epochs, to a factor of two, with which every method can be planned."""
    epochs = _SMALLEST_EPOCHS
    while True:
        try:
            method_plans(task, of_epochs(settings, epochs))
        except ValueError:
            if epochs >= _LARGEST_EPOCHS:
                raise
            epochs *= 2.0
        else:
            return epochs


def _most_epochs(
    expected: Callable[[float], float], seconds: float, smallest: float
) -> float | None:
    """The most epochs that take at most some seconds; None where the fewest do not."""
    if expected(smallest) > seconds:
        return None
    low = high = smallest
    while high < _LARGEST_EPOCHS and expected(high) <= seconds:
        low, high = high, 2.0 * high
    while high > low * _PRECISION:
        middle = (low + high) / 2.0
        if expected(middle) <= seconds:
            low = middle
        else:
            high = middle
    return low


def _program(stage: Stage) -> tuple:
    """What the time of a stage's step depends on."""
    return stage.spec, len(stage.members), stage.recipe.batch_size


def _by_program(
    settings: Settings, task: Task, measurement: Measurement
) -> dict[tuple, StageTiming]:
    """Times by program, as other numbers of epochs may have stages of other names."""
    plans = method_plans(task, settings).values()
    return {
        _program(stage): measurement.stages[stage.name]
        for plan in plans
        for stage in plan.stages
    }


def _read(workdir: Path | None, limit: str) -> dict[str, Any] | None:
    """The record of a run's budget; None where there is none yet.

    Raises:
        ValueError: the record is damaged, or of another budget.
    """
    path = workdir and workdir / BUDGET
    if path is None or not path.exists():
        return None
    try:
        found = files.read_json(path)
    except files.DamagedError:
        found = None
    if (
        not isinstance(found, dict)
        or {name: type(own) for name, own in found.items()} != _FIELDS
        or found["limit"] != limit
        or not _SMALLEST_EPOCHS <= found["epochs"] <= _LARGEST_EPOCHS
    ):
        raise ValueError(
            f"{path} is damaged, which says how many epochs the budget {limit!r} pays "
            "for: restore it, or begin the run in another folder"
        )
    return found
