"""From a ConfigDict to frozen, validated settings: here the config ends.

Below this module everything takes plain keyword arguments.
"""

import dataclasses
import difflib
import hashlib
import json
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

from mothernets_jax.architectures import Architecture, parse
from mothernets_jax.clustering import check_knobs
from mothernets_jax.combine import COMBINATIONS, NAMES
from mothernets_jax.data.crops import CROPS
from mothernets_jax.mothernet import ALIGNMENTS
from mothernets_jax.schedules import SCHEDULES

STOP_RULES = ("epochs", "plateau")
MOST_MEMBERS = 1_000


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Which images, and how they are varied in training."""

    name: str
    dir: str
    fold: int
    train_examples: int | None
    validation_fraction: float
    calibration_fraction: float
    image_size: int | None
    crop: str
    crop_padding: int
    crop_border: str
    flip: str
    memory_share: float
    workers: int
    ood_name: str
    ood_dir: str


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How networks are trained; as `train`, for those that start from scratch."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    schedule: str
    warmup_epochs: float
    stop: str
    patience_epochs: int


@dataclasses.dataclass(frozen=True)
class HatchSettings:
    """How members are hatched, and where their recipe differs from `train`."""

    epochs: int
    learning_rate: float
    schedule: str
    warmup_epochs: float
    noise: float
    split: str
    momentum: bool
    bags: bool
    mother_cycles: int
    budget_share: float


@dataclasses.dataclass(frozen=True)
class BudgetSettings:
    """Training FLOPs of each method, as epochs of one network; none: own stop rules."""

    epochs: float | None
    reference: str


@dataclasses.dataclass(frozen=True)
class DistillationSettings:
    """How the largest network teaches the members."""

    temperature: float
    share: float


@dataclasses.dataclass(frozen=True)
class TreeNetsSettings:
    """Where members branch."""

    shared_blocks: int


@dataclasses.dataclass(frozen=True)
class SnapshotSettings:
    """Cosine cycles, each of which ends with a member."""

    cycle_epochs: int
    learning_rate: float


@dataclasses.dataclass(frozen=True)
class FgeSettings:
    """Triangular cycles, a member in the middle of each."""

    cycle_epochs: int
    largest_rate: float
    smallest_rate: float


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that decides the result of a run."""

    seed: int
    methods: tuple[str, ...]
    architectures: dict[str, str]
    replicas: int
    num_clusters: int | None
    min_shared: float | None
    align: str
    strategy: str
    precision: str
    combine: str
    data: DataSettings
    train: Recipe
    hatch: HatchSettings
    budget: BudgetSettings
    distillation: DistillationSettings
    treenets: TreeNetsSettings
    snapshot: SnapshotSettings
    fge: FgeSettings
    prices: dict[str, float]

    @property
    def networks(self) -> dict[str, Architecture]:
        """The architectures by name."""
        return {name: parse(notation) for name, notation in self.architectures.items()}

    @property
    def members(self) -> dict[str, Architecture]:
        """The ensemble's members by name: `V13`, or `V13_1`, `V13_2` for replicas."""
        return {
            name if self.replicas == 1 else f"{name}_{replica}": parse(notation)
            for name, notation in self.architectures.items()
            for replica in range(1, self.replicas + 1)
        }

    @property
    def hatch_recipe(self) -> Recipe:
        """The recipe of hatched members."""
        return dataclasses.replace(
            self.train,
            epochs=self.hatch.epochs,
            learning_rate=self.hatch.learning_rate,
            schedule=self.hatch.schedule,
            warmup_epochs=self.hatch.warmup_epochs,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, as saved in a run's `config.json`."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def digest(self) -> str:
        """Eight hexadecimal digits that differ where any setting differs."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def from_config(config: Mapping[str, Any], methods: tuple[str, ...]) -> Settings:
    """Checks a config and freezes it.

    Args:
        config: a ConfigDict or a nested mapping with exactly the fields of `Settings`.
        methods: the names that `methods` may hold.

    Raises:
        ValueError: an unknown or missing field, a wrong type, a value out of range;
            names the field, what was found and what was expected.
    """
    settings = _build(Settings, config, "config")
    _check_ranges(settings, methods)
    _check_architectures(settings)
    _check_ensemble(settings)
    return settings


def _build(kind: type, values: Any, path: str) -> Any:
    """A dataclass from a mapping, checked field by field."""
    if not isinstance(values, Mapping) and not hasattr(values, "items"):
        raise ValueError(f"{path} is {values!r}: expected a group of fields")
    hints = typing.get_type_hints(kind)
    for name in values:
        if name not in hints:
            close = difflib.get_close_matches(str(name), hints, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {list(hints)}"
            raise ValueError(f"{path}.{name} is not a field: {hint}")
    missing = [name for name in hints if name not in values]
    if missing:
        raise ValueError(f"{path}.{missing[0]} is missing: add it to the config file")
    return kind(
        **{n: _convert(hint, values[n], f"{path}.{n}") for n, hint in hints.items()}
    )


def _convert(hint: Any, value: Any, path: str) -> Any:
    """A value of the hinted type; ints become floats where floats are expected."""
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, path)  # type: ignore[arg-type]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:  # X | None
        return None if value is None else _convert(args[0], value, path)
    if origin is tuple:
        if not isinstance(value, tuple | list):
            raise ValueError(
                f"{path} is {value!r}: expected a tuple such as ('a', 'b')"
            )
        return tuple(_convert(args[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not hasattr(value, "items"):
            raise ValueError(f"{path} is {value!r}: expected names and their values")
        return {str(k): _convert(args[1], v, f"{path}.{k}") for k, v in value.items()}
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if hint is float and is_int:
        return float(value)
    if not isinstance(value, hint) or (hint is int and not is_int):
        raise ValueError(f"{path} is {value!r}: expected {_NAMES[hint]}")
    return value


_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


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
    for path in ("train.patience_epochs", "data.image_size", "hatch.mother_cycles"):
        at_least(1, path)
    for path in ("treenets.shared_blocks", "snapshot.cycle_epochs"):
        at_least(1, path)
    for path in ("snapshot.learning_rate", "fge.smallest_rate", "budget.epochs"):
        at_least(0, path)
    at_least(settings.fge.smallest_rate, "fge.largest_rate")
    if settings.fge.cycle_epochs < 2 or settings.fge.cycle_epochs % 2:
        raise ValueError(
            f"config.fge.cycle_epochs is {settings.fge.cycle_epochs}: expected an even "
            "number, since a member is collected in the middle of a cycle"
        )
    for path in ("distillation.share", "hatch.budget_share"):
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
        if not re.fullmatch(r"\w+", name) or re.fullmatch(r"mothernet(_\d+)?", name):
            raise ValueError(
                f"config.architectures has the name {name!r}: expected letters, digits "
                "and '_' only, since folders are named after it, and not 'mothernet'"
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
