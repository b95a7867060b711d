"""A frozen dataclass from a nested mapping, checked field by field."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from mothernets_jax.config.unknown import no_setting
from mothernets_jax.utils.messages import safe_name, short_repr

_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


def freeze(kind: type, values: Any, path: str) -> Any:
    """Makes a dataclass, and the dataclasses in it, from a nested mapping.

    Args:
        kind: the dataclass; its fields are dataclasses, plain types, tuples and
            dictionaries of them, or such a type `| None`.
        values: the fields' values by name; those that have a default may be missing.
        path: the mapping's name in messages: `config`, or `config.` and a section.

    Raises:
        ValueError: an unknown field, or a wrong type; names the field, what was found
            and what was expected.
    """
    if not isinstance(values, Mapping) and not hasattr(values, "items"):
        raise ValueError(f"{path} is {short_repr(values)}: expected a group of fields")
    hints = typing.get_type_hints(kind)
    for name in values:
        if name not in hints:
            _, _, section = path.partition(".")
            raise ValueError(no_setting(f"{section}.{name}" if section else str(name)))
    return kind(
        **{
            name: _convert(hint, values[name], f"{path}.{name}")
            for name, hint in hints.items()
            if name in values
        }
    )


def _convert(hint: Any, value: Any, path: str) -> Any:
    """A value of the hinted type; ints become floats where floats are expected."""
    if dataclasses.is_dataclass(hint):
        return freeze(hint, value, path)  # type: ignore[arg-type]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:  # X | None
        return None if value is None else _convert(args[0], value, path)
    if origin is tuple:
        if not isinstance(value, tuple | list):
            raise ValueError(
                f"{path} is {short_repr(value)}: expected a tuple such as ('a', 'b')"
            )
        return tuple(_convert(args[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not hasattr(value, "items"):
            raise ValueError(
                f"{path} is {short_repr(value)}: expected names and their values"
            )
        return {
            str(k): _convert(args[1], v, f"{path}.{safe_name(k)}")
            for k, v in value.items()
        }
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if hint is float and is_int:
        try:
            return float(value)
        except OverflowError:
            raise ValueError(
                f"{path} is {short_repr(value)}: expected a smaller number"
            ) from None
    if not isinstance(value, hint) or (hint is int and not is_int):
        raise ValueError(f"{path} is {short_repr(value)}: expected {_NAMES[hint]}")
    return value
