"""Files that someone gives by their paths, or by the folders that they are in."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mothernets_jax.data.folder_listing import list_images
from mothernets_jax.utils.messages import short_repr


class GivenFile(NamedTuple):
    """A file that was given.

    Attributes:
        path: its path, as it was given or below the folder that was given.
        reason: reason why it is not to be read; empty for a file to read.
    """

    path: str
    reason: str = ""


def given_files(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> list[GivenFile]:
    """Lists the files that are given, in order, and all images below given folders.

    Of a folder, the images at any depth are taken, as in training: by their content,
    sorted by path, links followed but each folder entered once, hidden files and those
    that are no images left out. An image in a format that is not read is listed with
    that as its reason; so is a folder without images, or one that cannot be listed. A
    path that leads nowhere is a file that cannot be read.

    Args:
        paths: paths of files or folders, or a single one; `~` is the home folder.

    Raises:
        ValueError: a path that is neither text nor a `Path`.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    try:
        given = list(paths)
    except TypeError:
        raise ValueError(
            f"paths are {short_repr(paths)}: expected paths of image files or folders"
        ) from None
    files = []
    for path in given:
        text = os.fspath(path) if isinstance(path, str | os.PathLike) else path
        if not isinstance(text, str):
            raise ValueError(
                f"a path is {short_repr(path)}: expected text or a Path, of an image "
                "file or a folder"
            )
        text = os.path.expanduser(text)
        files += _in_folder(text) if os.path.isdir(text) else [GivenFile(text)]
    return files


def _in_folder(folder: str) -> list[GivenFile]:
    """The images below a folder, sorted by path."""
    try:
        listing = list_images(Path(folder))
    except ValueError as error:  # a folder in it that may not be read
        return [GivenFile(folder, str(error).rstrip("."))]
    files = [GivenFile(path) for path in listing.images]
    files += [
        GivenFile(path, f"a format that is not read ({reason})")
        for path, reason, is_image in listing.skipped
        if is_image
    ]
    return sorted(files) or [GivenFile(folder, "no images are in this folder")]
