"""Knowledge distillation: the largest network, trained first, teaches every member.

References: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural
Network"; MotherNets (MLSys 2020), the baseline of that name.
"""

from collections.abc import Mapping, Sequence

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.config.settings import Recipe, Settings
from mothernets_jax.methods.budget import (
    affordable_recipe,
    budget_flops,
    whole_epochs,
    with_epochs,
)
from mothernets_jax.methods.scratch import (
    label_of,
    same_architecture,
    start_at_random,
)
from mothernets_jax.stages.stage import Composition, Stage, Task, epoch_flops
from mothernets_jax.training.losses import Distillation

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
    of_teacher, of_students = _recipes(task, settings, budget, teacher, students)
    stages = (
        teacher._replace(recipe=of_teacher),
        *(student._replace(recipe=of_students) for student in students),
    )
    return Composition(stages, dict(members))


def _recipes(
    task: Task,
    settings: Settings,
    budget: float | None,
    teacher: Stage,
    students: Sequence[Stage],
) -> tuple[Recipe, Recipe]:
    """The teacher's recipe and the students'.

    Of a budget, the teacher gets as many whole epochs as its share pays for, at least
    one, and the students what remains.
    """
    recipe = settings.train
    if budget is None:
        return recipe, recipe
    teacher_flops = epoch_flops(teacher, task)
    students_flops = sum(len(s.members) * epoch_flops(s, task) for s in students)
    share = settings.distillation.budget_share * budget
    epochs = max(1, whole_epochs(share, teacher_flops))
    rest = budget - epochs * teacher_flops
    what = f"{NAME}, after {epochs} of the teacher,"
    return (
        with_epochs(recipe, epochs),
        affordable_recipe(what, recipe, rest, students_flops),
    )
