"""Full-data training: every network from scratch on all data, the plain deep ensemble.

References: MotherNets (MLSys 2020), the baseline of that name.
"""

from collections.abc import Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.methods.scratch import (
    label_of,
    same_architecture,
    start_at_random,
)
from mothernets_jax.settings import Settings
from mothernets_jax.stages import Stage, Task

NAME = "full_data"


def stages(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> tuple[Stage, ...]:
    """One stage for each architecture, all by the recipe `train`."""
    return tuple(
        Stage(
            NAME,
            label_of(names),
            architecture,
            names,
            settings.train,
            start_at_random(task, NAME, architecture, names),
        )
        for architecture, names in same_architecture(members, members).items()
    )
