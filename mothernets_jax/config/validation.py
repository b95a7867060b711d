"""Frozen, checked settings from a ConfigDict.

Past this module, everything takes settings, or plain keyword arguments.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from mothernets_jax.architectures import parse
from mothernets_jax.architectures.checks import MOST_MEMBERS
from mothernets_jax.config import fields
from mothernets_jax.config.augmentation import settled
from mothernets_jax.config.budget_limit import parse_limit
from mothernets_jax.config.field_names import BUDGET, CLUSTERS, named_as_fields
from mothernets_jax.config.from_mapping import freeze
from mothernets_jax.config.grown import MEMBER_NAMES, changes, is_member_name
from mothernets_jax.config.settings import Settings
from mothernets_jax.ensembles.combine import COMBINATIONS
from mothernets_jax.growth.clustering import check_knobs
from mothernets_jax.utils.messages import safe_name, short_repr


def from_config(config: Mapping[str, Any], methods: tuple[str, ...]) -> Settings:
    """Checks a config and freezes it.

    Args:
        config: a ConfigDict or a nested mapping of fields of `Settings`; a field that
            is missing has its default.
        methods: the names that `methods` may hold.

    Raises:
        ValueError: an unknown field, a wrong type, a value out of range; names the
            field, what was found and what was expected.
    """
    settings = freeze(Settings, config, "config")
    fields.check(settings, "config")
    _check_together(settings)
    _check_budget(settings)
    _check_methods(settings, methods)
    _check_init(settings)
    _check_architectures(settings)
    _check_ensemble(settings)
    changes(settings)
    return settled(settings)


def _check_together(settings: Settings) -> None:
    """Checks fields whose values must agree with one another."""
    if settings.fge.largest_rate < settings.fge.smallest_rate:
        raise ValueError(
            f"config.fge.largest_rate is {settings.fge.largest_rate}: expected "
            f"{settings.fge.smallest_rate} or more, which is config.fge.smallest_rate"
        )
    if (settings.fge.cycle_epochs or 0) % 2:
        raise ValueError(
            f"config.fge.cycle_epochs is {settings.fge.cycle_epochs}: expected an even "
            "number, since a member is collected in the middle of a cycle"
        )
    fractions = settings.data.validation_fraction, settings.data.calibration_fraction
    if sum(fractions) >= 1:
        raise ValueError(
            f"config.data.validation_fraction is {fractions[0]} and "
            f"config.data.calibration_fraction is {fractions[1]}: expected less than 1 "
            "together, as the rest of the training set trains"
        )
    for group in ("train", "hatch"):
        own = getattr(settings, group)
        epochs, warmup = own.epochs, own.warmup_epochs
        if warmup > epochs:
            raise ValueError(
                f"config.{group}.warmup_epochs is {warmup}: expected at most "
                f"config.{group}.epochs, which is {epochs}"
            )
    averages = {
        f"{group}.average": getattr(settings, group).average
        for group in ("train", "mother", "hatch")
    }
    tails = [name for name, average in averages.items() if average == "tail"]
    if settings.train.stop == "plateau" and tails:
        raise ValueError(
            f"config.{tails[0]} is 'tail', the mean of the last epochs, and "
            "config.train.stop is 'plateau', which does not tell beforehand which "
            "these are: use 'ema', or stop after config.train.epochs"
        )
    if settings.mother.cycles > 1 and settings.mother.schedule not in ("", "cosine"):
        raise ValueError(
            f"config.mother.cycles is {settings.mother.cycles}: expected 1 with "
            f"config.mother.schedule={settings.mother.schedule!r}, as only 'cosine' "
            "has cycles"
        )
    if settings.combine not in COMBINATIONS and not fractions[1]:
        raise ValueError(
            f"config.combine is {settings.combine!r}, whose weights are fitted on a "
            "part of the training set, and config.data.calibration_fraction is 0.0: "
            f"set it, to 0.1 say, or choose one of {', '.join(COMBINATIONS)}"
        )


def _check_init(settings: Settings) -> None:
    """Checks what goes together with a MotherNet that was trained before."""
    path = settings.mother.init
    if not path:
        return
    if "mothernets" not in settings.methods:
        raise ValueError(
            f"config.mother.init is {short_repr(path)}, and config.methods has no "
            "'mothernets', which alone begin from it: add it, or leave this out"
        )
    for name, value in (
        ("num_clusters", settings.num_clusters),
        ("min_shared", settings.min_shared),
    ):
        if value is not None and (name, value) != ("num_clusters", 1):
            raise ValueError(
                f"config.{name} is {value} and config.mother.init {short_repr(path)}, "
                "from which all members are hatched, in one cluster: leave one out"
            )


def _check_budget(settings: Settings) -> None:
    limit, epochs = settings.budget.limit, settings.budget.epochs
    if not limit:
        return
    with named_as_fields(BUDGET):
        parse_limit(limit)
    if epochs is not None:
        raise ValueError(
            f"config.budget.limit is {short_repr(limit)} and config.budget.epochs is "
            f"{epochs:g}: expected one of them, leave the other out"
        )


def _check_methods(settings: Settings, methods: tuple[str, ...]) -> None:
    if not settings.methods:
        raise ValueError(f"config.methods is empty: choose from {', '.join(methods)}")
    for i, name in enumerate(settings.methods):
        if name not in methods or name in settings.methods[:i]:
            close = difflib.get_close_matches(name[:100], methods, n=1)
            hint = (
                f" (did you mean {close[0]!r}?)" if close and close[0] != name else ""
            )
            several = [found for found in re.findall(r"\w+", name) if found in methods]
            syntax = f'. Several are a tuple: --config.methods="{tuple(several)}"'
            raise ValueError(
                f"config.methods[{i}] is {short_repr(name)}{hint}: expected each of "
                f"{', '.join(methods)} at most once"
                + (syntax if len(several) > 1 else "")
            )


def _check_architectures(settings: Settings) -> None:
    if not settings.architectures:
        raise ValueError("config.architectures is empty: give at least one network")
    for name, notation in settings.architectures.items():
        if not is_member_name(name):
            raise ValueError(
                f"config.architectures has the name {short_repr(name)}: expected "
                f"{MEMBER_NAMES}"
            )
        try:
            parse(notation)
        except ValueError as error:
            raise ValueError(
                f"config.architectures.{safe_name(name)}: {error}"
            ) from None


def _check_ensemble(settings: Settings) -> None:
    """Checks the number of members, the budget's reference and the clusters."""
    count = len(settings.architectures) * settings.replicas
    if count > MOST_MEMBERS:
        raise ValueError(
            f"config.replicas is {settings.replicas}, which makes {count:,} members of "
            f"{len(settings.architectures)} architectures: expected at most "
            f"{MOST_MEMBERS:,} members"
        )
    reference = settings.budget.reference
    if reference and reference not in {**settings.architectures, **settings.members}:
        raise ValueError(
            f"config.budget.reference is {short_repr(reference)}: expected one of "
            f"{', '.join(settings.architectures)}, or nothing for the one network of "
            "Snapshot Ensembles"
        )
    with named_as_fields(CLUSTERS):
        check_knobs(count, settings.num_clusters, settings.min_shared)
