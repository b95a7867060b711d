"""What a run is told, frozen. `config` makes it of a ConfigDict and checks it."""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from mothernets_jax.architectures import Architecture, parse

# Besides `data.workers`: a run may go on with others.
_HARMLESS = ("prices", "combine", "checkpoint")
# Where images are kept: a run's own record tells whether they are the same.
_PLACES = ("dir", "ood_dir")
# Settings that earlier versions did not have, by full name, each with the value that
# does what these versions did.
_EARLIER = {
    "data.resize": "stretch",
    "data.test_fraction": 0.2,  # there was no run without a test set of its own
    "train.class_weights": "none",
}
# What one method alone reads.
_SECTIONS = {
    "mothernets": ("mother", "hatch"),
    "distillation": ("distillation",),
    "treenets": ("treenets",),
    "snapshot": ("snapshot",),
    "fge": ("fge",),
}


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
class MotherSettings:
    """How MotherNets are trained, beside `train`."""

    schedule: str
    cycles: int
    budget_share: float | None


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
    budget_share: float


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
    """Triangular cycles, a member in the middle of each; no length: by the budget."""

    cycle_epochs: int | None
    largest_rate: float
    smallest_rate: float


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """How often unfinished work is saved."""

    interval_seconds: float


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
    mother: MotherSettings
    hatch: HatchSettings
    budget: BudgetSettings
    distillation: DistillationSettings
    treenets: TreeNetsSettings
    snapshot: SnapshotSettings
    fge: FgeSettings
    checkpoint: CheckpointSettings
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
    def mother_recipe(self) -> Recipe:
        """The recipe of MotherNets."""
        schedule = self.mother.schedule or self.train.schedule
        return dataclasses.replace(self.train, schedule=schedule)

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
        """Eight hexadecimal digits that differ where any setting does that matters."""
        return digest_of(identifying(self.to_json()))


def digest_of(values: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that differ where any of these plain values does."""
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def without_harmless(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as plain values, but for those that change no trained parameter."""
    kept = {name: value for name, value in settings.items() if name not in _HARMLESS}
    if isinstance(kept.get("data"), Mapping):
        data = kept["data"].items()
        kept["data"] = {name: value for name, value in data if name != "workers"}
    return kept


def without_places(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as plain values, but for where the images are."""
    kept = dict(settings)
    if isinstance(kept.get("data"), Mapping):
        data = kept["data"].items()
        kept["data"] = {name: value for name, value in data if name not in _PLACES}
    return kept


def identifying(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as plain values, as they tell one experiment from another by a digest.

    Left out are those that change no trained parameter, and those that have the value
    which stands for what was done before there were such settings: a new one changes
    no digest of an earlier version.
    """
    kept = without_harmless(settings)
    for name, value in _EARLIER.items():
        group, field = name.split(".")
        section = kept.get(group)
        if isinstance(section, Mapping) and section.get(field) == value:
            kept[group] = {n: v for n, v in section.items() if n != field}
    return kept


def of_this_version(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that an earlier version has saved, with the fields it did not have.

    Args:
        settings: plain values, the content of a run's `config.json`.

    Returns:
        The same, and for each field of today that is missing the value that does what
        that version did, as far as there is one.
    """
    filled = dict(settings)
    sections = {field.name: field.type for field in dataclasses.fields(Settings)}
    for name, value in _EARLIER.items():
        group, field = name.split(".")
        known = {own.name for own in dataclasses.fields(sections[group])}  # type: ignore[arg-type]
        if field in known and isinstance(filled.get(group), Mapping):
            filled[group] = {field: value, **filled[group]}
    return filled


def without_other_methods(
    settings: Mapping[str, Any], methods: Collection[str]
) -> dict[str, Any]:
    """Settings as plain values, but for the sections that none of the methods reads."""
    others = {
        section
        for method, sections in _SECTIONS.items()
        if method not in methods
        for section in sections
    }
    return {name: value for name, value in settings.items() if name not in others}
