"""Settings as a caller from Python gives them, as one nested dictionary."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from mothernets_jax.config.from_mapping import freeze
from mothernets_jax.config.settings import Settings
from mothernets_jax.utils.messages import safe_name, short_repr


def nested_settings(settings: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with their sections as dictionaries, of settings given in either form.

    Args:
        settings: settings by name, those in sections nested or by names with dots; None
            for none.
        fields: further ones, likewise, which replace those of the same name.

    Returns:
        Settings by name, checked each by itself; those that are not given are missing.

    Raises:
        ValueError: no mapping, a setting that there is not, a value of a wrong type, or
            one name with a value and with fields in it.

    >>> nested_settings({"train.epochs": 3, "seed": 1}, {"train": {"batch_size": 32}})
    {'train': {'epochs': 3, 'batch_size': 32}, 'seed': 1}
    """
    if settings is not None and not isinstance(settings, Mapping | ConfigDict):
        raise ValueError(
            f"settings is {short_repr(settings)}: expected settings by name, such as "
            "{'hatch.noise': 0.1}"
        )
    found: dict[str, Any] = {}
    for path, value in [*(settings or {}).items(), *fields.items()]:
        tree = _plain(value)
        for name in reversed(str(path).split(".")):
            tree = {name: tree}
        found = _merged(found, tree, "config")
    freeze(Settings, found, "config")
    return found


def _plain(value: Any) -> Any:
    """A mapping as a dictionary, and so the mappings in it; other values as they are.

    >>> _plain(ConfigDict({"train": {"epochs": 3}}))
    {'train': {'epochs': 3}}
    """
    if not isinstance(value, Mapping | ConfigDict):
        return value
    return {str(name): _plain(own) for name, own in value.items()}


def _merged(old: Any, new: Any, path: str) -> Any:
    """A newer value in place of an older one; of two dictionaries, both."""
    if isinstance(old, dict) and isinstance(new, dict):
        both = {n: _merged(old[n], new[n], f"{path}.{n}") for n in old if n in new}
        return {**old, **new, **both}
    if isinstance(old, dict) or isinstance(new, dict):
        raise ValueError(
            f"{safe_name(path)} is {short_repr(old)} and {short_repr(new)}: expected "
            "only one of them"
        )
    return new
