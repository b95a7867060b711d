"""Settings that tell one experiment from another, as plain values and as a digest."""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from mothernets_jax.config.settings import SECTIONS, Settings

# Besides `data.workers`: a run may go on with others.
_HARMLESS = ("prices", "combine", "checkpoint", "log")
# Where images are kept: a run's own record tells whether they are the same.
_PLACES = ("dir", "ood_dir")
# Settings that earlier versions did not have, by full name, each with the value that
# does what these versions did.
_EARLIER: dict[str, Any] = {
    "grown": [],
    "placement": "flops",
    "data.resize": "stretch",
    "data.augment": "",
    "data.test_fraction": 0.2,  # there was no run without a test set of its own
    "train.class_weights": "none",
    "train.optimizer": "sgd",
    "train.average": "none",
    "train.average_epochs": 1.0,
    "mother.average": "",
    "mother.init": "",
    "mother.init_epochs": 0,
    "hatch.average": "none",
    "hatch.average_epochs": 1.0,
    "budget.limit": "",
    "snapshot.average": "",
    "fge.average": "",
    "hatch.growth": "copies",
    "hatch.layout": "random",
    # These versions lacked the methods, which any value suits.
    "swa.start_share": 0.75,
    "swa.learning_rate": 0.05,
    "prune_and_tune.epochs": 10,
    "prune_and_tune.learning_rate": 0.1,
    "prune_and_tune.schedule": "one_cycle",
    "prune_and_tune.average": "",
    "prune_and_tune.budget_share": 0.7,
}


def digest(settings: Settings) -> str:
    """A digest, eight hexadecimal digits, of what `identifying` keeps of settings."""
    return digest_of(identifying(settings.to_json()))


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
    versions did not have, where they have the value that does what these versions did,
    with the sections that then are empty: a new setting changes no digest of an earlier
    version.
    """
    kept = result_relevant(settings)
    for name, value in _EARLIER.items():
        group, _, field = name.rpartition(".")
        section = kept.get(group)
        if not group and kept.get(field) == value:
            del kept[field]
        if isinstance(section, Mapping) and section.get(field) == value:
            kept[group] = {n: v for n, v in section.items() if n != field}
            if not kept[group]:
                del kept[group]
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
    sections: Any = {field.name: field.type for field in dataclasses.fields(Settings)}
    for name, value in _EARLIER.items():
        group, _, field = name.rpartition(".")
        if not group:
            filled.setdefault(field, value)
            continue
        known = {own.name for own in dataclasses.fields(sections[group])}
        if {f"{group}.{own}" for own in known} <= _EARLIER.keys():
            filled.setdefault(group, {})  # a whole section that there was not
        if field in known and isinstance(filled.get(group), Mapping):
            filled[group] = {field: value, **filled[group]}
    return filled


def without_other_methods(
    settings: Mapping[str, Any], methods: Collection[str]
) -> dict[str, Any]:
    """Settings as plain values, without the sections that no method of these reads."""
    every = {section for sections in SECTIONS.values() for section in sections}
    read = {section for method in methods for section in SECTIONS.get(method, ())}
    others = every - read
    return {name: value for name, value in settings.items() if name not in others}
