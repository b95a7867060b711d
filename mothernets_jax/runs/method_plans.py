"""The plans of all methods of a run, checked against what devices can do."""

from collections.abc import Mapping
from typing import Any

from mothernets_jax.architectures.costs import train_flops
from mothernets_jax.config.settings import Recipe, Settings
from mothernets_jax.methods import METHODS
from mothernets_jax.methods.grown import grown_plan
from mothernets_jax.runs.limits import (
    check_batch_norm,
    check_filters,
    check_precision,
    check_steps,
)
from mothernets_jax.runs.plan import describe_clusters
from mothernets_jax.runs.planned_stages import PlannedStage
from mothernets_jax.runs.recipes import describe_recipes, describe_variation
from mothernets_jax.stages.stage import (
    MethodPlan,
    Stage,
    planned_flops,
    strategy_without_trial,
)
from mothernets_jax.stages.task import Task, epoch_images


def method_plans(task: Task, settings: Settings) -> dict[str, MethodPlan]:
    """Plans every method of a run.

    Args:
        task: the task that the methods work on.
        settings: the run's settings.

    Returns:
        The plans by method, in the order of `settings.methods`.

    Raises:
        ValueError: a method that cannot be planned as the settings say, or a stage that
            no device could finish or learn anything in.
    """
    check_precision()
    members = settings.members
    plans = {name: METHODS[name](task, settings, members) for name in settings.methods}
    if settings.grown:
        plans = {n: grown_plan(n, own, task, settings) for n, own in plans.items()}
    stages = [stage for plan in plans.values() for stage in plan.stages]
    check_filters(stages, task)
    check_steps(stages, task)
    check_batch_norm(stages, task)
    return plans


def planned_stages(plan: MethodPlan, task: Task, strategy: str) -> list[PlannedStage]:
    """The stages of a method as a plan shows them.

    Args:
        plan: the method's stages and members.
        task: the task that they work on.
        strategy: the setting `strategy`: how members are stepped together.
    """
    mothers = {
        stage.label: stage.recipe
        for stage in plan.stages
        if plan.clusters and stage.members == (stage.label,)
    }
    shown = []
    for stage in plan.stages:
        mother = next((name for name in stage.needs if name in mothers), "")
        scratch = _scratch_flops(stage, task, mothers[mother]) if mother else 0.0
        shown.append(
            PlannedStage(
                stage.name,
                stage.members,
                strategy_without_trial(strategy, stage) or "timed",
                stage.recipe.epochs,
                planned_flops(stage, task),
                mother,
                scratch,
            )
        )
    return shown


def planned(
    task: Task, settings: Settings, plans: Mapping[str, MethodPlan]
) -> dict[str, list[PlannedStage]]:
    """Each method's stages as a plan shows them."""
    strategy = settings.strategy
    return {name: planned_stages(own, task, strategy) for name, own in plans.items()}


def describe_plans(
    task: Task, settings: Settings, plans: Mapping[str, MethodPlan]
) -> dict[str, Any]:
    """Clusters of all methods that have any, and all recipes, as plain values."""
    clusters = [found for plan in plans.values() for found in plan.clusters]
    networks = {
        name: stage.architecture
        for plan in plans.values()
        for stage in plan.stages
        for name in stage.members
    }
    return {
        **describe_clusters(clusters, networks | settings.members, task),
        "recipes": describe_recipes(plans, task),
        "variation": describe_variation(settings),
    }


def _scratch_flops(stage: Stage, task: Task, recipe: Recipe) -> float:
    """Training FLOPs of a stage's members from scratch, by their MotherNet's recipe."""
    of_image = train_flops(stage.architecture, task.input_shape, task.num_classes)
    images = epoch_images(recipe, task) * recipe.epochs
    return images * len(stage.members) * of_image
