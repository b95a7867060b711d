"""The methods: each turns members and settings into stages and an ensemble.

A method is the function `compose` of the module of its name, which is imported when it
is first used: reading settings needs no JAX.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.settings import Settings
from mothernets_jax.config.validation import from_config

if TYPE_CHECKING:
    from mothernets_jax.stages.stage import MethodPlan
    from mothernets_jax.stages.task import Task

# From the task, the settings and the members' architectures by name to a plan.
Method = Callable[["Task", Settings, Mapping[str, Architecture]], "MethodPlan"]

NAMES = (
    "mothernets",
    "full_data",
    "bagging",
    "distillation",
    "treenets",
    "snapshot",
    "fge",
    "swa",
    "star",
    "prune_and_tune",
)


class _Methods(Mapping[str, Method]):
    """The methods by name, each imported when it is first asked for."""

    def __getitem__(self, name: str) -> Method:
        if name not in NAMES:
            raise KeyError(name)
        return importlib.import_module(f"{__name__}.{name}").compose

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


METHODS: Mapping[str, Method] = _Methods()


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Checks a config and freezes it.

    Args:
        config: a ConfigDict or a nested mapping of fields of `Settings`.

    Raises:
        ValueError: a field, type or value that is not allowed; names the field.
    """
    return from_config(config, NAMES)
