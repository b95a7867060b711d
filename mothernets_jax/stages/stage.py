"""A stage: the members of one architecture, trained together by one recipe.

A method is a list of stages. Each is a pure function of the task, the seed and the
networks that earlier stages have trained.
"""

import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.settings import Recipe
from mothernets_jax.growth.clustering import Cluster
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.stages.task import (
    Task,
    average_flops,
    epoch_images,
    steps_per_epoch,
)
from mothernets_jax.training.averaging import average_weights
from mothernets_jax.training.member_step import MemberState
from mothernets_jax.training.schedules import learning_rates
from mothernets_jax.training.step_spec import StepSpec


class Start(NamedTuple):
    """The beginning of a stage's members.

    Attributes:
        states: first states by name, including those of members that are left out.
        checks: figures measured on the way, by name of the member and of the figure;
            empty for random beginnings.
        left_out: reasons, by name, of the members that cannot be trained from their
            beginnings.
    """

    states: dict[str, MemberState]
    checks: dict[str, dict[str, float]]
    left_out: Mapping[str, str] = types.MappingProxyType({})


class EpochEnd(NamedTuple):
    """A change that a stage makes to its members after each epoch, beside training.

    Examples are weight averages, pruning masks and statistics that are estimated again.

    Attributes:
        change: a pure function from the number of the epoch, from 1, and the states of
            the members that trained in it without diverging, by name, to the states
            that they go on from, and are evaluated and saved with.
        flops: training FLOPs that each call spends on a member.
    """

    change: Callable[[int, Mapping[str, MemberState]], Mapping[str, MemberState]]
    flops: float = 0.0


class Stage(NamedTuple):
    """Members of one architecture and how they are trained.

    Attributes:
        method: name of the method that the stage belongs to.
        label: name of the stage within its method.
        members: names of the members.
        recipe: the epochs, batch size, learning rates and the like of all members.
        spec: the training step of all members.
        start: a function from the states in which the method's earlier stages left
            their networks, by name, and the programs compiled so far, to the members'
            first states.
        needs: names of the earlier networks that `start`, or the training, uses.
        prepare: a function that begins to compile the programs that `start` uses.
        rates: a function from the number of steps in an epoch to the learning rate of
            every step of the stage, float32 [epochs * steps]; None for the recipe's
            schedule.
        average_weights: a function from the number of steps in an epoch to the weight
            of every step's parameters in their running average, float32 [epochs *
            steps]; None for the recipe's average. Read where `spec` keeps one.
        with_replacement: true if each member draws its own bag of the images.
        references: the earlier networks whose variables the step's loss refers to, in
            its order.
        epoch_end: the change made to the members after each epoch; None for none.
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
    average_weights: Callable[[int], np.ndarray] | None = None
    with_replacement: bool = False
    references: tuple[str, ...] = ()
    epoch_end: EpochEnd | None = None
    start_flops: float = 0.0

    @property
    def architecture(self) -> Architecture:
        """The architecture of every member."""
        return self.spec.architecture

    @property
    def name(self) -> str:
        """The name of the stage and of its folder."""
        return f"{self.method}-{self.label}"


class MethodPlan(NamedTuple):
    """The stages and members of a method.

    Attributes:
        stages: the stages, in the order of their training.
        members: the networks that the ensemble consists of, each trained by a stage
            under its name; stages may train others on the way.
        clusters: the clusters whose MotherNets are trained; empty for a method without
            MotherNets.
        continues: the earlier network, by name of the network that goes on from it.
        grown: what was changed after the method was finished, each as plain values: the
            `change`, the `members` that it concerns, and `how` in words.
    """

    stages: tuple[Stage, ...]
    members: dict[str, Architecture]
    clusters: tuple[Cluster, ...] = ()
    continues: Mapping[str, str] = types.MappingProxyType({})
    grown: tuple[Mapping[str, Any], ...] = ()


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


def stage_average_weights(stage: Stage, task: Task) -> np.ndarray | None:
    """The weight of every step in the running average, float32 [epochs, steps].

    None for a stage whose step keeps no average.
    """
    recipe, steps = stage.recipe, steps_per_epoch(stage.recipe, task)
    if not stage.spec.averaged:
        return None
    if stage.average_weights is not None:
        return stage.average_weights(steps).reshape(recipe.epochs, steps)
    return average_weights(
        recipe.average,
        horizon_steps=max(1, round(steps * recipe.average_epochs)),
        total_steps=steps * recipe.epochs,
    ).reshape(recipe.epochs, steps)


def strategy_without_trial(requested: str, stage: Stage) -> str | None:
    """A stage's strategy if it is known without a trial, else None.

    Args:
        requested: `auto` or one of `group_step.STRATEGIES`.
        stage: the stage that will be trained.
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
        stage: the stage, whose members are started and ended once each.
        task: the task, whose training images are counted.
        epochs: number of epochs that all members train, added up.
    """
    once = stage.start_flops + end_flops(stage, task)
    return epoch_flops(stage, task) * epochs + once * len(stage.members)


def end_flops(stage: Stage, task: Task) -> float:
    """Training FLOPs that the end of the stage spends on a member."""
    if not stage.spec.averaged or not stage.recipe.epochs:
        return 0.0
    return average_flops(task, stage.recipe, stage.architecture)


def planned_flops(stage: Stage, task: Task) -> float:
    """Training FLOPs of the stage, unless a member stops early."""
    return stage_flops(stage, task, stage.recipe.epochs * len(stage.members))
