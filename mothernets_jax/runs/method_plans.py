"""The plans of all methods of a run, checked against what devices can do."""

from mothernets_jax.config.settings import Settings
from mothernets_jax.methods import METHODS
from mothernets_jax.runs.limits import (
    check_batch_norm,
    check_filters,
    check_precision,
    check_steps,
)
from mothernets_jax.stages.stage import MethodPlan
from mothernets_jax.stages.task import Task


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
    stages = [stage for plan in plans.values() for stage in plan.stages]
    check_filters(stages, task)
    check_steps(stages, task)
    check_batch_norm(stages, task)
    return plans
