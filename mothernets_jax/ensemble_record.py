"""What is saved of an ensemble beside its variables, whoever has written it."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mothernets_jax.architectures import Architecture, parse
from mothernets_jax.arguments import MOST_MEMBERS, check_task, is_name
from mothernets_jax.combine import NAMES
from mothernets_jax.costs import num_params
from mothernets_jax.weighting import FITS
from mothernets_jax.wording import shown


class EnsembleRecord(NamedTuple):
    """All that an ensemble has but its variables; see `Ensemble`."""

    members: dict[str, Architecture]
    mean: list[float]
    std: list[float]
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    weights: dict[str, list[float]]
    temperatures: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        members = {name: str(member) for name, member in self.members.items()}
        return {**self._asdict(), "members": members}

    def sizes(self) -> dict[str, int]:
        """Trainable parameters of every member."""
        return {
            name: num_params(member, self.input_shape, len(self.class_names))
            for name, member in self.members.items()
        }


def failure_to_json(left_out: Mapping[str, str]) -> dict[str, Any]:
    """What is saved in the place of an ensemble that has no member.

    Args:
        left_out: by network, why it could not be trained.
    """
    return {"left_out": dict(left_out)}


def is_failure(record: Any) -> bool:
    """Whether a record is as `failure_to_json` makes it, rather than an ensemble's."""
    return isinstance(record, Mapping) and "left_out" in record


def from_json(record: Any) -> EnsembleRecord:
    """Reads what `to_json` has made, or somebody else.

    Args:
        record: plain values.

    Raises:
        ValueError: it is not of an ensemble that can be used; names the field.
    """
    if not isinstance(record, dict):
        raise ValueError(f"it is {shown(record)}: expected an object")
    if is_failure(record):
        raise ValueError(
            f"none of its members could be trained: {shown(record['left_out'])}"
        )
    missing = [name for name in EnsembleRecord._fields[:5] if name not in record]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    members = record["members"]
    if not isinstance(members, dict) or not 0 < len(members) <= MOST_MEMBERS:
        raise ValueError(
            f"members are {shown(members)}: expected 1 to {MOST_MEMBERS} by name"
        )
    for name, notation in members.items():
        if not is_name(name) or not isinstance(notation, str):
            raise ValueError(
                f"a member is {shown(name)}: {shown(notation)}: expected a name of "
                "letters, digits and '_', and an architecture"
            )
    class_names = record["class_names"]
    if not isinstance(class_names, list) or not all(
        isinstance(name, str) for name in class_names
    ):
        raise ValueError(f"class_names are {shown(class_names)}: expected texts")
    check_task(record["input_shape"], len(class_names))
    height, width, channels = record["input_shape"]
    for name in ("mean", "std"):
        _check_numbers(name, record[name], channels)
    weights = _mapping("weights", record.get("weights", {}), FITS)
    for name, own in weights.items():
        _check_numbers(f"weights.{name}", own, len(members))
        if min(own) < 0 or not math.isclose(sum(own), 1, rel_tol=1e-3):
            raise ValueError(
                f"weights.{name} are {shown(own)}: expected none below 0, sum 1"
            )
    temperatures = _mapping("temperatures", record.get("temperatures", {}), NAMES)
    _check_numbers("temperatures", [*temperatures.values()], len(temperatures))
    if min(temperatures.values(), default=1) <= 0:
        raise ValueError(f"temperatures are {shown(temperatures)}: expected above 0")
    return EnsembleRecord(
        {name: parse(notation) for name, notation in members.items()},
        record["mean"],
        record["std"],
        tuple(class_names),
        (height, width, channels),
        weights,
        temperatures,
    )


def _mapping(name: str, value: Any, known: Any) -> dict[str, Any]:
    """A JSON object with some of the names that are known."""
    if not isinstance(value, Mapping) or not set(value) <= set(known):
        raise ValueError(
            f"{name} are {shown(value)}: expected some of {', '.join(known)}"
        )
    return dict(value)


def _check_numbers(name: str, value: Any, count: int) -> None:
    """Refuses all but a list of so many finite numbers."""
    if isinstance(value, list) and len(value) == count and all(map(_is_finite, value)):
        return
    raise ValueError(f"{name} is {shown(value)}: expected {count} finite numbers")


def _is_finite(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(float(value))
    except OverflowError:
        return False
