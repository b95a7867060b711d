"""Data that a caller from Python hands to a run, divided as its settings say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mothernets_jax.config.settings import DataSettings
from mothernets_jax.data import dataset as splits
from mothernets_jax.data.huggingface import is_huggingface
from mothernets_jax.data.public import Dataset
from mothernets_jax.runtime import devices
from mothernets_jax.utils.messages import short_repr

# Arguments of `Dataset.from_arrays`, which are settings of the data elsewhere.
_SPLITTING = (
    "train_examples",
    "validation_fraction",
    "calibration_fraction",
    "test_fraction",
)
_OF_FILES = ("image_size", "crop", "resize")
# Settings of data that are loaded by name.
_NAMING = ("name", "dir", "fold")
_LOADING = (*_NAMING, *_OF_FILES, "memory_share")


def handed_dataset(
    data: Any, labels: Any, section: Mapping[str, Any], of_arrays: Mapping[str, Any]
) -> splits.Dataset | None:
    """The data set that a caller hands over, or whose arrays or files.

    Args:
        data: arrays, a data set, the path of a table or a data set of the Hugging Face
            library; or a name or a folder, which settings name.
        labels: the labels of arrays; None for other data.
        section: settings of the section `data` by name, of which those that divide or
            read such data are used.
        of_arrays: the arguments `test`, `validation` and `groups` of
            `Dataset.from_arrays`; None each for data other than arrays.

    Returns:
        The data set; None where settings are to name the data.

    Raises:
        ValueError: arrays without labels or other data with them, or data that cannot
            be used.
        FileNotFoundError: there is no such table.
    """
    in_files = is_huggingface(data) or _is_table(data)
    if isinstance(data, splits.Dataset | str | Path) or in_files:
        unfit = {"labels": labels, **of_arrays}
        if names := [name for name, own in unfit.items() if own is not None]:
            shown = short_repr(data) if isinstance(data, str) else type(data).__name__
            raise ValueError(
                f"{' and '.join(names)} given, and data is {shown}, which has its own: "
                "expected them beside arrays alone"
            )
    if isinstance(data, splits.Dataset):
        return data
    chosen = {name: section[name] for name in _SPLITTING if name in section}
    if in_files:
        return _from_files(data, section, chosen)
    if isinstance(data, str | Path):
        return None
    if labels is None:
        raise ValueError(
            "labels is missing: expected one for each example of the arrays"
        )
    return Dataset.from_arrays(data, labels, **of_arrays, **chosen)


def check_section(data: Any, section: Mapping[str, Any]) -> None:
    """Refuses settings of the data that data which are handed over do not read.

    Args:
        data: as for `handed_dataset`.
        section: the settings of the section `data` that were given, by name.

    Raises:
        ValueError: one of them is not read.
    """
    if isinstance(data, splits.Dataset):
        _refuse(section, (*_SPLITTING, *_LOADING), "a Dataset, which is there already")
    elif is_huggingface(data) or _is_table(data):
        _refuse(section, _NAMING, "a table or data set of its own")
    elif not isinstance(data, str | Path):
        _refuse(section, _LOADING, "arrays")


def _is_table(data: Any) -> bool:
    return isinstance(data, str | Path) and Path(data).suffix.lower() == ".csv"


def _from_files(
    data: Any, section: Mapping[str, Any], splitting: Mapping[str, Any]
) -> Dataset:
    """Reads a table, or a data set of the Hugging Face library, as settings say."""
    reading = {name: section[name] for name in _OF_FILES if name in section}
    share = section.get("memory_share", DataSettings().memory_share)
    memory_bytes = int(share * devices.memory_bytes())
    make = Dataset.from_huggingface if is_huggingface(data) else Dataset.from_table
    return make(data, **splitting, **reading, memory_bytes=memory_bytes)


def _refuse(section: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    for name in names:
        if name in section:
            raise ValueError(
                f"settings.data.{name} is {short_repr(section[name])}, and data is "
                f"{what}: leave it out, or make the Dataset with it"
            )
