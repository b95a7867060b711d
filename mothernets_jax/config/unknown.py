"""What is meant by a setting that there is not: names in other sections and libraries.

`config.epochs` is a field of several sections, `lr` another library's name for one.
"""

import dataclasses
import difflib
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from mothernets_jax.config.settings import Settings
from mothernets_jax.utils.messages import safe_name

_MOST_NAMED = 2  # settings in an answer
# Where a name is in several sections, these are meant before others.
_FIRST = ("train", "hatch")
_LIST = "docs/reference/settings.md lists them all"

# What other libraries call a setting, to its own name, or to its path.
_OTHER_NAMES = {
    **dict.fromkeys(("lr", "base_lr", "max_lr", "rate", "eta"), "learning_rate"),
    **dict.fromkeys(("bs", "batch", "batchsize", "minibatch_size"), "batch_size"),
    **dict.fromkeys(("train_batch_size", "per_device_batch_size"), "batch_size"),
    **dict.fromkeys(("wd", "l2", "decay", "weightdecay"), "weight_decay"),
    **dict.fromkeys(("n_epochs", "num_epochs", "nepochs", "max_epochs"), "epochs"),
    **dict.fromkeys(("num_train_epochs", "max_iter", "steps"), "epochs"),
    **dict.fromkeys(("optim", "opt", "optimiser", "solver"), "optimizer"),
    **dict.fromkeys(("scheduler", "lr_scheduler", "lr_schedule"), "schedule"),
    **dict.fromkeys(("warmup", "warmup_steps"), "warmup_epochs"),
    **dict.fromkeys(("smoothing", "label_smooth"), "label_smoothing"),
    **dict.fromkeys(("patience", "n_iter_no_change"), "patience_epochs"),
    **dict.fromkeys(("early_stopping", "early_stop"), "train.stop"),
    **dict.fromkeys(("ema", "swa", "ema_decay", "averaging"), "average"),
    **dict.fromkeys(("class_weight", "balanced"), "class_weights"),
    **dict.fromkeys(("random_state", "random_seed", "rng_seed"), "seed"),
    **dict.fromkeys(("num_workers", "n_workers", "n_jobs"), "data.workers"),
    **dict.fromkeys(("dataset", "data_name", "dataset_name"), "data.name"),
    **dict.fromkeys(("data_dir", "datadir", "data_path", "root", "path"), "data.dir"),
    **dict.fromkeys(("img_size", "resolution", "input_size"), "data.image_size"),
    **dict.fromkeys(("val_split", "val_fraction"), "data.validation_fraction"),
    **dict.fromkeys(("n_members", "num_members", "ensemble_size"), "replicas"),
    **dict.fromkeys(("n_estimators", "num_models", "copies"), "replicas"),
    **dict.fromkeys(("clusters", "n_clusters", "k"), "num_clusters"),
    **dict.fromkeys(("dtype", "amp", "fp16", "bf16", "half"), "precision"),
    **dict.fromkeys(("method", "algorithm", "algorithms"), "methods"),
    **dict.fromkeys(("models", "model", "networks", "network"), "architectures"),
    **dict.fromkeys(("arch", "architecture", "members"), "architectures"),
}
# Of what is no setting at all.
_NO_SETTING = {
    "momentum": "SGD's is always 0.9; config.hatch.momentum is whether members have "
    "their MotherNet's",
    "dropout": "networks have none; config.train.weight_decay and "
    "config.train.label_smoothing regularise",
    "loss": "it is the cross-entropy",
    "resume": "the same command again goes on where it stopped",
    **dict.fromkeys(
        ("workdir", "output_dir", "out_dir", "save_dir", "log_dir", "logdir"),
        "the run's folder is a flag of its own, --workdir=FOLDER",
    ),
    **dict.fromkeys(("plan", "debug"), "it is a flag of its own, --plan or --debug"),
    **dict.fromkeys(
        ("device", "devices", "gpus", "num_gpus", "gpu"),
        "all devices are used; JAX_PLATFORMS and CUDA_VISIBLE_DEVICES choose them",
    ),
}


def no_setting(path: str) -> str:
    """The message for a setting that there is not, with those that may be meant.

    Args:
        path: the setting's name with those of its sections, such as `train.lr`.

    >>> no_setting("epochs")
    'no setting config.epochs: did you mean config.train.epochs or config.hatch.epochs?'
    """
    shown = f"config.{'.'.join(map(_shown, path.split('.')))}"
    start = f"no setting {shown}"
    *groups, name = path.lower().replace("-", "_").split(".")
    if found := _meant(tuple(groups), name):
        names = " or ".join(f"config.{own}" for own in found[:_MOST_NAMED])
        return f"{start}: did you mean {names}?"
    if name in _NO_SETTING:
        return f"{start}: {_NO_SETTING[name]}"
    section = ".".join(groups)
    start_of = f"{section}."
    inside = [own.removeprefix(start_of) for own in PATHS if own.startswith(start_of)]
    if inside:
        return f"{start}: config.{section} has {', '.join(inside)}"
    if section in PATHS:
        return f"{start}: config.{section} is one setting, without others in it"
    return f"{start}: {_LIST}"


def _shown(name: str) -> str:
    return safe_name(name) if name else ""


def _meant(groups: tuple[str, ...], name: str) -> list[str]:
    """Paths of the settings that may be meant, the likeliest first."""
    if name not in _NO_SETTING:
        own = _OTHER_NAMES.get(name, name)
        if own in PATHS:
            return [own]
        if found := _named(own, groups):
            return found
    if name in _NO_SETTING or not name:
        return []
    start = ".".join((*groups, ""))
    in_section = [path for path in PATHS if groups and path.startswith(start)]
    for paths in (in_section, PATHS):
        leaves = [path.rpartition(".")[2] for path in paths]
        if close := difflib.get_close_matches(name[:100], leaves, n=1, cutoff=0.75):
            return _named(close[0], groups)
    return []


def _named(name: str, groups: tuple[str, ...]) -> list[str]:
    """Paths of the settings of this name; only that in the same section, if any."""
    found = [path for path in PATHS if path.rpartition(".")[2] == name]
    same = ".".join((*groups, name))
    if same in found:
        return [same]
    close = difflib.get_close_matches(same, found, n=1, cutoff=0.85) if groups else []
    return close or sorted(found, key=_place)


def _place(path: str) -> int:
    section = path.partition(".")[0]
    return _FIRST.index(section) if section in _FIRST else len(_FIRST)


def _paths(kind: Any, start: str = "") -> Iterator[str]:
    hints: Mapping[str, Any] = typing.get_type_hints(kind)
    for name, hint in hints.items():
        if dataclasses.is_dataclass(hint):
            yield from _paths(hint, f"{start}{name}.")
        else:
            yield f"{start}{name}"


# Every setting, as `train.epochs`.
PATHS = tuple(_paths(Settings))
