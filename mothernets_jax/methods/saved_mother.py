"""A MotherNet that was trained before: a member of a saved ensemble.

All of a run's members are hatched from it, so that there is one cluster. This loads
without JAX.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.operations import Map
from mothernets_jax.config.settings import Settings
from mothernets_jax.data import Dataset
from mothernets_jax.ensembles.record import EnsembleRecord, from_json
from mothernets_jax.growth.mothernet import matched_units
from mothernets_jax.stages.amounts import TaskData
from mothernets_jax.utils.messages import in_short, short_repr


class SavedMother(NamedTuple):
    """A saved network that MotherNets begin from.

    Attributes:
        folder: folder of the saved ensemble.
        member: the network's name there.
        record: the ensemble's record.
    """

    folder: Path
    member: str
    record: EnsembleRecord

    @property
    def architecture(self) -> Architecture:
        """The network's architecture."""
        return self.record.members[self.member]


def saved_mother(
    settings: Settings, members: Mapping[str, Architecture], task: TaskData
) -> SavedMother | None:
    """The largest network of the saved ensemble that can become every member.

    Args:
        settings: settings, of which `mother.init` is read, which names the ensemble.
        members: the members' architectures by name.
        task: the task that the members are for.

    Returns:
        The network; None where the settings name no ensemble.

    Raises:
        ValueError: there is no such ensemble, it is for other images, or none of its
            networks can become every member; the message says why.
    """
    if not settings.mother.init:
        return None
    folder, record = _find(settings.mother.init)
    _check_images(folder, record, task.dataset)
    reasons = {}
    for name, network in record.members.items():
        reason = _obstacle(network, record, members, task)
        if reason:
            reasons[name] = reason
    fitting = [name for name in record.members if name not in reasons]
    if not fitting:
        raise ValueError(
            f"config.mother.init is {short_repr(str(folder))}, of whose networks none "
            f"can become every member of this run: {in_short(reasons)}. Expected "
            "members that are at least as deep, wide and large everywhere; put others "
            "into a run of their own"
        )
    sizes = record.sizes()
    return SavedMother(folder, max(fitting, key=lambda name: sizes[name]), record)


def with_saved_normalisation(dataset: Dataset, settings: Settings) -> Dataset:
    """The data set, normalised as a saved MotherNet expects; unchanged without one.

    Args:
        dataset: the run's data.
        settings: settings, of which `mother.init` is read.

    Raises:
        ValueError: there is no such ensemble, or it is for other images.
    """
    if not settings.mother.init:
        return dataset
    folder, record = _find(settings.mother.init)
    _check_images(folder, record, dataset)
    note = (
        f"The MotherNet begins from a network saved in {folder}, whose own training is "
        "not counted; images are normalised as that network expects. "
        f"{_head_note(record, dataset)}"
    )
    return dataset._replace(
        mean=np.asarray(record.mean, np.float32),
        std=np.asarray(record.std, np.float32),
        notes=(*dataset.notes, note),
    )


def keeps_head(record: EnsembleRecord, dataset: Dataset) -> bool:
    """Whether a saved network's head stays: its classes have the data's names.

    Names that are numbers alone are taken for the same classes.
    """
    return record.class_names == tuple(dataset.class_names)


def _head_note(record: EnsembleRecord, dataset: Dataset) -> str:
    """A sentence on the head, and on what its names do not tell."""
    if not keeps_head(record, dataset):
        return "Its head is drawn anew, as the names of its classes are others."
    if not all(name.isdecimal() for name in record.class_names):
        return "Its head is kept, as its classes have the same names."
    return (
        "Its head is kept, as its classes have the same names, which are numbers "
        "alone: where they stand for other classes, give the data's classes names, "
        "and the head is drawn anew."
    )


def _find(path: str) -> tuple[Path, EnsembleRecord]:
    from mothernets_jax.ensembles.places import find
    from mothernets_jax.storage import checkpoints

    try:
        folder = find(path, None)
        return folder, from_json(checkpoints.read_record(folder))
    except (ValueError, OSError) as error:
        raise ValueError(f"config.mother.init cannot be used: {error}") from None


def _check_images(folder: Path, record: EnsembleRecord, dataset: Dataset) -> None:
    """Refuses networks for images of other channels, or in other units."""
    channels, dtype = dataset.input_shape[2], dataset.input_dtype
    if (record.input_shape[2], record.input_dtype) != (channels, np.dtype(dtype).name):
        raise ValueError(
            f"config.mother.init is {short_repr(str(folder))}, for "
            f"{record.input_dtype} images of {record.input_shape[2]} channels: "
            f"expected {dtype} and {channels}, as in the data of this run"
        )


def _obstacle(
    network: Architecture,
    record: EnsembleRecord,
    members: Mapping[str, Architecture],
    task: TaskData,
) -> str:
    """The reason why a network cannot become every member; "" where it can."""
    flattens = any(
        isinstance(operation, Map) and operation.kind == "flatten"
        for operation in network.operations()
    )
    if flattens and record.input_shape != task.input_shape:
        return f"it is for inputs of {record.input_shape}, not {task.input_shape}"
    for member in dict.fromkeys(members.values()):
        try:
            matched_units(network, member)
        except ValueError as error:
            return str(error)
    return ""
