"""A data set of image files whose paths and labels are listed in a table."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mothernets_jax.data import decoding, folder_listing
from mothernets_jax.data.dataset import Dataset
from mothernets_jax.data.digests import Source, digest_of_files
from mothernets_jax.data.given_splits import load_and_divide
from mothernets_jax.data.image_paths import (
    decode_paths,
    files_at,
    refuse_bad,
    sizes_of,
)
from mothernets_jax.data.inputs import as_labels
from mothernets_jax.data.preparation import Preparation, check_options
from mothernets_jax.data.split_names import SPELLINGS, split_of
from mothernets_jax.data.table_file import Table, read_table
from mothernets_jax.storage.paths import as_path
from mothernets_jax.utils.argument_errors import Argument, ArgumentError
from mothernets_jax.utils.messages import short_repr

_MOST_NAMED = 20  # of files that are not there


def from_table(
    path: str | os.PathLike[str],
    *,
    path_column: str,
    label_column: str,
    split_column: str | None,
    group_column: str | None,
    root: str | os.PathLike[str] | None,
    class_names: tuple[str, ...] | None,
    image_size: int | None,
    crop: str,
    resize: str,
    memory_bytes: int | None,
    **of_splits: Any,
) -> Dataset:
    """Reads the images that a table lists; see `Dataset.from_table`."""
    check_options(image_size, crop, resize)
    file = as_path(path).absolute()
    wanted = {"path_column": path_column, "label_column": label_column}
    wanted |= {"split_column": split_column} if split_column is not None else {}
    wanted |= {"group_column": group_column} if group_column is not None else {}
    table = read_table(file, wanted)
    listed = table.columns["path_column"]
    start = file.parent if root is None else as_path(root, "root").absolute()
    paths = [os.path.normpath(os.path.join(start, own)) for own in listed]
    splits = _splits(file, table)
    groups = table.columns.get("group_column")
    _check_each_once(file, table, paths)
    _check_there(file, table, paths, start)
    labels, names = as_labels(_numbers(table.columns["label_column"]), class_names)
    preparation = Preparation(image_size, crop, resize)

    def source() -> Source:
        refuse_bad(_bad(paths))
        places = (
            range(len(paths)) if splits is None else np.flatnonzero(splits == "train")
        )
        own = [paths[place] for place in places]
        named = zip([listed[place] for place in places], sizes_of(own), strict=True)
        return Source(files=digest_of_files(named))

    return load_and_divide(
        files_at(paths),
        labels,
        names,
        splits,
        preparation,
        memory_bytes=memory_bytes,
        decode=lambda: decode_paths(paths, preparation, root=start, listed_in=file),
        source=source,
        groups=None if groups is None else np.asarray(groups),
        **of_splits,
    )


def _splits(file: Path, table: Table) -> np.ndarray | None:
    """The split of each image; None where the table does not say.

    Raises:
        ValueError: a name that is that of no split.
    """
    named = table.columns.get("split_column")
    if named is None:
        return None
    of_name = {name: split_of(name) for name in set(named)}
    for name, line in zip(named, table.lines, strict=True):
        if not of_name[name]:
            known = ", ".join(own for names in SPELLINGS.values() for own in names)
            raise ArgumentError(
                f"line {line:,} of {file} has the split {short_repr(name)}: expected "
                f"one of {known}"
            )
    return np.asarray([of_name[name] for name in named])


def _numbers(labels: Sequence[str]) -> np.ndarray:
    """Labels as whole numbers, in whose order classes are, where all are such."""
    try:
        numbers = [int(label) for label in labels]
    except ValueError:
        return np.asarray(labels)
    if [str(number) for number in numbers] != list(labels):  # "007"
        return np.asarray(labels)
    try:
        return np.asarray(numbers, np.int64)
    except OverflowError:
        return np.asarray(labels)


def _check_each_once(file: Path, table: Table, paths: Sequence[str]) -> None:
    """Refuses an image that is listed twice, which might get into two splits.

    Raises:
        ValueError: there is one.
    """
    seen: dict[str, int] = {}
    for path, line in zip(paths, table.lines, strict=True):
        if path in seen:
            raise ArgumentError(
                f"{file} has {short_repr(path)} in line {seen[path]:,} and in line "
                f"{line:,}: expected each image once, in one split and with one label"
            )
        seen[path] = line


def _check_there(file: Path, table: Table, paths: Sequence[str], start: Path) -> None:
    """Refuses paths that lead to no file, all at once."""
    missing = [place for place, path in enumerate(paths) if not os.path.isfile(path)]
    if not missing:
        return
    listed = table.columns["path_column"]
    named = [f"{listed[p]} (line {table.lines[p]:,})" for p in missing[:_MOST_NAMED]]
    more = len(missing) - _MOST_NAMED
    raise ArgumentError(
        f"{len(missing):,} of {len(paths):,} images of {file} are no files: "
        f"{', '.join(named)}{f' and {more:,} more' * (more > 0)}. Expected paths that "
        f"start from {start}; for another folder, give ",
        Argument("root"),
    )


def _bad(paths: Sequence[str]) -> list[str]:
    """The files that are of no format that is read, told by their first bytes."""
    heads = zip(paths, folder_listing.heads(paths), strict=True)
    return [
        path
        for path, head in heads
        if head is None or decoding.image_format(head) not in decoding.FORMATS
    ]
