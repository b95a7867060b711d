"""Knowledge distillation: the largest network, trained first, teaches every member.

References: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural
Network"; MotherNets (MLSys 2020), the baseline of that name.
"""

from collections.abc import Mapping, Sequence

from mothernets_jax.architectures import Architecture
from mothernets_jax.costs import num_params
from mothernets_jax.losses import Distillation
from mothernets_jax.methods.budget import affordable_epochs, budget_flops, with_epochs
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

    In the epochs of the students the teacher predicts every augmented image anew, which
    is counted. It is no member of the ensemble.

    Raises:
        ValueError: a budget too small.
    """

    def size(architecture: Architecture) -> int:
        return num_params(architecture, task.input_shape, task.num_classes)

    largest = max(members.values(), key=size)
    start = start_at_random(task, NAME, largest, (TEACHER,))
    teacher = Stage(NAME, TEACHER, largest, (TEACHER,), settings.train, start)
    students = []
    teaching = Distillation(
        TEACHER, largest, settings.distillation.temperature, settings.distillation.share
    )
    for architecture, names in same_architecture(members, members).items():
        students.append(
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
    budget = budget_flops(task, settings, members)
    epochs = _epochs(task, settings, budget, teacher, students)
    stages = tuple(
        stage._replace(recipe=with_epochs(settings.train, own, budget))
        for stage, own in zip((teacher, *students), epochs, strict=True)
    )
    return Composition(stages, dict(members))


def _epochs(
    task: Task,
    settings: Settings,
    budget: float | None,
    teacher: Stage,
    students: Sequence[Stage],
) -> list[int]:
    """Of the teacher, then of each stage of students, all of which have as many.

    Of a budget, the teacher gets as many whole epochs as its share pays for, at least
    one, and the students what remains.
    """
    epochs = settings.train.epochs
    if budget is None:
        return [epochs] * (1 + len(students))
    of_teacher = epoch_flops(teacher, task)
    teacher_epochs = max(
        1, int(settings.distillation.budget_share * budget / of_teacher)
    )
    of_students = sum(len(s.members) * epoch_flops(s, task) for s in students)
    rest = budget - teacher_epochs * of_teacher
    what = f"{NAME}, after {teacher_epochs} of the teacher,"
    return [
        teacher_epochs,
        *[affordable_epochs(what, rest, of_students, epochs)] * len(students),
    ]
