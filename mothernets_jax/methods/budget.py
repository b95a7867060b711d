"""Budgets of methods, and the numbers of epochs that they pay for.

A budget is a number of training FLOPs, given as epochs of a reference network; every
method gets the same. Without one, each trains for the epochs that its settings say.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import num_params, train_flops
from mothernets_jax.config.budget_limit import parse_limit
from mothernets_jax.config.settings import Recipe, Settings
from mothernets_jax.stages.amounts import TaskData, average_flops, epoch_images


def single_network(
    task: TaskData, members: Mapping[str, Architecture]
) -> tuple[str, Architecture]:
    """Name and architecture of the network for methods that train only one.

    It is the member whose parameters times the ensemble's size come nearest the
    ensemble's total, so that the ensemble is as large as the others.
    """

    def size(architecture: Architecture) -> int:
        return num_params(architecture, task.input_shape, task.num_classes)

    mean = sum(map(size, members.values())) / len(members)
    name = min(members, key=lambda name: abs(size(members[name]) - mean))
    # Replicas of one architecture have a number, which says nothing here.
    stem = name.rpartition("_")[0]
    alike = [other for other, a in members.items() if a == members[name]]
    return stem if len(alike) > 1 and stem else name, members[name]


def epoch_cost(
    task: TaskData, recipe: Recipe, architectures: Iterable[Architecture]
) -> float:
    """Training FLOPs of one epoch of all these networks together."""
    shape, classes = task.input_shape, task.num_classes
    flops = sum(train_flops(a, shape, classes) for a in architectures)
    return epoch_images(recipe, task) * flops


def ends_cost(
    task: TaskData, recipe: Recipe, architectures: Iterable[Architecture]
) -> float:
    """Training FLOPs of what these networks do once, after their last epoch."""
    return sum(average_flops(task, recipe, a) for a in architectures)


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with the number of epochs that a budget pays for.

    All of them are trained, and the warm-up takes at most a half.
    """
    return dataclasses.replace(
        recipe,
        epochs=epochs,
        warmup_epochs=min(recipe.warmup_epochs, epochs / 2),
        stop="epochs",
    )


def budget_flops(
    task: TaskData, settings: Settings, members: Mapping[str, Architecture]
) -> float | None:
    """Training FLOPs that each method may spend; None without a budget."""
    epochs, reference = settings.budget.epochs, settings.budget.reference
    if epochs is None:
        return None
    by_name = {name: a for name, a in members.items()} | settings.networks
    network = by_name[reference] if reference else single_network(task, members)[1]
    return epochs * epoch_cost(task, settings.train, [network])


def of_epochs(settings: Settings, epochs: float) -> Settings:
    """The same settings with a budget of a number of epochs alone."""
    budget = dataclasses.replace(settings.budget, epochs=epochs, limit="")
    return dataclasses.replace(settings, budget=budget)


def in_epochs(settings: Settings, task: TaskData) -> Settings:
    """Settings whose budget is in epochs, where that is a matter of arithmetic.

    A limit of time or dollars is left as it is: epochs are found by timing, when a run
    begins.
    """
    if not settings.budget.limit:
        return settings
    limit = parse_limit(settings.budget.limit)
    if limit.unit == "epochs":
        return of_epochs(settings, limit.amount)
    if limit.unit == "flops":
        one = budget_flops(task, of_epochs(settings, 1.0), settings.members)
        assert one is not None
        return of_epochs(settings, limit.amount / one)
    return settings


def whole_epochs(budget: float, flops: float) -> int:
    """Whole epochs that a budget pays for; rounding errors take none away.

    Args:
        budget: training FLOPs.
        flops: training FLOPs of one epoch.

    >>> whole_epochs(0.1 + 0.2, 0.1), whole_epochs(0.29, 0.1)
    (3, 2)
    """
    return int(budget / flops + 1e-9)


def affordable_recipe(
    method: str,
    recipe: Recipe,
    budget: float | None,
    flops: float,
    *,
    once: float = 0.0,
) -> Recipe:
    """The recipe with the epochs that a budget pays for; unchanged without a budget.

    Args:
        method: words for what is trained, for the message.
        recipe: the recipe of all networks that are trained.
        budget: training FLOPs; None for no limit.
        flops: training FLOPs of one epoch of all these networks.
        once: training FLOPs of what they do once.

    Raises:
        ValueError: a budget that does not pay for one epoch.
    """
    if budget is None:
        return recipe
    epochs = affordable_epochs(method, budget, flops, once=once)
    return with_epochs(recipe, epochs)


def affordable_epochs(
    method: str, budget: float, flops: float, *, once: float = 0.0
) -> int:
    """Whole epochs that a budget pays for, at least one.

    Args:
        method: words for what is trained, for the message.
        budget: training FLOPs.
        flops: training FLOPs of one epoch of all that is trained.
        once: training FLOPs of what is done once, whatever the number of epochs.

    Raises:
        ValueError: a budget that does not pay for one epoch.
    """
    epochs = whole_epochs(budget - once, flops)
    if epochs < 1:
        raise ValueError(
            f"config.budget.epochs pays for {max(0.0, budget):.3g} training FLOPs, but "
            f"one epoch of {method} takes {flops + once:.3g}: raise it, or leave the "
            "method out of config.methods"
        )
    return epochs
