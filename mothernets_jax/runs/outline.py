"""The plan of a run without JAX, which takes seconds to import.

It is that of `experiment.show_plan`, number by number, for the methods that train
every network from scratch or hatch it; others need the stages themselves.
"""

import os
from typing import NamedTuple

from rich.console import Console

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import train_flops
from mothernets_jax.architectures.grouping import same_architecture
from mothernets_jax.config.settings import Recipe, Settings
from mothernets_jax.data import Dataset, statistics
from mothernets_jax.growth.clustering import Cluster
from mothernets_jax.methods.budget import (
    affordable_recipe,
    budget_flops,
    ends_cost,
    epoch_cost,
    in_epochs,
)
from mothernets_jax.methods.hatched_recipes import (
    clusters_of,
    hatched_recipes,
    mothernet_name,
)
from mothernets_jax.methods.saved_mother import saved_mother, with_saved_normalisation
from mothernets_jax.runs.data_table import print_data
from mothernets_jax.runs.plan import describe_clusters, print_plan
from mothernets_jax.runs.planned_stages import PlannedStage
from mothernets_jax.runs.read_data import read_dataset
from mothernets_jax.stages.amounts import average_flops, epoch_images

_FROM_SCRATCH = ("full_data", "bagging")
_HATCHED = "mothernets"


class _Task(NamedTuple):
    """The data, without anything on a device; see `stages.task.Task`."""

    dataset: Dataset

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.dataset.input_shape

    @property
    def num_classes(self) -> int:
        return self.dataset.num_classes


def show_outline(settings: Settings, console: Console) -> bool:
    """Prints the data, clusters, stages and FLOPs of a run with these settings.

    Args:
        settings: the run's settings.
        console: the console to print on.

    Returns:
        False, and nothing is printed, if a method needs its stages for that, or a task
        would be refused.

    Raises:
        ValueError: data or networks that cannot be used as the settings say.
    """
    others = {*settings.methods} - {_HATCHED, *_FROM_SCRATCH}
    if others or settings.hatch.bags or settings.grown:
        return False
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    dataset = with_saved_normalisation(read_dataset(settings, memory), settings)
    task = _Task(dataset)
    statistics.check_copies(task.dataset)
    padding = settings.data.crop_padding if settings.data.crop == "shift" else 0
    fits = settings.train.batch_size <= len(task.dataset.train_labels)
    if not fits or task.dataset.streamed or padding > min(task.input_shape[:2]):
        return False
    settings = in_epochs(settings, task)
    clusters, plans = outline(settings, task)
    print_data(console, settings.data, task.dataset)
    print_plan(
        console,
        describe_clusters(clusters, settings.members, task),
        plans,
        task,
        noise=settings.hatch.noise,
        budget=budget_flops(task, settings, settings.members),
        limit=settings.budget.limit,
    )
    return True


def outline(
    settings: Settings, task: _Task
) -> tuple[tuple[Cluster, ...], dict[str, list[PlannedStage]]]:
    """The clusters, and the stages of each method as a plan shows them.

    Args:
        settings: settings with no other methods than this module knows.
        task: the data set, or a task.
    """
    clusters: tuple[Cluster, ...] = ()
    plans = {}
    for method in settings.methods:
        if method == _HATCHED:
            clusters, plans[method] = _hatched(method, settings, task)
        else:
            plans[method] = _from_scratch(method, settings, task)
    return clusters, plans


def _hatched(
    method: str, settings: Settings, task: _Task
) -> tuple[tuple[Cluster, ...], list[PlannedStage]]:
    members = settings.members
    saved = saved_mother(settings, members, task)
    clusters = clusters_of(task, settings, members, saved)
    recipe, of_members = hatched_recipes(
        method, task, settings, members, clusters, begun=saved is not None
    )
    stages = []
    for number, found in enumerate(clusters, start=1):
        name = mothernet_name(number)
        stages.append(_stage(settings, task, (name,), found.mothernet, recipe))
        for architecture, names in same_architecture(found.members, members).items():
            scratch = epoch_cost(task, recipe, [architecture] * len(names))
            stages.append(
                _stage(settings, task, names, architecture, of_members)._replace(
                    mother=name, scratch_flops=recipe.epochs * scratch
                )
            )
    return clusters, stages


def _from_scratch(method: str, settings: Settings, task: _Task) -> list[PlannedStage]:
    members, recipe = settings.members, settings.train
    recipe = affordable_recipe(
        method,
        recipe,
        budget_flops(task, settings, members),
        epoch_cost(task, recipe, members.values()),
        once=ends_cost(task, recipe, members.values()),
    )
    return [
        _stage(settings, task, names, architecture, recipe)
        for architecture, names in same_architecture(members, members).items()
    ]


def _stage(
    settings: Settings,
    task: _Task,
    names: tuple[str, ...],
    architecture: Architecture,
    recipe: Recipe,
) -> PlannedStage:
    strategy = "timed" if settings.strategy == "auto" else settings.strategy
    of_image = train_flops(architecture, task.input_shape, task.num_classes)
    each = recipe.epochs * epoch_images(recipe, task) * of_image
    each += average_flops(task, recipe, architecture)
    return PlannedStage(
        names[0],
        names,
        "loop" if len(names) == 1 else strategy,
        recipe.epochs,
        len(names) * each,
    )
