"""MotherNets: train one small network a cluster, hatch the members, train them on.

References: MotherNets (MLSys 2020).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.augment import normalise
from mothernets_jax.channels import Split
from mothernets_jax.clustering import Cluster, cluster
from mothernets_jax.compilation import Executables, ProgramStore
from mothernets_jax.evaluation import predict_logits
from mothernets_jax.hatching import hatch, perturb
from mothernets_jax.methods.budget import affordable_epochs, budget_flops, epoch_cost
from mothernets_jax.methods.scratch import (
    check_bags,
    label_of,
    same_architecture,
    start_at_random,
)
from mothernets_jax.models import Variables, abstract_variables
from mothernets_jax.momentum import hatch_momentum
from mothernets_jax.schedules import cosine_cycles
from mothernets_jax.settings import Recipe, Settings
from mothernets_jax.stages import EVALUATION_BATCH, Composition, Stage, Start, Task
from mothernets_jax.training import MemberState, new_state
from mothernets_jax.trees import named_key

NAME = "mothernets"

# A hatched member's logits may differ from its MotherNet's by float32 rounding: at most
# this share of the largest logit. Measured differences are some 1e-6 of it.
TOLERANCE = 1e-3


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> Composition:
    """For each cluster its MotherNet's stage, then one for each architecture in it.

    Raises:
        ValueError: members that cannot be clustered as asked for, a budget too small,
            or bags of streamed images.
    """
    if settings.hatch.bags:
        check_bags(task, "config.hatch.bags")
    clusters = cluster(
        members,
        num_clusters=settings.num_clusters,
        min_shared=settings.min_shared,
        align=settings.align,  # type: ignore[arg-type]  # checked by config
        input_shape=task.input_shape,
        num_classes=task.num_classes,
    )
    mother_recipe, member_recipe = _recipes(task, settings, members, clusters)
    stages = []
    for number, found in enumerate(clusters, start=1):
        name = mothernet_name(number)
        start = start_at_random(task, NAME, found.mothernet, (name,))
        stages.append(
            Stage(
                NAME,
                name,
                found.mothernet,
                (name,),
                mother_recipe,
                start,
                rates=_mother_rates(mother_recipe, settings.mother.cycles),
            )
        )
        groups = same_architecture(found.members, members)
        for architecture, names in groups.items():
            parent = _Parent(name, found.mothernet)
            start = functools.partial(
                _start_hatched, task, settings, parent, architecture, names
            )
            # A cluster may part the replicas of one architecture, hence its number.
            label = f"{name}-{label_of(names)}"
            prepare = functools.partial(
                _prepare_hatching, task, settings, parent, architecture
            )
            stages.append(
                Stage(
                    NAME,
                    label,
                    architecture,
                    names,
                    member_recipe,
                    start,
                    (name,),
                    prepare,
                    bags=settings.hatch.bags,
                )
            )
    return Composition(tuple(stages), dict(members), clusters)


def _recipes(
    task: Task,
    settings: Settings,
    members: Mapping[str, Architecture],
    clusters: Sequence[Cluster],
) -> tuple[Recipe, Recipe]:
    """The MotherNets' recipe and the members'.

    Of a budget, the members get as many whole epochs as their share pays for, at least
    one, and the MotherNets what remains.

    Raises:
        ValueError: a budget too small.
    """
    mother, member = settings.train, settings.hatch_recipe
    budget = budget_flops(task, settings, members)
    if budget is None:
        return mother, member
    mothers_flops = epoch_cost(task, mother, [found.mothernet for found in clusters])
    members_flops = epoch_cost(task, member, members.values())
    share = (1 - settings.mother.budget_share) * budget
    member_epochs = max(1, round(share / members_flops))
    rest = budget - member_epochs * members_flops
    mother_epochs = affordable_epochs(
        f"{NAME}, beside {member_epochs} of its members,", rest, mothers_flops, 1
    )
    return (
        dataclasses.replace(mother, epochs=mother_epochs),
        dataclasses.replace(
            member,
            epochs=member_epochs,
            warmup_epochs=min(member.warmup_epochs, member_epochs / 2),
        ),
    )


def _mother_rates(recipe: Recipe, cycles: int) -> Callable[[int], np.ndarray] | None:
    """Cosine cycles for a MotherNet; None for the recipe's own schedule."""
    if cycles == 1:
        return None
    return lambda steps: cosine_cycles(
        recipe.learning_rate, cycles=cycles, total_steps=steps * recipe.epochs
    )


def mothernet_name(number: int) -> str:
    """The name of a cluster's MotherNet, by the cluster's number from 1."""
    return f"mothernet_{number}"


class _Parent(NamedTuple):
    """A cluster's MotherNet."""

    name: str
    architecture: Architecture


def _start_hatched(
    task: Task,
    settings: Settings,
    parent: _Parent,
    architecture: Architecture,
    names: tuple[str, ...],
    trained: Mapping[str, MemberState],
    executables: Executables,
) -> Start:
    """Hatches members from their trained MotherNet and checks each before noise.

    Raises:
        RuntimeError: a member does not compute its MotherNet's function.
    """
    images = task.dataset.train_images[:EVALUATION_BATCH]
    mean, std = jnp.asarray(task.dataset.mean), jnp.asarray(task.dataset.std)

    def logits_of(network: Architecture, variables: Variables) -> np.ndarray:
        return predict_logits(
            network,
            variables,
            images,
            task.dataset.mean,
            task.dataset.std,
            batch_size=EVALUATION_BATCH,
            executables=executables,
        )

    mother, mother_state = parent.architecture, trained[parent.name]
    expected = logits_of(mother, mother_state.variables)
    statistics_batch = normalise(jnp.asarray(images), mean, std)
    grow = _make_hatch(mother, architecture, settings.hatch.split)  # type: ignore[arg-type]
    states, checks = {}, {}
    for name in names:
        key = named_key(task.key, NAME, name, "hatch")
        args = (mother_state.variables, key, statistics_batch)
        hatched = executables.get(grow, *args)(*args)
        difference = float(np.abs(logits_of(architecture, hatched) - expected).max())
        relative = difference / float(np.abs(expected).max())
        if not relative <= TOLERANCE:
            raise RuntimeError(
                f"{name} does not compute its MotherNet's function: their logits "
                f"differ by {difference:.3g}, {relative:.1e} of the largest (allowed: "
                f"{TOLERANCE}). This is a defect of mothernets_jax; please report the "
                f"architectures {str(mother)!r} and {str(architecture)!r}"
            )
        checks[name] = {
            "largest_logit_difference": difference,
            "relative_logit_difference": relative,
        }
        if settings.hatch.noise:
            noise_key = named_key(task.key, NAME, name, "noise")
            args = (hatched, noise_key, np.float32(settings.hatch.noise))
            hatched = executables.get(_perturb, *args)(*args)
        momentum = None
        if settings.hatch.momentum:
            args = (mother_state.momentum, key)
            grow_momentum = _make_hatch_momentum(mother, architecture)
            momentum = executables.get(grow_momentum, *args)(*args)
        states[name] = new_state(hatched, momentum)
    return Start(states, checks)


def _prepare_hatching(
    task: Task,
    settings: Settings,
    parent: _Parent,
    architecture: Architecture,
    store: ProgramStore,
) -> None:
    """Compiles what `_start_hatched` will use, in the background."""
    shapes = abstract_variables(parent.architecture, task.input_shape, task.num_classes)
    examples = min(EVALUATION_BATCH, len(task.dataset.train_labels))
    images = jax.ShapeDtypeStruct((examples, *task.input_shape), jnp.float32)
    grow = _make_hatch(parent.architecture, architecture, settings.hatch.split)  # type: ignore[arg-type]
    store.prepare(grow, shapes, task.key, images)
    if settings.hatch.momentum:
        grow_momentum = _make_hatch_momentum(parent.architecture, architecture)
        store.prepare(grow_momentum, shapes["params"], task.key)
    if settings.hatch.noise:
        hatched = abstract_variables(architecture, task.input_shape, task.num_classes)
        store.prepare(_perturb, hatched, task.key, np.float32(0))


_perturb = jax.jit(perturb)


@functools.cache
def _make_hatch(mother: Architecture, member: Architecture, split: Split):
    def hatch_member(variables, key, images):
        return hatch(variables, mother, member, key, images=images, split=split)

    return jax.jit(hatch_member)


@functools.cache
def _make_hatch_momentum(mother: Architecture, member: Architecture):
    def grow(momentum, key):
        return hatch_momentum(momentum, mother, member, key)

    return jax.jit(grow)
