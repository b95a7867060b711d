"""The recipes of MotherNets and of their members, and what each gets of a budget."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.field_names import CLUSTERS, named_as_fields
from mothernets_jax.config.settings import Recipe, Settings
from mothernets_jax.growth.clustering import Cluster, cluster
from mothernets_jax.methods.budget import (
    affordable_recipe,
    budget_flops,
    ends_cost,
    epoch_cost,
    whole_epochs,
    with_epochs,
)
from mothernets_jax.methods.saved_mother import SavedMother
from mothernets_jax.stages.amounts import TaskData


def clusters_of(
    task: TaskData,
    settings: Settings,
    members: Mapping[str, Architecture],
    saved: SavedMother | None,
) -> tuple[Cluster, ...]:
    """The clusters that the settings ask for; around a saved network a single one.

    They are looked for once: planning for other budgets, which is done often, finds
    the same.

    Args:
        task: the task, with the shape of images and the number of classes.
        settings: settings, of which `num_clusters`, `min_shared` and `align` are read.
        members: the members' architectures by name.
        saved: the saved network that can become every member, from `saved_mother`; None
            where MotherNets are trained from scratch.

    Raises:
        ValueError: members that cannot be clustered as asked for.
    """
    if saved is not None:
        return (Cluster(saved.architecture, tuple(members)),)
    with named_as_fields(CLUSTERS):
        return _clusters_of(
            tuple(members.items()),
            settings.num_clusters,
            settings.min_shared,
            settings.align,
            task.input_shape,
            task.num_classes,
        )


@functools.lru_cache(maxsize=8)
def _clusters_of(
    members: tuple[tuple[str, Architecture], ...],
    num_clusters: int | None,
    min_shared: float | None,
    align: str,
    input_shape: tuple[int, int, int],
    num_classes: int,
) -> tuple[Cluster, ...]:
    return cluster(
        dict(members),
        num_clusters=num_clusters,
        min_shared=min_shared,
        align=align,  # type: ignore[arg-type]  # checked by config
        input_shape=input_shape,
        num_classes=num_classes,
    )


def hatched_recipes(
    method: str,
    task: TaskData,
    settings: Settings,
    members: Mapping[str, Architecture],
    clusters: Sequence[Cluster],
    *,
    begun: bool = False,
) -> tuple[Recipe, Recipe]:
    """The MotherNets' recipe and the members'.

    Of a budget, the members get as many whole epochs as their share pays for, at least
    one, and the MotherNets what remains: of small budgets less than their share.

    Args:
        method: name of the method, for the message.
        task: the task that the networks are trained on.
        settings: settings with the recipes `train`, `mother` and `hatch`, and the
            budget.
        members: the members' architectures by name.
        clusters: the division of the members.
        begun: whether the MotherNet was trained before, and trains on for
            `mother.init_epochs`, whatever the budget.

    Raises:
        ValueError: a budget too small.
    """
    mother, member = settings.mother_recipe, settings.hatch_recipe
    if begun:
        mother = _training_on(mother, settings.mother.init_epochs)
    if settings.mother.cycles > 1:  # each begins with a rise that no stop rule knows
        mother = dataclasses.replace(mother, stop="epochs")
    budget = budget_flops(task, settings, members)
    if budget is None:
        return mother, member
    mothers = [found.mothernet for found in clusters]
    mothers_flops = epoch_cost(task, mother, mothers)
    mothers_ends = ends_cost(task, mother, mothers)
    members_flops = epoch_cost(task, member, members.values())
    members_ends = ends_cost(task, member, members.values())
    if begun:
        rest = budget - mother.epochs * mothers_flops - mothers_ends
        what = f"{method}, beside its MotherNet,"
        return mother, affordable_recipe(
            what, member, rest, members_flops, once=members_ends
        )
    mothers_share = settings.mother.budget_share
    if mothers_share is None:
        mothers_share = usual_share(budget / members_flops)
    members_budget = (1 - mothers_share) * budget - members_ends
    member_epochs = max(1, whole_epochs(members_budget, members_flops))
    rest = budget - member_epochs * members_flops - members_ends
    what = f"{method}, beside {member_epochs} of its members,"
    return (
        affordable_recipe(what, mother, rest, mothers_flops, once=mothers_ends),
        with_epochs(member, member_epochs),
    )


def _training_on(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe of a network that was trained before; without epochs no average."""
    warmup = min(recipe.warmup_epochs, epochs / 2)
    average = recipe.average if epochs else "none"
    return dataclasses.replace(
        recipe, epochs=epochs, warmup_epochs=warmup, average=average
    )


def usual_share(epochs: float) -> float:
    """The MotherNets' share of a budget where the settings name none.

    The FLOPs that MotherNets get grow with the budget's square root. Small budgets are
    best spent on one network; of a large one 0.3 was chosen on one seed's validation
    split, and was no better than 0.7 with two other seeds (CIFAR-10), nor on the
    digits; with more clusters a larger share is better (docs/measurements/choices.md).

    Args:
        epochs: epochs that every member could train for if members had all the budget.

    >>> [round(usual_share(epochs), 2) for epochs in (2, 4.7, 22.7, 100)]
    [0.7, 0.69, 0.31, 0.15]
    """
    return min(0.7, 1.5 / math.sqrt(max(epochs, 1.0)))


def mothernet_name(number: int) -> str:
    """The name of a cluster's MotherNet, by the cluster's number from 1."""
    return f"mothernet_{number}"
