"""MotherNets: train one small network a cluster, hatch the members, train them on.

References: MotherNets (MLSys 2020).
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.grouping import same_architecture
from mothernets_jax.architectures.operations import HEAD
from mothernets_jax.config.settings import Recipe, Settings
from mothernets_jax.ensembles import saving
from mothernets_jax.growth.clustering import Cluster
from mothernets_jax.methods.hatched_recipes import (
    clusters_of,
    hatched_recipes,
    mothernet_name,
)
from mothernets_jax.methods.hatched_start import (
    Parent,
    prepare_hatching,
    start_hatched,
)
from mothernets_jax.methods.saved_mother import (
    SavedMother,
    keeps_head,
    saved_mother,
)
from mothernets_jax.methods.scratch import (
    check_bags,
    label_of,
    start_at_random,
)
from mothernets_jax.models.variables import init
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.stage import MethodPlan, Stage, Start
from mothernets_jax.stages.task import Task, step_spec, steps_per_epoch
from mothernets_jax.training.member_step import MemberState, new_state
from mothernets_jax.training.schedules import cosine_cycles
from mothernets_jax.training.step_spec import StepSpec
from mothernets_jax.utils.pytrees import named_key

NAME = "mothernets"


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> MethodPlan:
    """A stage for each cluster's MotherNet, then one for each architecture in it.

    Raises:
        ValueError: members that cannot be clustered as asked for, a budget too small,
            more cycles than steps, or bags of streamed images.
    """
    saved = saved_mother(settings, members, task)
    clusters = clusters_of(task, settings, members, saved)
    return hatched_ensemble(NAME, task, settings, members, clusters, saved)


def hatched_ensemble(
    method: str,
    task: Task,
    settings: Settings,
    members: Mapping[str, Architecture],
    clusters: tuple[Cluster, ...],
    saved: SavedMother | None = None,
) -> MethodPlan:
    """Plans to train the clusters' MotherNets, then the members hatched from them.

    Args:
        method: name of the method, from which all networks' keys are derived.
        task: the task that the networks are trained on.
        settings: settings with the recipes `train`, `mother` and `hatch`, and the
            budget.
        members: the members' architectures by name.
        clusters: the division of the members, each with the MotherNet that all of the
            cluster can be grown from.
        saved: the network that the MotherNet of the only cluster begins from; None to
            train MotherNets from scratch.

    Raises:
        ValueError: a budget too small, more cycles than steps, or bags of streamed
            images.
    """
    if settings.hatch.bags:
        check_bags(task, "config.hatch.bags")
    mother_recipe, member_recipe = hatched_recipes(
        method, task, settings, members, clusters, begun=saved is not None
    )
    steps = steps_per_epoch(mother_recipe, task) * mother_recipe.epochs
    if settings.mother.cycles > max(steps, 1):
        raise ValueError(
            f"config.mother.cycles is {settings.mother.cycles}: expected at most "
            f"{steps:,}, the steps that a MotherNet trains for"
        )
    stages = []
    for number, found in enumerate(clusters, start=1):
        name, mother = mothernet_name(number), found.mothernet
        stage = mother_stage(method, task, settings, name, mother, mother_recipe)
        if saved is not None:
            start = functools.partial(
                _start_from_saved, method, task, stage.spec, name, saved
            )
            stage = stage._replace(start=start)
        stages.append(stage)
        own = {member: members[member] for member in found.members}
        parent = Parent(name, mother, own)
        stages += [
            members_stage(
                method, task, settings, parent, architecture, names, member_recipe
            )
            for architecture, names in same_architecture(found.members, members).items()
        ]
    return MethodPlan(tuple(stages), dict(members), clusters)


def mother_stage(
    method: str,
    task: Task,
    settings: Settings,
    name: str,
    mother: Architecture,
    recipe: Recipe,
) -> Stage:
    """The stage of one MotherNet, from random variables.

    Args:
        method: name of the method.
        task: the task that it is trained on.
        settings: settings, of which `mother.cycles` is read.
        name: name of the MotherNet.
        mother: its architecture.
        recipe: its recipe.
    """
    rates = _mother_rates(recipe, settings.mother.cycles)
    spec = step_spec(task, mother, recipe=recipe)
    start = start_at_random(task, method, spec, (name,))
    return Stage(method, name, (name,), recipe, spec, start, rates=rates)


def members_stage(
    method: str,
    task: Task,
    settings: Settings,
    parent: Parent,
    architecture: Architecture,
    names: tuple[str, ...],
    recipe: Recipe,
) -> Stage:
    """The stage of the members of one architecture that one MotherNet hatches.

    Args:
        method: name of the method.
        task: the task that they are trained on.
        settings: settings, of which the section `hatch` is read.
        parent: the MotherNet, and all its members.
        architecture: the members' architecture.
        names: the members' names.
        recipe: the members' recipe.
    """
    spec = step_spec(task, architecture, recipe=recipe)
    return Stage(
        method,
        # A cluster may part the replicas of one architecture, hence its number.
        f"{parent.name}-{label_of(names)}",
        names,
        recipe,
        spec,
        functools.partial(start_hatched, method, task, settings, parent, spec, names),
        (parent.name,),
        functools.partial(prepare_hatching, task, settings, parent, spec),
        with_replacement=settings.hatch.bags,
    )


def _start_from_saved(
    method: str,
    task: Task,
    spec: StepSpec,
    name: str,
    saved: SavedMother,
    trained: Mapping[str, MemberState],
    executables: Executables,
) -> Start:
    """Begins a MotherNet as a saved network, its head drawn anew for other classes."""
    del trained, executables
    record, found = saving.read(saved.folder)
    if record != saved.record:
        raise ValueError(
            f"the ensemble in {saved.folder}, which config.mother.init names, was "
            "changed since this run was planned: give the command again"
        )
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(leaf, jnp.float32), found[saved.member]
    )
    if not keeps_head(record, task.dataset):
        key = named_key(task.key, method, name, "init")
        drawn = init(spec.architecture, key, task.input_shape, task.num_classes)
        head = {HEAD: drawn["params"][HEAD]}
        variables = {**variables, "params": {**variables["params"], **head}}
    return Start({name: new_state(variables, spec.optimizer)}, checks={})


def _mother_rates(recipe: Recipe, cycles: int) -> Callable[[int], np.ndarray] | None:
    """Cosine cycles for a MotherNet; None for the recipe's own schedule."""
    if cycles == 1:
        return None
    return lambda steps: cosine_cycles(
        recipe.learning_rate, cycles=cycles, total_steps=steps * recipe.epochs
    )
