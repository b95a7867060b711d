"""Knowledge distillation: the largest network, trained first, teaches every member.

References: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural
Network"; MotherNets (MLSys 2020), the baseline of that name.
"""

import dataclasses
from collections.abc import Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.costs import num_params
from mothernets_jax.losses import Distillation
from mothernets_jax.methods.budget import affordable_epochs, budget_flops
from mothernets_jax.methods.scratch import (
    label_of,
    same_architecture,
    start_at_random,
)
from mothernets_jax.settings import Settings
from mothernets_jax.stages import Composition, Stage, Task, epoch_flops

NAME = "distillation"
TEACHER = "teacher"


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> Composition:
    """The teacher's stage, then one for each architecture of its students.

    All train for equally many epochs; in those of the students the teacher predicts
    every augmented image anew, which is counted. It is no member of the ensemble.
    """

    def size(architecture: Architecture) -> int:
        return num_params(architecture, task.input_shape, task.num_classes)

    largest = max(members.values(), key=size)
    start = start_at_random(task, NAME, largest, (TEACHER,))
    stages = [Stage(NAME, TEACHER, largest, (TEACHER,), settings.train, start)]
    teaching = Distillation(
        TEACHER, largest, settings.distillation.temperature, settings.distillation.share
    )
    for architecture, names in same_architecture(members, members).items():
        stages.append(
            Stage(
                NAME,
                label_of(names),
                architecture,
                names,
                settings.train,
                start_at_random(task, NAME, architecture, names),
                (TEACHER,),
                distillation=teaching,
            )
        )
    epochs = affordable_epochs(
        NAME,
        budget_flops(task, settings, members),
        sum(len(stage.members) * epoch_flops(stage, task) for stage in stages),
        settings.train.epochs,
    )
    recipe = dataclasses.replace(settings.train, epochs=epochs)
    composed = tuple(stage._replace(recipe=recipe) for stage in stages)
    return Composition(composed, dict(members))
