"""Splits of a data set, told from the names of its folders.

| found in DIR | training | validation | test |
|---|---|---|---|
| train/, val/, test/ | train/ | val/ | test/ |
| train/, test/ | train/ | drawn from train/ | test/ |
| train/, val/ | train/ | drawn from train/ | val/ |
| train/ | train/ | drawn from it | drawn from it |
| class folders | all | drawn from them | drawn from them |
"""

import os
from pathlib import Path
from typing import NamedTuple

from mothernets_jax.data.folder_listing import (
    HIDDEN,
    OUTSIDE,
    Skipped,
    is_hidden,
    kind_of,
    scan,
)
from mothernets_jax.data.split_names import split_of
from mothernets_jax.utils.argument_errors import (
    ArgumentError,
    Assignment,
    MissingPathError,
)
from mothernets_jax.utils.messages import safe_name

_ARCHIVES = (
    *(".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".tbz2", ".txz"),
    *(".7z", ".rar"),
)
LAYOUT = "expected DIR/train/<class>/ and DIR/test/<class>/ with the images in them"
# Ends a message, as parts of an `ArgumentError`.
_HINT_DIRECTORY = (" Set ", Assignment("directory"), "=PATH.")


class Splits(NamedTuple):
    """The folders of a data set's splits; None for those that do not exist.

    Attributes:
        root: the data set's folder.
        train: folder of the images that may train; the data set's own folder where its
            classes lie directly in it.
        validation: folder of a validation split.
        test: folder of the test set.
        skipped: files and folders that lie beside these in the data set's folder.
    """

    root: Path
    train: Path
    validation: Path | None
    test: Path | None
    skipped: list[Skipped]


def find_folder(directory: str) -> Path:
    """Finds the folder of a data set, and resolves the links in its path.

    Args:
        directory: path of the folder; `~` is expanded.

    Raises:
        ValueError: the path is empty, or that of a file, such as an archive.
        FileNotFoundError: there is nothing at the path.
    """
    if not directory:
        raise ArgumentError(f"no image folder is given; {LAYOUT}.", *_HINT_DIRECTORY)
    try:
        root = Path(directory).expanduser().resolve()
    except (RuntimeError, OSError) as error:  # links in a circle, or an unknown ~user
        raise ArgumentError(
            f"no folder {safe_name(directory)} ({error}); {LAYOUT}.", *_HINT_DIRECTORY
        ) from None
    if root.is_file():
        if root.name.lower().endswith(_ARCHIVES):
            raise ArgumentError(
                f"{root} is an archive: unpack it and give the folder; {LAYOUT}.",
                *_HINT_DIRECTORY,
            )
        raise ArgumentError(f"{root} is a file; {LAYOUT}.", *_HINT_DIRECTORY)
    if not root.is_dir():
        raise MissingPathError(f"no folder {root}; {LAYOUT}.", *_HINT_DIRECTORY)
    return root


def find_splits(root: Path) -> Splits:
    """Tells from the names of folders which one holds which split.

    Args:
        root: the data set's folder, from `find_folder`.

    Raises:
        ValueError: two folders for one split, classes in the wrong place, or a `root`
            that is itself a part of a data set.
        FileNotFoundError: no train/, but a test or validation split, or no folders at
            all.
    """
    others, folders = other_entries(root), subfolders(root)
    found = split_folders(root)
    if "train" in found:
        names = [path.name for path in found.values()]
        beside = [name for name in folders if name not in names]
        if len(found) == 1:
            _check_no_other_split(found["train"], beside)
        others += [Skipped(f"{root / name}/", OUTSIDE) for name in beside]
        test = found.get("test", found.get("validation"))
        validation = found.get("validation") if "test" in found else None
        return Splits(root, found["train"], validation, test, others)
    if found:
        raise MissingPathError(
            f"no folder train/ in {root} (found: {', '.join(folders)}); {LAYOUT}.",
            *_HINT_DIRECTORY,
        )
    if not folders:
        files = f", but {len(others):,} files" if others else ""
        raise MissingPathError(
            f"no folder train/ and no class folders in {root}{files}; {LAYOUT}.",
            *_HINT_DIRECTORY,
        )
    _check_not_a_split(root)
    _check_nothing_between(root, folders)
    return Splits(root, root, None, None, [])


def split_folders(folder: Path) -> dict[str, Path]:
    """Folders of the splits `train`, `validation` and `test`, as far as they exist.

    Raises:
        ValueError: two folders for one split.
    """
    found: dict[str, Path] = {}
    for name in subfolders(folder):
        split = split_of(name)
        if split in found:
            raise ValueError(
                f"{folder} holds {found[split].name}/ and {name}/: expected one folder "
                f"for the {split} split. Rename or remove one."
            )
        if split:
            found[split] = folder / name
    return found


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones."""
    return [
        entry.name
        for entry in scan(str(folder))
        if not is_hidden(entry.name) and kind_of(entry) == "folder"
    ]


def other_entries(folder: Path) -> list[Skipped]:
    """Entries of a folder that are no folders, or hidden.

    Raises:
        ValueError: a link that leads nowhere: a split or a class would be missing.
    """
    others = []
    for entry in scan(str(folder)):
        kind = kind_of(entry)
        path = f"{entry.path}/" if kind == "folder" else entry.path
        if is_hidden(entry.name):
            others.append(Skipped(path, HIDDEN))
        elif kind == "dead link":
            raise ValueError(
                f"{path} is a link to {os.path.realpath(path)}, where nothing is: "
                "expected a folder or a file. Mend or remove it."
            )
        elif kind != "folder":
            others.append(Skipped(path, OUTSIDE))
    return others


def _check_no_other_split(train: Path, beside: list[str]) -> None:
    """Refuses folders beside train/ that may be its test set, or its other classes."""
    classes = set(subfolders(train))
    if beside and not classes:
        raise ValueError(
            f"no class folders in {train}, but {', '.join(beside)} beside it; "
            f"{LAYOUT}. Where {train.name!r} is a class like these, rename it or "
            "move all of them into a folder train/."
        )
    for name in beside:
        shared = classes.intersection(subfolders(train.parent / name))
        if shared:
            raise ValueError(
                f"{train.parent / name} holds class folders of {train} "
                f"({min(shared)!r}, say), but its name is that of no split: expected "
                "test/ or val/. Rename it, or move it away."
            )


def _check_not_a_split(root: Path) -> None:
    """Refuses the train/ of a data set in place of the data set."""
    if not split_of(root.name):
        return
    beside = [path for path in split_folders(root.parent).values() if path != root]
    if beside:
        raise ArgumentError(
            f"{root} is a part of a data set, beside {beside[0].name}/: give its "
            f"parent {root.parent}.",
            *_HINT_DIRECTORY,
        )


def _check_nothing_between(root: Path, folders: list[str]) -> None:
    """Refuses a folder in which the data set is another folder."""
    for name in folders:
        inner = split_folders(root / name)
        if "train" in inner:
            raise ArgumentError(
                f"{inner['train']} is a folder further down than expected: give "
                f"{root / name}.",
                *_HINT_DIRECTORY,
            )
