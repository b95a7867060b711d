"""Training from scratch: random starts, and one stage for equal architectures."""

from collections.abc import Callable, Mapping

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.grouping import same_architecture
from mothernets_jax.config.settings import Recipe, Settings
from mothernets_jax.methods.budget import (
    affordable_recipe,
    budget_flops,
    ends_cost,
    epoch_cost,
)
from mothernets_jax.models.variables import init
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.stage import MethodPlan, Stage, Start
from mothernets_jax.stages.task import Task, step_spec
from mothernets_jax.training.member_step import MemberState, new_state
from mothernets_jax.training.step_spec import StepSpec
from mothernets_jax.utils.pytrees import named_key


def from_scratch(
    method: str,
    task: Task,
    settings: Settings,
    members: Mapping[str, Architecture],
    *,
    with_replacement: bool = False,
) -> MethodPlan:
    """Plans to train all members by the recipe `train`, one stage an architecture.

    Args:
        method: name of the method, from which the members' keys are derived.
        task: the task that the members are trained on.
        settings: settings with the recipe and the budget, which is divided so that all
            members train for equally many epochs.
        members: the members' architectures by name.
        with_replacement: whether each member draws its own bag of the images.

    Raises:
        ValueError: a budget too small, or bags of streamed images.
    """
    recipe = affordable_recipe(
        method,
        settings.train,
        budget_flops(task, settings, members),
        epoch_cost(task, settings.train, members.values()),
        once=ends_cost(task, settings.train, members.values()),
    )
    if with_replacement:
        check_bags(task, f"the method {method!r}")
    stages = [
        scratch_stage(
            method, task, architecture, names, recipe, with_replacement=with_replacement
        )
        for architecture, names in same_architecture(members, members).items()
    ]
    return MethodPlan(tuple(stages), dict(members))


def scratch_stage(
    method: str,
    task: Task,
    architecture: Architecture,
    names: tuple[str, ...],
    recipe: Recipe,
    *,
    with_replacement: bool,
) -> Stage:
    """The stage of the members of one architecture, from random variables.

    Args:
        method: name of the method.
        task: the task that they are trained on.
        architecture: the members' architecture.
        names: the members' names.
        recipe: the members' recipe.
        with_replacement: whether each member draws its own bag of the images.
    """
    spec = step_spec(task, architecture, recipe=recipe)
    return Stage(
        method,
        label_of(names),
        names,
        recipe,
        spec,
        start_at_random(task, method, spec, names),
        with_replacement=with_replacement,
    )


def check_bags(task: Task, what: str) -> None:
    """Refuses bags of streamed images, which cannot be drawn by their place.

    Args:
        task: the task, whose images may be streamed.
        what: words for what draws bags, for the message.

    Raises:
        ValueError: images that are streamed.
    """
    if task.training_data is None:
        raise ValueError(
            f"{what} draws images by their place, but they are streamed: leave it out, "
            "or raise config.data.memory_share"
        )


def start_at_random(
    task: Task, method: str, spec: StepSpec, names: tuple[str, ...]
) -> Callable[[Mapping[str, MemberState], Executables], Start]:
    """Makes a stage's start, `Stage.start`, from random variables.

    Args:
        task: the task, with the run's key and the shape of its images.
        method: name of the method, from which the keys are derived.
        spec: the stage's training step.
        names: the members' names, from which the keys are derived, too.
    """

    def start(trained: Mapping[str, MemberState], executables: Executables) -> Start:
        states = {}
        for name in names:
            key = named_key(task.key, method, name, "init")
            of_task = task.input_shape, task.num_classes
            variables = init(spec.architecture, key, *of_task)
            states[name] = new_state(variables, spec.optimizer)
        return Start(states, checks={})

    return start


def label_of(names: tuple[str, ...]) -> str:
    """A stage's label: its only member, or the first and the last of several."""
    return names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}"


def continue_from(
    network: str, name: str
) -> Callable[[Mapping[str, MemberState], Executables], Start]:
    """Makes a stage's start, `Stage.start`, from the last state of an earlier stage.

    Args:
        network: name of the trained network, whose optimiser's state is taken, too.
        name: name under which the network trains on.
    """
    return lambda trained, executables: Start({name: trained[network]}, checks={})
