"""Bagging: every network from scratch, on images drawn with replacement.

References: Breiman 1996, "Bagging predictors".
"""

from collections.abc import Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.settings import Settings
from mothernets_jax.methods.scratch import from_scratch
from mothernets_jax.stages.stage import MethodPlan
from mothernets_jax.stages.task import Task


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> MethodPlan:
    """One stage for each architecture; each member has a bag of its own.

    Raises:
        ValueError: a budget too small, or images that are streamed.
    """
    return from_scratch("bagging", task, settings, members, with_replacement=True)
