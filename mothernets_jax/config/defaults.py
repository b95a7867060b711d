"""The defaults of all settings as a ConfigDict, for configs to differ from."""

import dataclasses
import types
import typing
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from mothernets_jax.config.settings import Settings


def default_config() -> ConfigDict:
    """All settings at their defaults, each of which can be overridden.

    Fields that may be None are placeholders of their type, since ml_collections lets
    nobody override a None.
    """
    return ConfigDict(_values_of(Settings()))


def _values_of(settings: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(type(settings))
    return {
        own.name: _value_of(hints[own.name], getattr(settings, own.name))
        for own in dataclasses.fields(settings)
    }


def _value_of(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _values_of(value)
    if value is None and typing.get_origin(hint) is types.UnionType:
        return placeholder(typing.get_args(hint)[0])
    return value
