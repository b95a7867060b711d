"""Knowledge distillation: the largest network, trained first, teaches every member.

References: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural
Network"; MotherNets (MLSys 2020), the baseline of that name.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import jax
import optax

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.architectures.grouping import same_architecture
from mothernets_jax.config.settings import Recipe, Settings
from mothernets_jax.methods.budget import (
    affordable_recipe,
    budget_flops,
    whole_epochs,
    with_epochs,
)
from mothernets_jax.methods.scratch import (
    label_of,
    start_at_random,
)
from mothernets_jax.stages.stage import MethodPlan, Stage, end_flops, epoch_flops
from mothernets_jax.stages.task import Task, step_spec
from mothernets_jax.training.losses import cross_entropy
from mothernets_jax.training.step_spec import Targets

NAME = "distillation"
TEACHER = "teacher"


@dataclasses.dataclass(frozen=True)
class DistillationLoss:
    """The loss of a network that trained ones teach; see `step_spec.Loss`.

    It is (1 - share) of the labels' cross-entropy, plus share x temperature^2 x the
    divergence KL(teachers || student). The student's probabilities are the softmax of
    its logits / temperature; those of the teachers are the arithmetic mean of each
    one's softmax of its logits / temperature. Class weights apply to the labels' part
    alone: the divergence has no label, and is least where the student answers as its
    teachers, which were trained with the weights.

    Attributes:
        references: the teachers' architectures, at least one.
        temperature: divisor of all networks' logits, which softens their predictions;
            at 1, several teachers' mean is what their averaged ensemble predicts.
        share: share of the loss that comes from the teachers, 0 to 1.

    References: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural
    Network", equation 1 and section 2; section 3 for the arithmetic mean of an
    ensemble's predictions.
    """

    references: tuple[Architecture, ...]
    temperature: float
    share: float

    def __call__(self, logits: jax.Array, targets: Targets) -> jax.Array:
        """Losses [batch] of the students' logits [batch, classes]."""
        assert targets.reference_logits is not None
        losses = cross_entropy(logits, targets)
        predicted = jax.nn.log_softmax(logits / self.temperature)
        softened = jax.nn.log_softmax(targets.reference_logits / self.temperature)
        target = jax.nn.logsumexp(softened, axis=0) - math.log(len(softened))
        divergence = optax.losses.kl_divergence_with_log_targets(predicted, target)
        taught = self.share * self.temperature**2 * divergence
        return (1 - self.share) * losses + taught


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> MethodPlan:
    """The teacher's stage, then one for each architecture of its students.

    In the students' epochs the teacher predicts every augmented image anew, and the
    FLOPs of that are counted. The teacher is no member of the ensemble.

    Raises:
        ValueError: a budget too small.
    """

    def size(architecture: Architecture) -> int:
        return num_params(architecture, task.input_shape, task.num_classes)

    largest = max(members.values(), key=size)
    recipe, own = settings.train, settings.distillation
    spec = step_spec(task, largest, recipe=recipe)
    start = start_at_random(task, NAME, spec, (TEACHER,))
    teacher = Stage(NAME, TEACHER, (TEACHER,), recipe, spec, start)
    students = []
    loss = DistillationLoss((largest,), own.temperature, own.share)
    for architecture, names in same_architecture(members, members).items():
        spec = step_spec(task, architecture, recipe=recipe, loss=loss)
        students.append(
            Stage(
                NAME,
                label_of(names),
                names,
                recipe,
                spec,
                start_at_random(task, NAME, spec, names),
                (TEACHER,),
                references=(TEACHER,),
            )
        )
    budget = budget_flops(task, settings, members)
    of_teacher, of_students = _recipes(task, settings, budget, teacher, students)
    stages = (
        teacher._replace(recipe=of_teacher),
        *(student._replace(recipe=of_students) for student in students),
    )
    return MethodPlan(stages, dict(members))


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
    teacher_flops, teacher_end = epoch_flops(teacher, task), end_flops(teacher, task)
    students_flops = sum(len(s.members) * epoch_flops(s, task) for s in students)
    students_ends = sum(len(s.members) * end_flops(s, task) for s in students)
    share = settings.distillation.budget_share * budget - teacher_end
    epochs = max(1, whole_epochs(share, teacher_flops))
    rest = budget - epochs * teacher_flops - teacher_end
    what = f"{NAME}, after {epochs} of the teacher,"
    return (
        with_epochs(recipe, epochs),
        affordable_recipe(what, recipe, rest, students_flops, once=students_ends),
    )
