"""Members' states as they are saved, and as earlier versions have saved them.

A save describes itself: its own shapes tell in which form it is. Versions before there
were optimisers by name knew SGD only, and saved its trace as `momentum`, where
`opt_state` is today. Trees here are nested dicts; a state may stand at any depth.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from mothernets_jax.models.variables import abstract_variables
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.task import Task
from mothernets_jax.storage import checkpoints
from mothernets_jax.training.member_step import MemberState, new_state


def state_shapes(stage: Stage, task: Task) -> dict[str, Any]:
    """Shapes and dtypes of one member's state, as it is saved."""
    shapes = abstract_variables(stage.architecture, task.input_shape, task.num_classes)
    optimizer = stage.spec.optimizer
    return jax.eval_shape(lambda v: new_state(v, optimizer), shapes)._asdict()


def to_saved(states: Mapping[str, MemberState]) -> dict[str, Any]:
    """Members' states by name, as they are saved."""
    return {name: state._asdict() for name, state in states.items()}


def from_saved(saved: Mapping[str, Any]) -> dict[str, MemberState]:
    """The inverse of `to_saved`, of a save of an earlier version too."""
    return {name: MemberState(**state) for name, state in upgraded(saved).items()}


def template(expected: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """The expected shapes, in the form in which the states were saved.

    Args:
        expected: shapes and dtypes of states, in today's form.
        saved: shapes and dtypes of what is saved.

    Returns:
        The expected shapes; a state that an earlier version has saved, and that is
        SGD's today, in that version's form.
    """
    if _is_state(expected):
        state = dict(expected)
        if _is_earlier(saved) and state["opt_state"].keys() == {"trace"}:
            state["momentum"] = state.pop("opt_state")["trace"]
        return state
    return {
        name: template(own, saved[name])
        if isinstance(own, Mapping) and isinstance(saved.get(name), Mapping)
        else own
        for name, own in expected.items()
    }


def upgraded(saved: Mapping[str, Any]) -> dict[str, Any]:
    """States in today's form; those that have it already are left as they are."""
    if _is_earlier(saved):
        state = dict(saved)
        state["opt_state"] = {"trace": state.pop("momentum")}
        return state
    if _is_state(saved):
        return dict(saved)
    return {
        name: upgraded(own) if isinstance(own, Mapping) else own
        for name, own in saved.items()
    }


def verify(folder: Path, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Looks whether `read` would succeed, before memory is taken for anything.

    Args:
        folder: of a save by `checkpoints`.
        expected: shapes and dtypes of the states, in today's form.

    Returns:
        The shapes in the form that the save has, for `read`.

    Raises:
        DamagedError: the saved states are damaged, or of other shapes.
        OSError: they cannot be read.
    """
    saved = checkpoints.saved_shapes(folder)
    as_saved = template(expected, saved)
    checkpoints.compare(folder, saved, as_saved)
    return as_saved


def read(folder: Path, as_saved: Mapping[str, Any]) -> dict[str, Any]:
    """Reads states onto this host's first device, in today's form.

    Args:
        folder: of a save by `checkpoints`.
        as_saved: shapes and dtypes in the save's own form, from `verify`.

    Raises:
        DamagedError: the saved states are damaged.
        OSError: they cannot be read.
    """
    return upgraded(checkpoints.read(folder, as_saved))


def _is_state(tree: Mapping[str, Any]) -> bool:
    """Whether this is one member's state in today's form."""
    return tree.keys() == set(MemberState._fields)


def _is_earlier(tree: Mapping[str, Any]) -> bool:
    """Whether this is one member's state, saved when `momentum` was a part of it."""
    return tree.keys() == {"params", "batch_stats", "momentum"}
