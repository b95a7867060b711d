"""Stochastic Weight Averaging: one network, the mean of its last epochs' weights.

The ensemble has this one member: it is the bar that any ensemble has to pass.

References: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better
Generalization", and the authors' code, github.com/timgaripov/swa.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.settings import Settings
from mothernets_jax.methods.budget import (
    affordable_recipe,
    budget_flops,
    ends_cost,
    epoch_cost,
    single_network,
)
from mothernets_jax.methods.scratch import start_at_random
from mothernets_jax.stages.stage import MethodPlan, Stage
from mothernets_jax.stages.task import Task, step_spec

NAME = "swa"


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> MethodPlan:
    """One stage of one network, whose mean is the only member.

    The mean begins after `swa.start_share` of the epochs, to the nearest whole epoch,
    and takes the weights at the end of that epoch and of every later one, all alike.
    The authors then estimate batch statistics on all training images; here that is done
    as for any average, see `averaging.STATISTICS_STEPS`.

    Raises:
        ValueError: a budget too small.
    """
    network, architecture = single_network(task, members)
    recipe = dataclasses.replace(
        settings.train, warmup_epochs=0.0, stop="epochs", average="tail"
    )
    recipe = affordable_recipe(
        NAME,
        recipe,
        budget_flops(task, settings, members),
        epoch_cost(task, recipe, [architecture]),
        once=ends_cost(task, recipe, [architecture]),
    )
    start_epochs = max(1, round(settings.swa.start_share * recipe.epochs))
    spec = step_spec(task, architecture, recipe=recipe)
    stage = Stage(
        NAME,
        network,
        (network,),
        recipe,
        spec,
        start_at_random(task, NAME, spec, (network,)),
        rates=functools.partial(
            rates,
            recipe.learning_rate,
            settings.swa.learning_rate,
            recipe.epochs,
            start_epochs,
        ),
        average_weights=functools.partial(weights_of_mean, recipe.epochs, start_epochs),
    )
    return MethodPlan((stage,), {network: architecture})


def rates(
    first: float, last: float, epochs: int, start_epochs: int, steps: int
) -> np.ndarray:
    """Learning rates, constant within each epoch, float32 [epochs x steps].

    The first rate for half of the epochs before the mean begins, then a linear way to
    the last one at nine tenths of them, and the last one to the end.

    Args:
        first: the rate at the start.
        last: the rate while the mean is taken.
        epochs: number of epochs.
        start_epochs: epochs that are done when the mean begins.
        steps: steps of one epoch.

    >>> rates(1.0, 0.2, 6, 5, 1).round(3).tolist()
    [1.0, 1.0, 1.0, 0.8, 0.4, 0.2]
    """
    done = np.arange(epochs) / start_epochs
    of_epochs = np.interp(done, [0.5, 0.9], [first, last])
    return np.repeat(of_epochs, steps).astype(np.float32)


def weights_of_mean(epochs: int, start_epochs: int, steps: int) -> np.ndarray:
    """The weight of every step in the mean, float32 [epochs x steps].

    It is 1 / k at the end of the k-th epoch of the mean, and 0 in all other steps.

    Args:
        epochs: number of epochs.
        start_epochs: epochs that are done when the mean begins, the last of which is
            its first.
        steps: steps of one epoch.

    >>> weights_of_mean(3, 2, 2).tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0, 0.5]
    """
    weights = np.zeros((epochs, steps), np.float32)
    weights[start_epochs - 1 :, -1] = 1 / np.arange(1, epochs - start_epochs + 2)
    return weights.ravel()
