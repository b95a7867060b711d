"""A stage: the members of one architecture, trained together by one recipe.

A method is a list of stages. Each is a pure function of the task, the seed and the
networks that earlier stages have trained.
"""

import types
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.settings import Recipe
from mothernets_jax.growth.clustering import Cluster
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.stages.task import Task, epoch_images, steps_per_epoch
from mothernets_jax.training.member_step import MemberState
from mothernets_jax.training.schedules import learning_rates
from mothernets_jax.training.step_spec import StepSpec


class Start(NamedTuple):
    """Where the members of a stage begin.

    Attributes:
        states: by member, of those that are left out too.
        checks: figures measured on the way, by member; empty for random beginnings.
        left_out: by member that cannot be trained from its beginning, why.
    """

    states: dict[str, MemberState]
    checks: dict[str, dict[str, float]]
    left_out: Mapping[str, str] = types.MappingProxyType({})


class EpochEnd(NamedTuple):
    """What a stage does with its members after an epoch, beside training.

    Weight averages, pruning masks and statistics that are estimated again are such.

    Attributes:
        change: from the number of the epoch, from 1, and the states of the members that
            trained in it without diverging, by name, to those that they go on from,
            and are evaluated and saved with. It must be a pure function of both.
        flops: training FLOPs that each call spends on a member.
    """

    change: Callable[[int, Mapping[str, MemberState]], Mapping[str, MemberState]]
    flops: float = 0.0


class Stage(NamedTuple):
    """Members of one architecture and how they are trained.

    Attributes:
        method: its name.
        label: names the stage within its method.
        members: their names.
        recipe: how they are trained.
        spec: their training step.
        start: from the states in which the method's earlier stages left their networks,
            by name, and the programs compiled so far, to the members' first states.
        needs: the networks among them that `start`, or the training, uses.
        prepare: begins to compile the programs that `start` uses.
        rates: from steps an epoch to the learning rate of every step, float32 [steps];
            None for the recipe's schedule.
        with_replacement: whether each member draws its own bag of the images.
        reference: the earlier network whose variables the step's loss refers to; empty
            where it refers to none.
        epoch_end: what is done with the members after each epoch; None for nothing.
        start_flops: training FLOPs that `start` spends on a member. A stage of a recipe
            without epochs does its work there.
    """

    method: str
    label: str
    members: tuple[str, ...]
    recipe: Recipe
    spec: StepSpec
    start: Callable[[Mapping[str, MemberState], Executables], Start]
    needs: tuple[str, ...] = ()
    prepare: Callable[[ProgramStore], None] = lambda store: None
    rates: Callable[[int], np.ndarray] | None = None
    with_replacement: bool = False
    reference: str = ""
    epoch_end: EpochEnd | None = None
    start_flops: float = 0.0

    @property
    def architecture(self) -> Architecture:
        """The architecture of every member."""
        return self.spec.architecture

    @property
    def name(self) -> str:
        """Names the stage's folder."""
        return f"{self.method}-{self.label}"


class MethodPlan(NamedTuple):
    """A method's work.

    Attributes:
        stages: in the order of their training.
        members: the networks that the ensemble consists of, each trained by a stage
            under its name; stages may train others on the way.
        clusters: whose MotherNets are trained; none where a method has none.
    """

    stages: tuple[Stage, ...]
    members: dict[str, Architecture]
    clusters: tuple[Cluster, ...] = ()


def stage_rates(stage: Stage, task: Task) -> np.ndarray:
    """The learning rate of every step, float32 [epochs, steps]."""
    recipe, steps = stage.recipe, steps_per_epoch(stage.recipe, task)
    if stage.rates is not None:
        return stage.rates(steps).reshape(recipe.epochs, steps)
    return learning_rates(
        recipe.schedule,
        recipe.learning_rate,
        total_steps=steps * recipe.epochs,
        warmup_steps=round(steps * recipe.warmup_epochs),
    ).reshape(recipe.epochs, steps)


def strategy_without_trial(requested: str, stage: Stage) -> str | None:
    """A stage's strategy, where it can be told without a trial.

    Args:
        requested: `auto` or one of `group_step.STRATEGIES`.
        stage: whose members are to be trained.
    """
    if len(stage.members) == 1:
        return "loop"  # all strategies are the same, and this is what they reduce to
    if stage.spec.coupling.tied and requested in ("auto", "loop"):
        return "unroll" if jax.default_backend() == "cpu" else "vmap"
    return None if requested == "auto" else requested


def epoch_flops(stage: Stage, task: Task) -> float:
    """Training FLOPs of one epoch of one member, with its share of a common trunk."""
    flops = epoch_images(stage.recipe, task) * stage.spec.flops_per_image
    return flops if stage.epoch_end is None else flops + stage.epoch_end.flops


def stage_flops(stage: Stage, task: Task, epochs: int) -> float:
    """Training FLOPs of a stage.

    Args:
        stage: with the members, each of which is started once.
        task: the images.
        epochs: that all members together train.
    """
    return epoch_flops(stage, task) * epochs + stage.start_flops * len(stage.members)


def planned_flops(stage: Stage, task: Task) -> float:
    """Training FLOPs of the stage, unless a member stops early."""
    return stage_flops(stage, task, stage.recipe.epochs * len(stage.members))
