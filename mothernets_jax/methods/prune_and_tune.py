"""Prune and Tune: one network, then children with half of its weights each.

Children come in pairs of complementary masks, drawn at random, and are trained on for a
cycle each. Training FLOPs are counted as those of whole networks, since zeros that are
spread over a kernel save none.

References: Whitaker and Whitley 2022, "Prune and Tune Ensembles: Low-Cost Ensemble
Learning with Sparse Independent Subnetworks", and the authors' code,
github.com/tjwhitaker/prune-and-tune-ensembles.
"""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import HEAD
from mothernets_jax.config.settings import Recipe, Settings
from mothernets_jax.methods.budget import (
    affordable_recipe,
    budget_flops,
    ends_cost,
    epoch_cost,
    single_network,
    whole_epochs,
    with_epochs,
)
from mothernets_jax.methods.scratch import label_of, start_at_random
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.stage import MethodPlan, Stage, Start
from mothernets_jax.stages.task import Task, step_spec
from mothernets_jax.training.member_step import MemberState, new_state
from mothernets_jax.training.step_spec import StepSpec
from mothernets_jax.utils.pytrees import named_key

NAME = "prune_and_tune"


def compose(
    task: Task, settings: Settings, members: Mapping[str, Architecture]
) -> MethodPlan:
    """The parent's stage, then one of as many children as there are members.

    The children's optimisers start anew. Unlike PyTorch's `OneCycleLR`, which the
    authors use, their cycle is of the learning rate alone, not of the momentum; the
    parent's rate falls from step to step, where theirs does from epoch to epoch.

    Raises:
        ValueError: a budget too small.
    """
    network, architecture = single_network(task, members)
    names = tuple(f"{network}_child_{i}" for i in range(1, len(members) + 1))
    of_parent, of_children = _recipes(task, settings, members, architecture)
    spec = step_spec(task, architecture, recipe=of_parent)
    start = start_at_random(task, NAME, spec, (network,))
    parent = Stage(NAME, network, (network,), of_parent, spec, start)
    spec = step_spec(task, architecture, recipe=of_children, masked=True)
    children = Stage(
        NAME,
        label_of(names),
        names,
        of_children,
        spec,
        functools.partial(_start_pruned, task, spec, network, names),
        (network,),
    )
    return MethodPlan((parent, children), dict.fromkeys(names, architecture))


def _recipes(
    task: Task,
    settings: Settings,
    members: Mapping[str, Architecture],
    architecture: Architecture,
) -> tuple[Recipe, Recipe]:
    """The parent's recipe and the children's.

    Of a budget, the children get as many whole epochs as their share pays for, at least
    one, and the parent what remains.

    Raises:
        ValueError: a budget too small.
    """
    own = settings.prune_and_tune
    parent = dataclasses.replace(
        settings.train, schedule="hold_linear", warmup_epochs=0.0, stop="epochs"
    )
    child = dataclasses.replace(
        parent,
        epochs=own.epochs,
        learning_rate=own.learning_rate,
        schedule=own.schedule,
        average=own.average or settings.train.average,
    )
    budget = budget_flops(task, settings, members)
    if budget is None:
        return parent, child
    children = [architecture] * len(members)
    children_flops = epoch_cost(task, child, children)
    children_ends = ends_cost(task, child, children)
    share = (1 - own.budget_share) * budget - children_ends
    epochs = max(1, whole_epochs(share, children_flops))
    rest = budget - epochs * children_flops - children_ends
    what = f"{NAME}, beside {epochs} of its children,"
    flops = epoch_cost(task, parent, [architecture])
    once = ends_cost(task, parent, [architecture])
    return (
        affordable_recipe(what, parent, rest, flops, once=once),
        with_epochs(child, epochs),
    )


def _start_pruned(
    task: Task,
    spec: StepSpec,
    parent: str,
    names: tuple[str, ...],
    trained: Mapping[str, MemberState],
    executables: Executables,
) -> Start:
    """Starts children from their parent, each with the weights that its mask keeps.

    Args:
        task: the task, with the run's key.
        spec: the children's training step.
        parent: name of the trained network.
        names: the children's names; the first and the second are a pair, the third and
            the fourth, and so on, and an odd last one is alone.
        trained: states of the networks trained so far, by name.
        executables: programs compiled so far, of which none is used.
    """
    del executables
    variables, states = trained[parent].predictor, {}
    for first in range(0, len(names), 2):
        key = named_key(task.key, NAME, f"pair_{first // 2 + 1}", "mask")
        mask = half_mask(variables["params"], key)
        pair = names[first : first + 2]
        for name, own in zip(pair, (mask, opposite_mask(mask)), strict=False):
            params = jax.tree.map(lambda p, kept: p * kept, variables["params"], own)
            state = new_state({**variables, "params": params}, spec.optimizer)
            states[name] = state._replace(mask=own)
    return Start(states, checks={})


def half_mask(params: dict, key: jax.Array) -> dict:
    """Draws a mask that keeps half of every kernel but the head's, and all else.

    Of an odd number of entries one more or one less is kept: as in PyTorch's pruning,
    as many are pruned as half of them rounds to, 2 of 5 and 4 of 7.

    Args:
        params: parameters of a network, nested by name.
        key: a typed key.

    Returns:
        Bools like the parameters, true where an entry is kept.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    sizes = [leaf.size if _is_pruned(path) else 0 for path, leaf in leaves]
    draws = np.asarray(jax.random.bits(key, (sum(sizes),)))
    masks = []
    for (_, leaf), own in zip(
        leaves, np.split(draws, np.cumsum(sizes)[:-1]), strict=True
    ):
        kept = np.ones(leaf.size, bool)
        kept[np.argsort(own, kind="stable")[: round(own.size / 2)]] = False
        masks.append(jnp.asarray(kept.reshape(leaf.shape)))
    return jax.tree.unflatten(structure, masks)


def opposite_mask(mask: dict) -> dict:
    """The mask that keeps what a mask of `half_mask` prunes, and all else as well."""
    return jax.tree_util.tree_map_with_path(
        lambda path, kept: ~kept if _is_pruned(path) else kept, mask
    )


def _is_pruned(path: tuple) -> bool:
    """True for kernels, but for the head's, given a leaf's path of keys."""
    return path[-1].key == "kernel" and path[0].key != HEAD
