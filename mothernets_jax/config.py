"""From a ConfigDict to frozen, validated settings: here the config ends.

Below this module everything takes settings, or plain keyword arguments.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from mothernets_jax.architectures import parse
from mothernets_jax.clustering import check_knobs
from mothernets_jax.combine import COMBINATIONS, NAMES
from mothernets_jax.data.crops import CROPS
from mothernets_jax.freezing import freeze
from mothernets_jax.mothernet import ALIGNMENTS
from mothernets_jax.schedules import SCHEDULES
from mothernets_jax.settings import Settings

STOP_RULES = ("epochs", "plateau")
MOST_MEMBERS = 1_000
# Names of networks that methods train beside the members.
_TAKEN = r"(mothernet|teacher)(_\d+)?"


def from_config(config: Mapping[str, Any], methods: tuple[str, ...]) -> Settings:
    """Checks a config and freezes it.

    Args:
        config: a ConfigDict or a nested mapping with exactly the fields of `Settings`.
        methods: the names that `methods` may hold.

    Raises:
        ValueError: an unknown or missing field, a wrong type, a value out of range;
            names the field, what was found and what was expected.
    """
    settings = freeze(Settings, config, "config")
    _check_ranges(settings, methods)
    _check_architectures(settings)
    _check_ensemble(settings)
    return settings


def _check_ranges(settings: Settings, methods: tuple[str, ...]) -> None:
    def at_least(least: float, path: str) -> None:
        value = _get(settings, path)
        if value is not None and not least <= value < float("inf"):
            raise ValueError(f"config.{path} is {value}: expected {least} or more")

    def one_of(choices: tuple[str, ...], path: str) -> None:
        value = _get(settings, path)
        if value not in choices:
            close = difflib.get_close_matches(str(value), choices, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            expected = ", ".join(map(repr, choices))
            raise ValueError(
                f"config.{path} is {value!r}: expected one of {expected}{hint}"
            )

    for path in ("replicas", "train.epochs", "train.batch_size", "hatch.epochs"):
        at_least(1, path)
    for path in ("train.patience_epochs", "data.image_size", "mother.cycles"):
        at_least(1, path)
    for path in ("treenets.shared_blocks", "snapshot.cycle_epochs"):
        at_least(1, path)
    for path in ("snapshot.learning_rate", "fge.smallest_rate", "budget.epochs"):
        at_least(0, path)
    at_least(0, "checkpoint.interval_seconds")
    at_least(settings.fge.smallest_rate, "fge.largest_rate")
    if settings.fge.cycle_epochs < 2 or settings.fge.cycle_epochs % 2:
        raise ValueError(
            f"config.fge.cycle_epochs is {settings.fge.cycle_epochs}: expected an even "
            "number, since a member is collected in the middle of a cycle"
        )
    for path in (
        "distillation.share",
        "distillation.budget_share",
        "mother.budget_share",
    ):
        if not 0 <= _get(settings, path) <= 1:
            raise ValueError(
                f"config.{path} is {_get(settings, path)}: expected a share from 0 to 1"
            )
    for name, price in settings.prices.items():
        if not 0 <= price < float("inf"):
            raise ValueError(f"config.prices.{name} is {price}: expected 0 or more")
    if not 0 < settings.distillation.temperature < float("inf"):
        raise ValueError(
            f"config.distillation.temperature is {settings.distillation.temperature}: "
            "expected more than 0"
        )
    for path in ("seed", "data.fold", "data.crop_padding", "data.workers"):
        at_least(0, path)
    for path in ("train.learning_rate", "hatch.learning_rate", "hatch.noise"):
        at_least(0, path)
    for path in ("train.weight_decay", "train.warmup_epochs", "hatch.warmup_epochs"):
        at_least(0, path)
    if not 0 <= settings.train.label_smoothing < 1:
        raise ValueError(
            f"config.train.label_smoothing is {settings.train.label_smoothing}: "
            "expected 0 or more, and less than 1"
        )
    if not 0 <= settings.data.memory_share <= 1:
        raise ValueError(
            f"config.data.memory_share is {settings.data.memory_share}: expected a "
            "share of a device's memory, from 0 (stream always) to 1"
        )
    fractions = settings.data.validation_fraction, settings.data.calibration_fraction
    for purpose, fraction in zip(("validation", "calibration"), fractions, strict=True):
        if not 0 <= fraction < 1:
            raise ValueError(
                f"config.data.{purpose}_fraction is {fraction}: expected a part of the "
                "training set, 0 or more and less than 1"
            )
    if sum(fractions) >= 1:
        raise ValueError(
            f"config.data.validation_fraction is {fractions[0]} and "
            f"config.data.calibration_fraction is {fractions[1]}: expected less than 1 "
            "together, as the rest of the training set trains"
        )
    if settings.seed >= 2**32:
        raise ValueError(f"config.seed is {settings.seed}: expected less than 2**32")
    for group in ("train", "hatch"):
        epochs, warmup = (
            _get(settings, f"{group}.{name}") for name in ("epochs", "warmup_epochs")
        )
        if warmup > epochs:
            raise ValueError(
                f"config.{group}.warmup_epochs is {warmup}: expected at most "
                f"config.{group}.epochs, which is {epochs}"
            )
    one_of(ALIGNMENTS, "align")
    one_of(CROPS, "data.crop")
    one_of(("auto", "vmap", "unroll", "loop"), "strategy")
    one_of(("auto", "float32", "bfloat16"), "precision")
    one_of(NAMES, "combine")
    if settings.combine not in COMBINATIONS and not fractions[1]:
        raise ValueError(
            f"config.combine is {settings.combine!r}, whose weights are fitted on a "
            "part of the training set, and config.data.calibration_fraction is 0.0: "
            f"set it, to 0.1 say, or choose one of {', '.join(COMBINATIONS)}"
        )
    one_of(("black", "reflect"), "data.crop_border")
    one_of(("none", "random", "alternating"), "data.flip")
    one_of(tuple(SCHEDULES), "train.schedule")
    one_of(tuple(SCHEDULES), "hatch.schedule")
    one_of(STOP_RULES, "train.stop")
    one_of(("random", "equal"), "hatch.split")
    if not settings.methods:
        raise ValueError(f"config.methods is empty: choose from {', '.join(methods)}")
    for i, name in enumerate(settings.methods):
        if name not in methods or name in settings.methods[:i]:
            close = difflib.get_close_matches(name, methods, n=1)
            hint = (
                f" (did you mean {close[0]!r}?)" if close and close[0] != name else ""
            )
            raise ValueError(
                f"config.methods[{i}] is {name!r}{hint}: expected each of "
                f"{', '.join(methods)} at most once"
            )


def _get(settings: Settings, path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _check_architectures(settings: Settings) -> None:
    if not settings.architectures:
        raise ValueError("config.architectures is empty: give at least one network")
    for name, notation in settings.architectures.items():
        if not re.fullmatch(r"\w+", name) or re.fullmatch(_TAKEN, name):
            raise ValueError(
                f"config.architectures has the name {name!r}: expected letters, digits "
                "and '_' only, since folders are named after it, and not 'mothernet' "
                "or 'teacher'"
            )
        try:
            parse(notation)
        except ValueError as error:
            raise ValueError(f"config.architectures.{name}: {error}") from None


def _check_ensemble(settings: Settings) -> None:
    """How many members there are, and what is asked of their clusters."""
    count = len(settings.architectures) * settings.replicas
    if count > MOST_MEMBERS:
        raise ValueError(
            f"config.replicas is {settings.replicas}, which makes {count:,} members of "
            f"{len(settings.architectures)} architectures: expected at most "
            f"{MOST_MEMBERS:,} members"
        )
    try:
        check_knobs(count, settings.num_clusters, settings.min_shared)
    except ValueError as error:
        raise ValueError(f"config.{error}") from None
