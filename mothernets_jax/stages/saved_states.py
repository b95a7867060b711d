"""Members' states in the form in which they are saved, which describes itself.

A save of finished members is `{member: state}`, one of unfinished members
`{"now": {member: state}, "good": {member: state}}`, with the states before the epoch
where it was saved in the middle of one. A state is the fields of `MemberState`.

An earlier version had SGD alone, whose trace it saved as `momentum`; such a state is
read, too.
"""

from collections.abc import Mapping
from typing import Any

import jax

from mothernets_jax.models.variables import abstract_variables
from mothernets_jax.stages.stage import Stage
from mothernets_jax.stages.task import Task
from mothernets_jax.storage.files import DamagedError
from mothernets_jax.training.member_step import MemberState, blank_state

_NOW, _GOOD = "now", "good"
_MOMENTUM, _TRACE = "momentum", "trace"


def finished_to_saved(states: Mapping[str, MemberState]) -> dict[str, Any]:
    """The arrays to save of finished members, by name."""
    return {name: _fields(state) for name, state in states.items()}


def unfinished_to_saved(
    now: Mapping[str, MemberState], good: Mapping[str, MemberState] | None
) -> dict[str, Any]:
    """The arrays to save of unfinished members.

    Args:
        now: their present states, by name.
        good: their states before the epoch, by name; None between two epochs.
    """
    saved = {_NOW: finished_to_saved(now)}
    return saved if good is None else {**saved, _GOOD: finished_to_saved(good)}


def outline(saved: Any, levels: int) -> Any:
    """The names in a save, as nested plain values, down to `levels` levels.

    >>> outline({"a": {"params": {"head": 1}}}, 2)
    {'a': {'params': None}}
    """
    if not levels or not isinstance(saved, Mapping):
        return None
    return {name: outline(value, levels - 1) for name, value in saved.items()}


def finished_outline(saved: Any) -> Any:
    """The outline of a save of finished members: names, and fields of their states."""
    return outline(saved, 2)


def unfinished_outline(saved: Any) -> Any:
    """The outline of a save of unfinished members, whose fields are a level deeper."""
    return outline(saved, 3)


def finished_template(stage: Stage, task: Task, found: Any) -> dict[str, Any]:
    """Shapes and dtypes of finished members, in the form that an outline shows.

    Args:
        stage: the members' stage.
        task: the task, whose images and classes shape the networks.
        found: the outline of the save, made by `finished_outline`.

    Raises:
        DamagedError: the save is not of this stage's members.
    """
    if not isinstance(found, Mapping) or not set(found) <= set(stage.members):
        raise DamagedError(f"{stage.name}: the save is not of the stage's members")
    return {
        name: _state_template(stage, task, fields) for name, fields in found.items()
    }


def unfinished_template(stage: Stage, task: Task, found: Any) -> dict[str, Any]:
    """Shapes and dtypes of unfinished members, in the form that an outline shows.

    Args:
        stage: the members' stage.
        task: the task, whose images and classes shape the networks.
        found: the outline of the save, made by `unfinished_outline`.

    Raises:
        DamagedError: the save is not of this stage's members.
    """
    groups = found if isinstance(found, Mapping) else {}
    if groups.keys() not in ({_NOW}, {_NOW, _GOOD}) or any(
        set(own or ()) != set(stage.members) for own in groups.values()
    ):
        raise DamagedError(f"{stage.name}: the save is not of the stage's members")
    return {key: finished_template(stage, task, own) for key, own in groups.items()}


def finished_from_saved(saved: Mapping[str, Any]) -> dict[str, MemberState]:
    """The inverse of `finished_to_saved`, for saves of earlier versions, too."""
    return {name: _from_saved(state) for name, state in saved.items()}


def unfinished_from_saved(
    saved: Mapping[str, Any], members: tuple[str, ...]
) -> tuple[list[MemberState], list[MemberState]]:
    """The inverse of `unfinished_to_saved`.

    Args:
        saved: the saved arrays, nested by name.
        members: names of the members, in the order of the stage.

    Returns:
        The members' present states, and the states they go back to if they diverge;
        both in the order of `members`.
    """
    now = finished_from_saved(saved[_NOW])
    good = finished_from_saved(saved[_GOOD]) if _GOOD in saved else now
    return [now[name] for name in members], [good[name] for name in members]


def _state_template(stage: Stage, task: Task, fields: Any) -> dict[str, Any]:
    shapes = abstract_variables(stage.architecture, task.input_shape, task.num_classes)
    state = _fields(jax.eval_shape(lambda v: blank_state(v, stage.spec), shapes))
    is_earlier = isinstance(fields, Mapping) and _MOMENTUM in fields
    if is_earlier and state["opt_state"].keys() == {_TRACE}:
        state[_MOMENTUM] = state.pop("opt_state")[_TRACE]
    return state


def _fields(state: MemberState) -> dict[str, Any]:
    """The fields of a state that there are, by name."""
    fields = state._asdict().items()
    return {name: value for name, value in fields if value is not None}


def _from_saved(state: Mapping[str, Any]) -> MemberState:
    fields = dict(state)
    if _MOMENTUM in fields:
        fields["opt_state"] = {_TRACE: fields.pop(_MOMENTUM)}
    return MemberState(**fields)
