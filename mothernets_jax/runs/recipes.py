"""How the networks of a run are trained, as plain values for `results.json`."""

from collections.abc import Mapping
from typing import Any

from mothernets_jax.config.settings import Settings
from mothernets_jax.stages.stage import MethodPlan, Stage, stage_rates
from mothernets_jax.stages.task import Task

_FIELDS = (
    "epochs",
    "learning_rate",
    "schedule",
    "batch_size",
    "weight_decay",
    "label_smoothing",
    "optimizer",
    "average",
    "stop",
)


def describe_recipes(
    plans: Mapping[str, MethodPlan], task: Task
) -> dict[str, list[dict[str, Any]]]:
    """Each method's recipes, with the networks that are trained by each.

    Args:
        plans: each method's stages.
        task: the task that the networks are trained on.

    Returns:
        For each method a list of recipes, in the order in which they come first:
        `networks`, their names, and the fields of the recipe that a reader asks for.
        Where a method has rates of its own, such as cycles, `schedule` is `own`, and
        `learning_rate` the largest of them.
    """
    described = {}
    for method, plan in plans.items():
        alike: dict[tuple, list[str]] = {}
        for stage in plan.stages:
            alike.setdefault(_recipe(stage, task), []).extend(stage.members)
        described[method] = [
            {"networks": names, **dict(recipe)} for recipe, names in alike.items()
        ]
    return described


def describe_variation(settings: Settings) -> dict[str, Any]:
    """How training images and hatched members are varied, by the names of settings."""
    data = settings.data
    return {
        "crop": data.crop,
        "crop_padding": data.crop_padding,
        "flip": data.flip,
        "augment": data.augment,
        "noise": settings.hatch.noise,
    }


def _recipe(stage: Stage, task: Task) -> tuple[tuple[str, Any], ...]:
    """The fields of a stage's recipe that are told, in order."""
    told = {name: getattr(stage.recipe, name) for name in _FIELDS}
    if stage.rates is not None:
        largest = stage_rates(stage, task).max()
        told |= {"schedule": "own", "learning_rate": float(f"{largest:.6g}")}
    return tuple(told.items())
