"""All settings of a run, frozen; `config.validation` makes and checks them."""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from mothernets_jax.architectures import Architecture, parse
from mothernets_jax.config.fields import Range, choice, field
from mothernets_jax.config.sections import (
    BudgetSettings,
    CheckpointSettings,
    DataSettings,
    DistillationSettings,
    FgeSettings,
    HatchSettings,
    MotherSettings,
    Recipe,
    SnapshotSettings,
    TreeNetsSettings,
)
from mothernets_jax.ensembles.combine import NAMES
from mothernets_jax.growth.mothernet import ALIGNMENTS

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
    "train.optimizer": "sgd",
}
# What one method alone reads.
_SECTIONS = {
    "mothernets": ("mother", "hatch"),
    "distillation": ("distillation",),
    "treenets": ("treenets",),
    "snapshot": ("snapshot",),
    "fge": ("fge",),
}
# Dollars for an hour of one device, by a part of its name; yours differ.
_PRICES = {"cpu": 0.1, "A100": 2.0, "H100": 3.0, "H200": 3.5, "TPU": 1.5}


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings of a run."""

    seed: int = field(0, Range(0, 2**32 - 1, "0 or more, and less than 2**32"))
    methods: tuple[str, ...] = ("mothernets", "full_data")
    architectures: dict[str, str] = dataclasses.field(default_factory=dict)
    replicas: int = field(1, Range(1, 1e15))  # `validation` counts the members
    num_clusters: int | None = None  # None: the fewest that can be connected
    min_shared: float | None = None
    align: str = choice("best", ALIGNMENTS)  # "first" is the paper's
    strategy: str = choice("auto", ("auto", "vmap", "unroll", "loop"))
    # auto: bfloat16 on accelerators, float32 elsewhere
    precision: str = choice("auto", ("auto", "float32", "bfloat16"))
    combine: str = choice("average", NAMES)
    data: DataSettings = DataSettings()
    train: Recipe = Recipe()
    mother: MotherSettings = MotherSettings()
    hatch: HatchSettings = HatchSettings()
    budget: BudgetSettings = BudgetSettings()
    distillation: DistillationSettings = DistillationSettings()
    treenets: TreeNetsSettings = TreeNetsSettings()
    snapshot: SnapshotSettings = SnapshotSettings()
    fge: FgeSettings = FgeSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    prices: dict[str, float] = dataclasses.field(
        default_factory=lambda: dict(_PRICES),
        metadata={"rule": Range(0, float("inf"), "0 or more dollars")},
    )

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
        """The settings as plain values, as saved in a run's `config.json`."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def digest(self) -> str:
        """A digest, eight hexadecimal digits, of what `identifying` keeps."""
        return digest_of(identifying(self.to_json()))


def digest_of(values: Mapping[str, Any]) -> str:
    """A digest, eight hexadecimal digits, of plain values."""
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def result_relevant(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as plain values, without those that change no trained parameter."""
    kept = {name: value for name, value in settings.items() if name not in _HARMLESS}
    if isinstance(kept.get("data"), Mapping):
        data = kept["data"]
        unread = {"workers"} if _resizes(data) else {"workers", "resize"}
        kept["data"] = {name: v for name, v in data.items() if name not in unread}
    return kept


def _resizes(data: Mapping[str, Any]) -> bool:
    """True where `data.resize` is read, given the data's settings as plain values."""
    own = data.get("image_size") is not None and data.get("crop") != "resized"
    return own or bool(data.get("ood_name"))


def without_places(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as plain values, without the folders of the images."""
    kept = dict(settings)
    if isinstance(kept.get("data"), Mapping):
        data = kept["data"].items()
        kept["data"] = {name: value for name, value in data if name not in _PLACES}
    return kept


def identifying(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as plain values, without those that tell no experiments apart.

    Left out are settings that change no trained parameter, and settings that earlier
    versions did not have, where they have the value that does what these versions did:
    a new setting changes no digest of an earlier version.
    """
    kept = result_relevant(settings)
    for name, value in _EARLIER.items():
        group, field = name.split(".")
        section = kept.get(group)
        if isinstance(section, Mapping) and section.get(field) == value:
            kept[group] = {n: v for n, v in section.items() if n != field}
    return kept


def of_this_version(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that an earlier version saved, with the fields that it did not have.

    Args:
        settings: plain values, the content of a run's `config.json`.

    Returns:
        The settings, with each field that is missing set to the value that does what
        that version did, where such a value is known.
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
    """Settings as plain values, without the sections that no method of these reads."""
    others = {
        section
        for method, sections in _SECTIONS.items()
        if method not in methods
        for section in sections
    }
    return {name: value for name, value in settings.items() if name not in others}
