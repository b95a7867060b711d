"""Which values the fields of a config may have, each by itself.

What is larger than the largest is a slip of the pen: nobody has the memory or the time.
"""

import difflib
from collections.abc import Sequence
from typing import Any

from mothernets_jax.config.settings import Settings
from mothernets_jax.data.crops import CROPS
from mothernets_jax.data.resizing import RESIZES
from mothernets_jax.ensembles.combine import NAMES
from mothernets_jax.growth.mothernet import ALIGNMENTS
from mothernets_jax.training.schedules import SCHEDULES
from mothernets_jax.utils.messages import named, shown

STOP_RULES = ("epochs", "plateau")
# Those of `optim.OPTIMIZERS`, without importing optax.
OPTIMIZERS = ("sgd", "adamw", "lion")

_EPOCHS, _RATE = 100_000, 1e6
_LONGEST_TEXT = 4_000  # characters; paths are no longer

# Smallest and largest value, both allowed. What may be None is skipped where it is.
_RANGES: dict[str, tuple[float, float]] = {
    "replicas": (1, 1e15),  # `config` counts the members
    "train.epochs": (1, _EPOCHS),
    "train.batch_size": (1, 10_000_000),
    "train.patience_epochs": (1, _EPOCHS),
    "train.learning_rate": (0, _RATE),
    "train.weight_decay": (0, _RATE),
    "train.warmup_epochs": (0, _EPOCHS),
    "hatch.epochs": (1, _EPOCHS),
    "hatch.learning_rate": (0, _RATE),
    "hatch.noise": (0, _RATE),
    "hatch.warmup_epochs": (0, _EPOCHS),
    "mother.cycles": (1, _EPOCHS),
    "treenets.shared_blocks": (1, 1_000),
    "snapshot.cycle_epochs": (1, _EPOCHS),
    "snapshot.learning_rate": (0, _RATE),
    "fge.cycle_epochs": (2, _EPOCHS),
    "fge.smallest_rate": (0, _RATE),
    "fge.largest_rate": (0, _RATE),
    "budget.epochs": (0, _EPOCHS),
    "checkpoint.interval_seconds": (0, 1e9),
    "data.fold": (0, 1e6),
    "data.train_examples": (1, 1e12),
    "data.image_size": (1, 16_384),
    "data.crop_padding": (0, 16_384),
    "data.workers": (0, 1_024),
}

# Shares, which may be 0 and 1, with what they are a share of where that helps.
_SHARES = {
    "distillation.share": "",
    "distillation.budget_share": "",
    "mother.budget_share": "",
    "data.memory_share": " of a device's memory (0 streams always)",
}

_CHOICES: dict[str, Sequence[str]] = {
    "align": ALIGNMENTS,
    "data.crop": CROPS,
    "data.resize": RESIZES,
    "strategy": ("auto", "vmap", "unroll", "loop"),
    "precision": ("auto", "float32", "bfloat16"),
    "combine": NAMES,
    "data.crop_border": ("black", "reflect"),
    "data.flip": ("none", "random", "alternating"),
    "train.schedule": tuple(SCHEDULES),
    "hatch.schedule": tuple(SCHEDULES),
    "mother.schedule": ("", *SCHEDULES),
    "train.stop": STOP_RULES,
    "train.class_weights": ("none", "balanced"),
    "train.optimizer": OPTIMIZERS,
    "hatch.split": ("random", "equal"),
}

_TEXTS = ("data.name", "data.dir", "data.ood_name", "data.ood_dir", "budget.reference")


def check_ranges(settings: Settings) -> None:
    """Raises ValueError where a field's value is out of its range."""
    for path, (least, most) in _RANGES.items():
        value = value_of(settings, path)
        if value is not None and not value >= least:  # nor is what is no number
            _refuse(path, value, f"{least} or more")
        if value is not None and value > most:
            _refuse(path, value, f"at most {most:,.0f}")
    for path, of in _SHARES.items():
        value = value_of(settings, path)
        if value is not None and not 0 <= value <= 1:
            _refuse(path, value, f"a share{of} from 0 to 1")
    for path, choices in _CHOICES.items():
        value = value_of(settings, path)
        if value not in choices:
            close = difflib.get_close_matches(value[:100], choices, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            _refuse(path, value, f"one of {', '.join(map(repr, choices))}{hint}")
    for path in _TEXTS:
        value = value_of(settings, path)
        if len(value) > _LONGEST_TEXT or "\0" in value:
            _refuse(path, value, "a name or a path, without the character 0")
    if not 0 <= settings.seed < 2**32:
        _refuse("seed", settings.seed, "0 or more, and less than 2**32")
    if not 0 < settings.distillation.temperature <= _RATE:
        temperature = settings.distillation.temperature
        _refuse("distillation.temperature", temperature, "more than 0, up to 1,000,000")
    if not 0 <= settings.train.label_smoothing < 1:
        smoothing = settings.train.label_smoothing
        _refuse("train.label_smoothing", smoothing, "0 or more, and less than 1")
    for name in ("validation_fraction", "calibration_fraction"):
        fraction = value_of(settings, f"data.{name}")
        if not 0 <= fraction < 1:
            part = "a part of the training set, 0 or more and less than 1"
            _refuse(f"data.{name}", fraction, part)
    if not 0 < settings.data.test_fraction < 1:
        part = "a part of the images, more than 0 and less than 1"
        _refuse("data.test_fraction", settings.data.test_fraction, part)
    for name, price in settings.prices.items():
        if not 0 <= price < float("inf"):
            _refuse(f"prices.{named(name)}", price, "0 or more dollars")


def value_of(settings: Settings, path: str) -> Any:
    """The value of a field, such as `train.epochs`."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _refuse(path: str, value: Any, expected: str) -> None:
    raise ValueError(f"config.{path} is {shown(value)}: expected {expected}")
