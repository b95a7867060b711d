"""Full-data training: every network from scratch on all data, the plain deep ensemble.

References: MotherNets (MLSys 2020), the baseline of that name.
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
    """One stage for each architecture, all by the recipe `train`.

    Raises:
        ValueError: a budget too small.
    """
    return from_scratch("full_data", task, settings, members)
