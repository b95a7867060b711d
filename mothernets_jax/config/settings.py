"""All settings of a run, frozen: each field with its default and its allowed values.

A field of a section is a new line here; a section that few methods read is a
class, a field of `Settings` and an entry in `SECTIONS`. `validation` makes settings of
a config and checks them, `identity` tells which of them make two runs differ.
"""

import dataclasses
import json
from typing import Any

from mothernets_jax.architectures import Architecture, parse
from mothernets_jax.config.fields import (
    EPOCHS,
    RATE,
    Above,
    Notation,
    Part,
    Range,
    Share,
    choice,
    field,
    text,
)
from mothernets_jax.data.crops import CROPS
from mothernets_jax.data.resizing import RESIZES
from mothernets_jax.ensembles.combine import NAMES
from mothernets_jax.growth.mothernet import ALIGNMENTS
from mothernets_jax.training.augmentations import notation
from mothernets_jax.training.averaging import AVERAGES
from mothernets_jax.training.schedules import SCHEDULES

# What a method reads and most others do not.
SECTIONS = {
    "mothernets": ("mother", "hatch"),
    "star": ("mother", "hatch"),
    "distillation": ("distillation",),
    "treenets": ("treenets",),
    "snapshot": ("snapshot",),
    "fge": ("fge",),
    "swa": ("swa",),
    "prune_and_tune": ("prune_and_tune",),
}
# Dollars for an hour of one device, by a part of its name; yours differ.
_PRICES = {"cpu": 0.1, "A100": 2.0, "H100": 3.0, "H200": 3.5, "TPU": 1.5}


STOP_RULES = ("epochs", "plateau")
# Those of `optim.OPTIMIZERS`, without importing optax.
OPTIMIZERS = ("sgd", "adamw", "lion")


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """The images, and the ways in which they are varied in training."""

    name: str = text("digits")
    dir: str = text()
    fold: int = field(0, Range(0, 1e6))
    train_examples: int | None = field(None, Range(1, 1e12))  # None: all
    validation_fraction: float = field(0.1, Part("a part of the training set, "))
    # Fits temperatures and weights, if any.
    calibration_fraction: float = field(0.0, Part("a part of the training set, "))
    # Of a folder without a test set.
    test_fraction: float = field(0.2, Part("a part of the images, ", zero=False))
    # None: all images have one size.
    image_size: int | None = field(None, Range(1, 16_384))
    # shift: by crop_padding; resized: ImageNet's, streamed.
    crop: str = choice("shift", CROPS)
    resize: str = choice("crop", RESIZES)  # to squares of `image_size`
    crop_padding: int = field(4, Range(0, 16_384))
    crop_border: str = choice("black", ("black", "reflect"))
    flip: str = choice("random", ("none", "random", "alternating"))
    # After crops and flips: randaugment(2, 9) + mixup(0.2), or FILE.py:FUNCTION.
    augment: str = field("", Notation(notation.parse))
    # Larger sets are streamed.
    memory_share: float = field(0.5, Share(" of a device's memory (0 streams always)"))
    # Processes that read the stream; 0: threads.
    workers: int = field(0, Range(0, 1_024))
    ood_name: str = text()  # a data set that is to look strange, as `name`
    ood_dir: str = text()


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A training recipe; the section `train` holds that of networks from scratch."""

    epochs: int = field(30, Range(1, EPOCHS))
    batch_size: int = field(128, Range(1, 10_000_000))
    learning_rate: float = field(0.1, Range(0, RATE))
    weight_decay: float = field(5e-4, Range(0, RATE))
    label_smoothing: float = field(0.0, Part())
    schedule: str = choice("cosine", SCHEDULES)
    warmup_epochs: float = field(1.0, Range(0, EPOCHS))
    stop: str = choice("epochs", STOP_RULES)
    patience_epochs: int = field(15, Range(1, EPOCHS))
    # balanced: all classes count alike in the loss.
    class_weights: str = choice("none", ("none", "balanced"))
    optimizer: str = choice("sgd", OPTIMIZERS)
    # Of the weights, to predict with: `averaging.average_weights`.
    average: str = choice("none", AVERAGES)
    average_epochs: float = field(1.0, Above(EPOCHS))  # its length


@dataclasses.dataclass(frozen=True)
class MotherSettings:
    """The MotherNets' training, where it differs from `train`."""

    schedule: str = choice("", ("", *SCHEDULES))  # empty: train.schedule
    cycles: int = field(1, Range(1, EPOCHS))  # of a cosine schedule
    average: str = choice("", ("", *AVERAGES))  # empty: train.average
    # Of a budget, for the MotherNets; None: the less the larger it is.
    budget_share: float | None = field(None, Share())
    # A saved ensemble, or a run's folder, with the network that they begin from.
    init: str = text()  # empty: from scratch
    init_epochs: int = field(0, Range(0, EPOCHS))  # that this network trains on for


@dataclasses.dataclass(frozen=True)
class HatchSettings:
    """Hatching, and the hatched members' recipe where it differs from `train`."""

    epochs: int = field(12, Range(1, EPOCHS))
    learning_rate: float = field(0.1, Range(0, RATE))
    schedule: str = choice("cosine", SCHEDULES)
    warmup_epochs: float = field(0.5, Range(0, EPOCHS))
    noise: float = field(0.0, Range(0, RATE))
    split: str = choice("random", ("random", "equal"))
    growth: str = choice("copies", ("copies", "pairs", "zeros"))
    # opposite: the members of a MotherNet overlap least, noise is in opposite pairs.
    layout: str = choice("random", ("random", "opposite"))
    momentum: bool = False  # whether the optimiser's state is hatched, too
    bags: bool = False  # each member its own, drawn with replacement
    average: str = choice("none", AVERAGES)
    average_epochs: float = field(1.0, Above(EPOCHS))


@dataclasses.dataclass(frozen=True)
class BudgetSettings:
    """Training FLOPs of each method, as epochs of one network; None for no budget."""

    epochs: float | None = field(None, Range(0, EPOCHS))
    # In place of epochs: "1e15 flops" a method, or "30min" or "$2" for the whole run.
    limit: str = text()
    reference: str = text()  # empty: the one network of Snapshot Ensembles


@dataclasses.dataclass(frozen=True)
class DistillationSettings:
    """The teaching of members by the largest network, or of one member by all."""

    temperature: float = field(4.0, Above(RATE))
    share: float = field(0.5, Share())  # of the loss, for the teacher
    budget_share: float = field(0.3, Share())  # of a budget, for the teacher


@dataclasses.dataclass(frozen=True)
class TreeNetsSettings:
    """The number of blocks that members share before they branch."""

    shared_blocks: int = field(1, Range(1, 1_000))


@dataclasses.dataclass(frozen=True)
class SnapshotSettings:
    """Cosine cycles, each of which ends with a member."""

    cycle_epochs: int = field(10, Range(1, EPOCHS))
    learning_rate: float = field(0.2, Range(0, RATE))
    average: str = choice("", ("", *AVERAGES))  # empty: train.average


@dataclasses.dataclass(frozen=True)
class FgeSettings:
    """Triangular cycles, with a member collected in the middle of each."""

    # None: 4, or 2 where a budget is too small for those.
    cycle_epochs: int | None = field(None, Range(2, EPOCHS))
    largest_rate: float = field(0.05, Range(0, RATE))
    smallest_rate: float = field(1e-4, Range(0, RATE))
    average: str = choice("", ("", *AVERAGES))  # empty: train.average


@dataclasses.dataclass(frozen=True)
class SwaSettings:
    """The mean over the last epochs of one network, trained on at a constant rate."""

    start_share: float = field(0.75, Above(1))  # of all epochs, before the mean begins
    learning_rate: float = field(0.05, Range(0, RATE))  # while it is taken


@dataclasses.dataclass(frozen=True)
class PruneAndTuneSettings:
    """The tuning of children that keep half of their parent's weights each."""

    epochs: int = field(10, Range(1, EPOCHS))
    learning_rate: float = field(0.1, Range(0, RATE))
    schedule: str = choice("one_cycle", SCHEDULES)
    average: str = choice("", ("", *AVERAGES))  # empty: train.average
    budget_share: float = field(0.7, Share())  # of a budget, for the parent


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """The saving of unfinished work."""

    # Between two saves, at least.
    interval_seconds: float = field(60.0, Range(0, 1e9))


@dataclasses.dataclass(frozen=True)
class LogSettings:
    """The records of a run beside `metrics.jsonl`."""

    tensorboard: bool = False  # whether event files are written


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings of a run."""

    seed: int = field(0, Range(0, 2**32 - 1, "0 or more, and less than 2**32"))
    methods: tuple[str, ...] = ("mothernets", "full_data")
    architectures: dict[str, str] = dataclasses.field(default_factory=dict)
    replicas: int = field(1, Range(1, 1e15))  # `validation` counts the members
    grown: tuple[str, ...] = ()  # changes of a finished run: `config.grown`
    num_clusters: int | None = None  # None: the fewest that can be connected
    min_shared: float | None = None
    align: str = choice("best", ALIGNMENTS)  # "first" is the paper's
    strategy: str = choice("auto", ("auto", "vmap", "unroll", "loop"))
    # Of a stage on several devices: `runs.placement`.
    placement: str = choice("flops", ("flops", "timed"))
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
    swa: SwaSettings = SwaSettings()
    prune_and_tune: PruneAndTuneSettings = PruneAndTuneSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    log: LogSettings = LogSettings()
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
        return dataclasses.replace(
            self.train,
            schedule=self.mother.schedule or self.train.schedule,
            average=self.mother.average or self.train.average,
        )

    @property
    def hatch_recipe(self) -> Recipe:
        """The recipe of hatched members."""
        return dataclasses.replace(
            self.train,
            epochs=self.hatch.epochs,
            learning_rate=self.hatch.learning_rate,
            schedule=self.hatch.schedule,
            warmup_epochs=self.hatch.warmup_epochs,
            average=self.hatch.average,
            average_epochs=self.hatch.average_epochs,
        )

    def to_json(self) -> dict[str, Any]:
        """The settings as plain values, as saved in a run's `config.json`."""
        return json.loads(json.dumps(dataclasses.asdict(self)))
