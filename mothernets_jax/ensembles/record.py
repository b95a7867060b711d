"""The record of a saved ensemble: all but its variables, checked when it is read."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mothernets_jax.architectures import Architecture, parse
from mothernets_jax.architectures.checks import MOST_MEMBERS, check_task, is_name
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.data.preparation import Preparation, check_preparation
from mothernets_jax.ensembles.combine import NAMES
from mothernets_jax.ensembles.weighting import FITS
from mothernets_jax.utils.messages import short_repr

_LONGEST_NOTATION, _LONGEST_CLASS_NAME = 100_000, 4096  # characters
# Largest mean, smallest and largest deviation; a pixel is from 0 to 255.
_STATISTICS = {"uint8": (1e6, 1e-6, 1e6), "float32": (1e30, 1e-30, 1e30)}
_TEMPERATURE_RANGE = 1e-6, 1e6


class EnsembleRecord(NamedTuple):
    """All that an ensemble has but its variables.

    Attributes:
        members: architecture of each member, by name.
        mean: mean of the training split, one number a channel, in pixel units.
        std: standard deviation of the training split, one number a channel, in pixel
            units.
        class_names: names of the classes, in the order of the predictions' columns.
        input_shape: (height, width, channels) of one image.
        weights: one number a member for each learned combination, by its name.
        temperatures: temperature of each combination, by its name.
        preparation: how the images that trained the members were made of files; None
            where they were no files, or an earlier version has not said.
        input_dtype: dtype of inputs, `uint8` or `float32`.
    """

    members: dict[str, Architecture]
    mean: list[float]
    std: list[float]
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    weights: dict[str, list[float]]
    temperatures: dict[str, float]
    preparation: Preparation | None = None
    input_dtype: str = "uint8"

    def to_json(self) -> dict[str, Any]:
        """The record as plain values, with architectures in their notation."""
        members = {name: str(member) for name, member in self.members.items()}
        preparation = self.preparation and self.preparation._asdict()
        return {**self._asdict(), "members": members, "preparation": preparation}

    def sizes(self) -> dict[str, int]:
        """Number of trainable parameters of every member, by name."""
        return {
            name: num_params(member, self.input_shape, len(self.class_names))
            for name, member in self.members.items()
        }


def failure_to_json(left_out: Mapping[str, str]) -> dict[str, Any]:
    """The record that is saved in place of an ensemble without members.

    Args:
        left_out: for each network, by name, the reason why it could not be trained.
    """
    return {"left_out": dict(left_out)}


def is_failure(record: Any) -> bool:
    """Tells whether a record is one of `failure_to_json` instead of an ensemble's."""
    return isinstance(record, Mapping) and "left_out" in record


def from_json(record: Any) -> EnsembleRecord:
    """Reads and checks an ensemble's record, whoever has written it.

    Args:
        record: plain values, as `EnsembleRecord.to_json` makes them.

    Raises:
        ValueError: the values describe no usable ensemble; the message names the field.
    """
    if not isinstance(record, dict):
        raise ValueError(f"it is {short_repr(record)}: expected an object")
    if is_failure(record):
        raise ValueError(
            f"none of its members could be trained: {short_repr(record['left_out'])}"
        )
    missing = [name for name in EnsembleRecord._fields[:5] if name not in record]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    members = record["members"]
    _check_members(members)
    class_names = record["class_names"]
    if not isinstance(class_names, list) or not all(
        isinstance(name, str) and len(name) <= _LONGEST_CLASS_NAME
        for name in class_names
    ):
        raise ValueError(
            f"class_names are {short_repr(class_names)}: expected texts of at most "
            f"{_LONGEST_CLASS_NAME:,} characters"
        )
    check_task(record["input_shape"], len(class_names))
    height, width, channels = record["input_shape"]
    dtype = record.get("input_dtype", "uint8")  # as in all earlier versions
    if not isinstance(dtype, str) or dtype not in _STATISTICS:
        raise ValueError(
            f"input_dtype is {short_repr(dtype)}: expected one of "
            f"{', '.join(_STATISTICS)}"
        )
    largest, *stds = _STATISTICS[dtype]
    _check_numbers("mean", record["mean"], channels, -largest, largest)
    _check_numbers("std", record["std"], channels, *stds)
    weights = _mapping("weights", record.get("weights", {}), FITS)
    for name, own in weights.items():
        _check_numbers(f"weights.{name}", own, len(members), 0, 1 + 1e-3)
        if not math.isclose(sum(own), 1, rel_tol=1e-3):
            raise ValueError(
                f"weights.{name} are {short_repr(own)}: expected the sum 1"
            )
    temperatures = _mapping("temperatures", record.get("temperatures", {}), NAMES)
    own = [*temperatures.values()]
    _check_numbers("temperatures", own, len(own), *_TEMPERATURE_RANGE)
    preparation = record.get("preparation")  # earlier versions have not said
    if preparation is not None:
        preparation = _preparation(preparation, record["input_shape"])
    return EnsembleRecord(
        {name: parse(notation) for name, notation in members.items()},
        record["mean"],
        record["std"],
        tuple(class_names),
        (height, width, channels),
        weights,
        temperatures,
        preparation,
        dtype,
    )


def _preparation(value: Any, input_shape: tuple[int, int, int]) -> Preparation:
    """Reads and checks how images were made of files."""
    if not isinstance(value, dict) or set(value) != set(Preparation._fields):
        raise ValueError(
            f"preparation is {short_repr(value)}: expected null, or an object of "
            f"{', '.join(Preparation._fields)}"
        )
    preparation = Preparation(**value)
    check_preparation(preparation, input_shape)
    return preparation


def _check_members(members: Any) -> None:
    """Refuses all but names of networks, and texts that may be their notation."""
    if not isinstance(members, dict) or not 0 < len(members) <= MOST_MEMBERS:
        raise ValueError(
            f"members are {short_repr(members)}: expected 1 to {MOST_MEMBERS} by name"
        )
    for name, notation in members.items():
        is_text = isinstance(notation, str) and len(notation) <= _LONGEST_NOTATION
        if not is_name(name) or not is_text:
            raise ValueError(
                f"a member is {short_repr(name)}: {short_repr(notation)}: expected a "
                "name of letters, digits and '_', and an architecture"
            )


def _mapping(name: str, value: Any, known: Any) -> dict[str, Any]:
    """Checks that a value is a JSON object with none but known names."""
    if not isinstance(value, Mapping) or not set(value) <= set(known):
        raise ValueError(
            f"{name} are {short_repr(value)}: expected some of {', '.join(known)}"
        )
    return dict(value)


def _check_numbers(name: str, value: Any, count: int, low: float, high: float) -> None:
    """Refuses all but a list of `count` numbers from `low` to `high`."""
    is_list = isinstance(value, list) and len(value) == count
    if not is_list or not all(
        type(own) in (int, float) and low <= own <= high for own in value
    ):
        raise ValueError(
            f"{name} is {short_repr(value)}: expected {count} finite numbers from "
            f"{low:g} to {high:g}"
        )
