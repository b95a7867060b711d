"""The methods: each turns members and settings into stages and an ensemble."""

from collections.abc import Callable, Mapping
from typing import Any

from mothernets_jax.architectures import Architecture
from mothernets_jax.config.settings import Settings
from mothernets_jax.config.validation import from_config
from mothernets_jax.methods import (
    bagging,
    distillation,
    fge,
    full_data,
    mothernets,
    prune_and_tune,
    snapshot,
    star,
    swa,
    treenets,
)
from mothernets_jax.stages.stage import MethodPlan
from mothernets_jax.stages.task import Task

# From the task, the settings and the members' architectures by name to a plan.
Method = Callable[[Task, Settings, Mapping[str, Architecture]], MethodPlan]

METHODS: dict[str, Method] = {
    "mothernets": mothernets.compose,
    "full_data": full_data.compose,
    "bagging": bagging.compose,
    "distillation": distillation.compose,
    "treenets": treenets.compose,
    "snapshot": snapshot.compose,
    "fge": fge.compose,
    "swa": swa.compose,
    "star": star.compose,
    "prune_and_tune": prune_and_tune.compose,
}


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Checks a config and freezes it.

    Args:
        config: a ConfigDict or a nested mapping of fields of `Settings`.

    Raises:
        ValueError: a field, type or value that is not allowed; names the field.
    """
    return from_config(config, tuple(METHODS))
