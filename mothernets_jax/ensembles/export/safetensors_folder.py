"""Folders in the layout of model hubs: what they may hold, read or written over."""

import re
from pathlib import Path

from mothernets_jax.storage import files
from mothernets_jax.storage.links import names_in
from mothernets_jax.utils.messages import short_repr

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
LIBRARY = "mothernets_jax"  # as `config.json` names it
MOST_CONFIG_BYTES = 2**26
# Of what hubs and people add: texts of a license. Names with a dot in front are hubs'.
_BESIDE = re.compile(r"\..*|LICEN[CS]E(\.(md|txt))?|NOTICE(\.(md|txt))?")


def check_own(folder: Path) -> None:
    """Refuses all but a folder with plain files that belong to an exported ensemble.

    Args:
        folder: the folder that is to be read.

    Raises:
        ValueError: the folder is none or a link, lacks a file, or holds a link or a
            file that does not belong there.
    """
    if folder.is_symlink() or not folder.is_dir():
        is_link = "a link" if folder.is_symlink() else "a file"
        what = is_link if folder.exists() else "not there"
        raise ValueError(f"{folder} is {what}: expected the folder of an export")
    names = {path.name for path in folder.iterdir()}
    if missing := sorted({WEIGHTS, CONFIG} - names):
        raise ValueError(
            f"{folder} is not an exported ensemble: it lacks {', '.join(missing)}"
        )
    if others := _strange(names):
        raise ValueError(
            f"{folder} holds {short_repr(others[0])}, which is no part of an exported "
            "ensemble: move it elsewhere"
        )
    for name in (WEIGHTS, CONFIG):
        if (folder / name).is_symlink():
            raise ValueError(
                f"{folder / name} is a link: expected the file itself (a hub's cache "
                "holds links: download into a folder of your own instead)"
            )


def check_free(folder: Path) -> None:
    """Refuses a place where an export would mix with, or replace, what is not its own.

    A place is free if it does not exist yet, is an empty folder, or holds an exported
    ensemble, whole or not.

    Args:
        folder: the folder that is to be written.

    Raises:
        ValueError: the folder is a link, is or lies in a file, or holds anything else.
    """
    names = names_in(folder)
    own = names & {WEIGHTS, CONFIG, CARD}
    links = sorted(name for name in own if (folder / name).is_symlink())
    others = _strange(names) + links
    if own and not links and not _is_ours(folder / CONFIG):
        others += sorted(own)
    if others:
        raise ValueError(
            f"{folder} is neither empty nor just an exported ensemble: found "
            f"{short_repr(others[0])}. Choose another path, or move what is there"
        )


def _is_ours(config: Path) -> bool:
    """Tells whether a `config.json` names this library."""
    try:
        found = files.read_json(config, most_bytes=MOST_CONFIG_BYTES)
    except files.DamagedError:
        return False
    return isinstance(found, dict) and found.get("library_name") == LIBRARY


def _strange(names: set[str]) -> list[str]:
    known = {WEIGHTS, CONFIG, CARD}
    return sorted(n for n in names - known if not _BESIDE.fullmatch(n))
