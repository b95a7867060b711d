"""Snapshot Ensembles: one network in cosine cycles, a member at the end of each.

References: Huang et al. 2017, "Snapshot Ensembles: Train 1, get M for free".
"""

import dataclasses
from collections.abc import Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.settings import Settings
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

NAME = "snapshot"


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> MethodPlan:
    """A stage for each cycle, which goes on where the one before it ended.

    There are as many cycles as members, all of one length; the optimiser's state is
    never reset.

    Raises:
        ValueError: a budget too small.
    """
    network, architecture = single_network(task, members)
    recipe = dataclasses.replace(
        settings.train,
        epochs=settings.snapshot.cycle_epochs,
        learning_rate=settings.snapshot.learning_rate,
        schedule="cosine",
        warmup_epochs=0.0,
        stop="epochs",
        average=settings.snapshot.average or settings.train.average,
    )
    budget = budget_flops(task, settings, members)
    if budget is not None:
        cycles = [architecture] * len(members)
        epochs = affordable_epochs(
            NAME,
            budget,
            epoch_cost(task, recipe, cycles),
            once=ends_cost(task, recipe, cycles),
        )
        recipe = dataclasses.replace(recipe, epochs=epochs)
    spec = step_spec(task, architecture, recipe=recipe)
    names = [f"{network}_cycle_{i}" for i in range(1, len(members) + 1)]
    stages = []
    for i, name in enumerate(names):
        if i == 0:
            start, needs = start_at_random(task, NAME, spec, (name,)), ()
        else:
            start, needs = continue_from(names[i - 1], name), (names[i - 1],)
        stages.append(Stage(NAME, name, (name,), recipe, spec, start, needs))
    return MethodPlan(tuple(stages), dict.fromkeys(names, architecture))
