"""TreeNets: one network whose first blocks are shared and which then branches.

References: Lee et al. 2015, "Why M heads are better than one".
"""

from collections.abc import Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.field_names import BRANCHES, named_as_fields
from mothernets_jax.config.settings import Settings
from mothernets_jax.methods.budget import (
    affordable_recipe,
    budget_flops,
    single_network,
)
from mothernets_jax.methods.scratch import start_at_random
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.stage import MethodPlan, Stage, Start, end_flops, epoch_flops
from mothernets_jax.stages.task import Task, step_spec
from mothernets_jax.training.branching_step import (
    SharedTrunk,
    first_of_branches,
    shared_layers,
)
from mothernets_jax.training.member_step import MemberState

NAME = "treenets"


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> MethodPlan:
    """One stage, in which as many branches as there are members train jointly.

    Raises:
        ValueError: so many shared blocks that none is left to the branches, or a budget
            too small.
    """
    network, architecture = single_network(task, members)
    names = tuple(f"{network}_branch_{i}" for i in range(1, len(members) + 1))
    with named_as_fields(BRANCHES):
        cut = first_of_branches(architecture, settings.treenets.shared_blocks)
    spec = step_spec(
        task,
        architecture,
        recipe=settings.train,
        members=len(names),
        coupling=SharedTrunk(cut),
    )
    at_random = start_at_random(task, NAME, spec, names)

    def start(trained: Mapping[str, MemberState], executables: Executables) -> Start:
        """Starts all members with the trunk of the first."""
        states = at_random(trained, executables).states
        shared = shared_layers(architecture, cut)
        trunk = {k: v for k, v in states[names[0]].params.items() if k in shared}
        states = {
            name: state._replace(params=state.params | trunk)
            for name, state in states.items()
        }
        return Start(states, checks={})

    stage = Stage(NAME, network, names, settings.train, spec, start)
    recipe = affordable_recipe(
        NAME,
        settings.train,
        budget_flops(task, settings, members),
        len(names) * epoch_flops(stage, task),
        once=len(names) * end_flops(stage, task),
    )
    return MethodPlan(
        (stage._replace(recipe=recipe),), dict.fromkeys(names, architecture)
    )
