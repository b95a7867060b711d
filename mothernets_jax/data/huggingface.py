"""A data set of the Hugging Face library `datasets`, read where it is.

Its images stay in its files, which are mapped into memory, until they are needed. They
are decoded here, as files of folders are, by the formats that are read and no others.
The object is handed in: nothing here imports `datasets`.
"""

import dataclasses
import importlib
import io
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mothernets_jax.data import decoding
from mothernets_jax.data.dataset import Dataset
from mothernets_jax.data.digests import Source, digest_of_files
from mothernets_jax.data.given_splits import load_and_divide
from mothernets_jax.data.inputs import as_labels
from mothernets_jax.data.load_files import decode_files
from mothernets_jax.data.preparation import Preparation, check_options
from mothernets_jax.data.split_names import split_of
from mothernets_jax.data.table_file import unknown_column
from mothernets_jax.utils.argument_errors import Argument, ArgumentError
from mothernets_jax.utils.messages import safe_name, short_repr

_LIBRARY = "datasets"
_CHUNK_ROWS = 1024


def is_huggingface(value: Any) -> bool:
    """Tells whether a value is a data set of the library `datasets`, of any kind."""
    return _kind(value) != ""


def from_huggingface(
    dataset: Any,
    *,
    image_column: str | None,
    label_column: str | None,
    group_column: str | None,
    class_names: tuple[str, ...] | None,
    image_size: int | None,
    crop: str,
    resize: str,
    memory_bytes: int | None,
    **of_splits: Any,
) -> Dataset:
    """Reads images and labels in place; see `Dataset.from_huggingface`."""
    check_options(image_size, crop, resize)
    parts, notes = _parts(dataset)
    name, first = next(iter(parts.items()))
    image = _image_column(first, image_column)
    label = _label_column(first, label_column)
    for own in parts.values():
        _check_alike(name, first, own, image, label, group_column)
    names = class_names or getattr(first.features[label], "names", None)
    labels, names = as_labels(_column(parts, label), names and tuple(names))
    groups = None if group_column is None else _column(parts, group_column)
    splits = None
    if len(parts) > 1:
        lengths = [len(part) for part in parts.values()]
        splits = np.repeat([split_of(name) for name in parts], lengths)
    preparation = Preparation(image_size, crop, resize)
    rows = _Rows(
        tuple(_encoded(part, image) for part in parts.values()), tuple(parts), image
    )
    examples = len(labels)
    return load_and_divide(
        rows,
        labels,
        names,
        splits,
        preparation,
        memory_bytes=memory_bytes,
        decode=lambda: decode_files(rows, examples, preparation),
        source=lambda: Source(files=digest_of_files(rows.names_and_sizes())),
        groups=groups,
        notes=notes,
        **of_splits,
    )


def _kind(value: Any) -> str:
    """Name of the class of `datasets` that a value is of; empty for others."""
    for base in type(value).__mro__:
        if base.__module__.split(".")[0] == _LIBRARY:
            return base.__name__
    return ""


def _parts(dataset: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The parts that are splits, by their names, and notes on those that are not.

    Raises:
        ValueError: it is of another kind, or its parts are no splits.
    """
    kind = _kind(dataset)
    if kind.startswith("Iterable"):
        raise ArgumentError(
            Argument("dataset"),
            f" is an {kind}, which is read from its beginning only: expected a "
            "datasets.Dataset or DatasetDict; load it without streaming=True",
        )
    if kind == "Dataset":
        parts = {"train": dataset}
        notes = ()
    elif kind == "DatasetDict":
        parts = {name: part for name, part in dataset.items() if split_of(name)}
        others = [name for name in dataset if name not in parts]
        notes = (f"Left out, as they are no splits: {', '.join(others)}.",) * any(
            others
        )
        named = [split_of(name) for name in parts]
        if "train" not in named or len(set(named)) < len(named):
            raise ArgumentError(
                Argument("dataset"),
                f" has the splits {short_repr(', '.join(dataset))}: expected train, "
                "perhaps beside one test and one validation; choose them as in "
                'DatasetDict({"train": own["..."]})',
            )
    else:
        raise ArgumentError(
            Argument("dataset"),
            f" is of type {type(dataset).__name__}: expected a datasets.Dataset or "
            "DatasetDict",
        )
    for part in parts.values():
        if part.format["type"] == "custom":
            raise ArgumentError(
                Argument("dataset"),
                " has a transform, which would not be applied: take it off by "
                "reset_format(), and give train() an augment, or use map()",
            )
    return parts, notes


def _image_column(part: Any, name: str | None) -> str:
    """The column of images: the one that is named, or the only one.

    Raises:
        ValueError: there is none, or there are several.
    """
    found = [own for own, what in part.features.items() if _is(what, "Image")]
    if name is None and len(found) == 1:
        return found[0]
    argument = Argument("image_column")
    kinds = {own: type(what).__name__ for own, what in part.features.items()}
    if name is None:
        raise ArgumentError(
            f"the data set has {len(found)} columns of images "
            f"({short_repr(kinds)}): expected one, or its name as ",
            argument,
        )
    if name not in part.features:
        raise unknown_column("image_column", name, list(kinds), "the data set")
    if name not in found:
        raise ArgumentError(
            argument,
            f" is {short_repr(name)}, whose values are of the type {kinds[name]}: "
            "expected datasets.Image. Files become images by "
            f"cast_column({name!r}, datasets.Image()), arrays a data set by "
            "Dataset.from_arrays",
        )
    return name


def _label_column(part: Any, name: str | None) -> str:
    columns = list(part.features)
    if name is not None:
        if name not in columns:
            raise unknown_column("label_column", name, columns, "the data set")
        return name
    found = [own for own in columns if _is(part.features[own], "ClassLabel")]
    found = found or [own for own in columns if own in ("label", "labels")]
    if len(found) != 1:
        raise ArgumentError(
            f"the data set has {len(found)} columns of labels among "
            f"{short_repr(', '.join(columns))}: expected one of the type ClassLabel or "
            "called label, or its name as ",
            Argument("label_column"),
        )
    return found[0]


def _is(feature: Any, kind: str) -> bool:
    return _kind(feature) == kind


def _check_alike(
    name: str, first: Any, part: Any, image: str, label: str, group: str | None
) -> None:
    """Refuses splits whose columns differ."""
    for column in (image, label):
        if part.features.get(column) != first.features[column]:
            raise ArgumentError(
                f"the column {short_repr(column)} is {first.features[column]} in "
                f"{safe_name(name)} and {part.features.get(column)} in another split: "
                "expected the same in all"
            )
    if group is not None and group not in part.features:
        raise unknown_column("group_column", group, list(part.features), "the data set")


def _column(parts: Mapping[str, Any], name: str) -> np.ndarray:
    """The values of a column of all parts.

    Raises:
        ValueError: a value is missing.
    """
    values = []
    for split, part in parts.items():
        own = part.with_format(None).select_columns([name])[:][name]
        if None in own:
            raise ArgumentError(
                f"row {own.index(None):,} of {safe_name(split)} has no "
                f"{safe_name(name)}: fill it in, or leave the row out by filter()"
            )
        values += own
    return np.asarray(values)


def _encoded(part: Any, column: str) -> Any:
    """A part with its images as they are in the files, not decoded."""
    feature = type(part.features[column])(decode=False)
    return part.with_format(None).select_columns([column]).cast_column(column, feature)


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Files of the images of several parts, by their numbers; can be pickled.

    Attributes:
        parts: data sets with one column of images, not decoded.
        names: names of the parts.
        column: name of the column.
    """

    parts: tuple[Any, ...]
    names: tuple[str, ...]
    column: str

    def __call__(self, numbers: np.ndarray) -> list[decoding.Encoded]:
        ends = np.cumsum([len(part) for part in self.parts])
        of_part = np.searchsorted(ends, numbers, side="right")
        files: dict[int, decoding.Encoded] = {}
        for index in np.unique(of_part).tolist():
            places = np.flatnonzero(of_part == index)
            part, name = self.parts[index], self.names[index]
            rows = (numbers[places] - (ends[index] - len(part))).tolist()
            found = part[rows][self.column]
            for place, row, value in zip(places.tolist(), rows, found, strict=True):
                files[place] = _file(f"row {row} of {name}", value)
        return [files[place] for place in range(len(numbers))]

    def names_and_sizes(self) -> Iterator[tuple[str, int]]:
        """Path and size in bytes of each image, without reading the images."""
        # What `datasets` keeps its tables in.
        compute = importlib.import_module("pyarrow.compute")
        for part in self.parts:
            arrow = part.with_format("arrow")
            for start in range(0, len(part), _CHUNK_ROWS):
                column = arrow[start : start + _CHUNK_ROWS].column(self.column)
                for chunk in column.chunks:
                    sizes = compute.binary_length(chunk.field("bytes"))
                    paths = chunk.field("path").to_pylist()
                    for path, size in zip(paths, sizes.to_pylist(), strict=True):
                        if size is None:
                            size = os.path.getsize(path) if path else 0
                        yield path or "", size


def _file(name: str, value: Mapping[str, Any] | None) -> decoding.Encoded:
    """The file of an image: its bytes, or its path; an empty one for none."""
    value = value or {}
    content, path = value.get("bytes"), value.get("path")
    if content is None and path:
        return decoding.Encoded(path, path)
    return decoding.Encoded(name, io.BytesIO(content or b""))
