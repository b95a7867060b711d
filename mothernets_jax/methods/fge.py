"""Fast Geometric Ensembling: a trained network in short triangular cycles.

A member is collected in the middle of each cycle, where the rate is smallest, so each
stage but the first two goes from one middle to the next.

References: Garipov et al. 2018, "Loss Surfaces, Mode Connectivity, and Fast Ensembling
of DNNs".
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.settings import FgeSettings, Recipe, Settings
from mothernets_jax.methods.budget import (
    affordable_epochs,
    budget_flops,
    ends_cost,
    epoch_cost,
    single_network,
)
from mothernets_jax.methods.scratch import continue_from, start_at_random
from mothernets_jax.stages.stage import MethodPlan, Stage
from mothernets_jax.stages.task import Task, step_spec
from mothernets_jax.training.schedules import learning_rates, triangular_cycles

NAME = "fge"


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> MethodPlan:
    """A stage for the training before the cycles, then one for each member.

    The training before follows the authors' schedule for as many epochs as it and the
    cycles take together, cut off where the cycles begin.

    Raises:
        ValueError: a budget that does not pay for the cycles and an epoch before them.
    """
    network, architecture = single_network(task, members)
    before_cycles = dataclasses.replace(settings.train, stop="epochs", average="none")
    recipe = dataclasses.replace(
        before_cycles, average=settings.fge.average or settings.train.average
    )
    cycle, before = _epochs(task, settings, members, recipe)
    total = before + _epochs_in_cycles(cycle, len(members))

    def rates_before(steps: int) -> np.ndarray:
        peak = settings.train.learning_rate
        rates = learning_rates("hold_linear", peak, total_steps=total * steps)
        return rates[: before * steps]

    first_spec = step_spec(task, architecture, recipe=before_cycles)
    spec = step_spec(task, architecture, recipe=recipe)
    start = start_at_random(task, NAME, first_spec, (network,))
    stages = [
        Stage(
            NAME,
            network,
            (network,),
            dataclasses.replace(before_cycles, epochs=before),
            first_spec,
            start,
            rates=rates_before,
        )
    ]
    names = [f"{network}_cycle_{i}" for i in range(1, len(members) + 1)]
    for i, (name, previous) in enumerate(zip(names, [network, *names], strict=False)):
        first = 0 if i == 0 else _epochs_in_cycles(cycle, i)
        epochs = cycle // 2 if i == 0 else cycle
        stages.append(
            Stage(
                NAME,
                name,
                (name,),
                dataclasses.replace(recipe, epochs=epochs),
                spec,
                continue_from(previous, name),
                (previous,),
                rates=functools.partial(_rates, settings.fge, cycle, first, epochs),
            )
        )
    return MethodPlan(tuple(stages), dict.fromkeys(names, architecture))


def _epochs(
    task: Task,
    settings: Settings,
    members: Mapping[str, Architecture],
    recipe: Recipe,
) -> tuple[int, int]:
    """Epochs of a cycle, and those before the first.

    Raises:
        ValueError: a budget that does not pay for the cycles and an epoch before them.
    """
    network, architecture = single_network(task, members)
    budget, affordable = budget_flops(task, settings, members), None
    if budget is not None:
        flops = epoch_cost(task, recipe, [architecture])
        ends = ends_cost(task, recipe, [architecture] * len(members))
        affordable = affordable_epochs(NAME, budget, flops, once=ends)
    cycle = settings.fge.cycle_epochs or _cycle_epochs(affordable, len(members))
    in_cycles = _epochs_in_cycles(cycle, len(members))
    total = affordable or settings.train.epochs + in_cycles
    before = total - in_cycles
    if before < 1:
        raise ValueError(
            f"config.budget.epochs pays for {total} epochs of {network}, but its "
            f"{len(members)} cycles of {cycle} epochs take {in_cycles}, and something "
            "must be trained before them: raise it, lower config.fge.cycle_epochs, or "
            "leave 'fge' out of config.methods"
        )
    return cycle, before


def _cycle_epochs(total: int | None, members: int) -> int:
    """Epochs of a cycle: 4, or 2 where 4 would take over a quarter of a budget.

    The authors take 4, and train for about three quarters of a budget before.

    Args:
        total: epochs that a budget pays for; None without one.
        members: number of members to be collected.
    """
    return 4 if total is None or 4 * _epochs_in_cycles(4, members) <= total else 2


def _epochs_in_cycles(cycle: int, members: int) -> int:
    """Epochs from the start of the first cycle to the middle of the last."""
    return cycle // 2 + (members - 1) * cycle


def _rates(
    fge: FgeSettings, cycle: int, first: int, epochs: int, steps: int
) -> np.ndarray:
    """Learning rates of some epochs of the cycles, float32 [epochs x steps].

    Args:
        fge: settings with the largest and the smallest rate.
        cycle: epochs of one cycle.
        first: number of the first of the epochs, 0 at the start of the first cycle.
        epochs: number of epochs.
        steps: steps of one epoch.
    """
    rates = triangular_cycles(
        fge.largest_rate,
        fge.smallest_rate,
        cycle_steps=cycle * steps,
        total_steps=(first + epochs) * steps,
    )
    return rates[first * steps :]
