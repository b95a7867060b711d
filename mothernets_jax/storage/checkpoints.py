"""Save and restore what a stage produced, all or nothing, and notice damage.

A save is a folder: `variables/` (Orbax, never pickle) and `record.json`, which is
written last and by an atomic rename; a folder without it does not count. It is sealed:
it holds the SHA-256 of every file of the variables, and of itself. A save without any
array, as of a stage whose members all diverged, is its record alone.
"""

import contextlib
import errno
import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from mothernets_jax.storage import files, links, manifest, saved_arrays
from mothernets_jax.storage.files import DamagedError
from mothernets_jax.utils.messages import is_utf8, short_repr

RECORD = "record.json"
VARIABLES = "variables"
_MANIFEST = "manifest.ocdbt"
# Orbax numbers the saves of a process in one place, and makes the folders of those with
# the newest number: of two saves at once, one may wait for its folders for ever.
_SAVING = threading.Lock()
_SYSTEM_ERROR = re.compile(r"os_error_code='([0-9]+)'")  # as TensorStore writes it


# What Orbax raises of files that are not as it wrote them. Other errors of the system
# say nothing of what is saved.
_DAMAGE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
)


def save(folder: Path, variables: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Saves named variables and a JSON record, replacing what was there before.

    Of several hosts, one alone calls this; it must have all of the variables.

    Args:
        folder: the save's folder, made where it is missing.
        variables: pytrees of arrays, by name.
        record: plain values, as JSON can hold them.

    Raises:
        OSError: the save could not be written.
        LinkError: the folder is a link, or no folder.
        ValueError: the path is one that Orbax could save to and not read from.
    """
    folder = folder.absolute()
    check_path(folder)
    remove(folder)
    files.make_folder(folder)
    arrays = folder / VARIABLES
    if jax.tree.leaves(dict(variables)):  # Orbax refuses to save nothing
        with _SAVING, _named_by_the_system(folder), _checkpointer() as checkpointer:
            checkpointer.save(arrays, jax.device_get(dict(variables)))
        for path in (*arrays.rglob("*"), arrays):
            files.sync(path)
    elif arrays.exists():  # it could not be deleted, and must not be sealed
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(arrays))
    manifest.write(folder / RECORD, arrays, record)


def copy(source: Path, folder: Path) -> None:
    """Copies a finished save into another folder, in whose place it is whole or not.

    What is not whole in the source is not whole in the copy either.

    Args:
        source: the folder of the finished save, from which nothing is deleted.
        folder: the folder of the copy, whatever a copy has left there that was killed.

    Raises:
        OSError: the save could not be read or written.
        LinkError: a folder is a link, or no folder.
    """
    check_path(folder)
    links.refuse_link(source)
    remove(folder)
    files.make_folder(folder)
    arrays = folder / VARIABLES
    if (source / VARIABLES).is_dir():
        shutil.copytree(source / VARIABLES, arrays, symlinks=True)
        for path in (*arrays.rglob("*"), arrays):
            if not path.is_symlink():
                files.sync(path)
    files.write_whole(folder / RECORD, (source / RECORD).read_bytes())


def check_path(folder: Path) -> None:
    """Refuses a path that Orbax takes for a pattern, or cannot take at all.

    Raises:
        ValueError: the path holds one of the characters * ? [ ], where what is saved
            would be lost, or bytes that are no UTF-8.
    """
    if not is_utf8(str(folder.absolute())):
        raise ValueError(
            f"{short_repr(str(folder.absolute()))} is not UTF-8, as the libraries that "
            "save expect of the names of folders: choose another --workdir"
        )
    if found := sorted(set("*?[]") & set(str(folder.absolute()))):
        raise ValueError(
            f"{folder} has {' '.join(found)} in its path, where nothing saved can be "
            "read: choose another --workdir, or move what is there to another path"
        )


def remove(folder: Path) -> None:
    """Deletes a save, if there is one, finished or not.

    Raises:
        LinkError: the folder is a link, or no folder.
        OSError: the record could not be deleted.
    """
    links.refuse_link(folder)
    for path in (folder / RECORD, *folder.glob(f"{VARIABLES}*")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def is_finished(folder: Path) -> bool:
    """Tells whether a save was finished in a folder, though it may be damaged since."""
    return (folder / RECORD).exists()


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a finished save; None where there is none.

    Raises:
        DamagedError: the record is not as it was written.
    """
    found = manifest.read(folder / RECORD, folder / VARIABLES)
    return None if found is None else found.record


def read(folder: Path, template: Mapping[str, Any]) -> dict[str, Any]:
    """Reads variables onto this host's first device.

    Args:
        folder: the save's folder, which `verify` has found to be whole.
        template: pytrees of the shapes and dtypes of the variables, by name.

    Raises:
        DamagedError: the saved variables are damaged.
        OSError: the saved variables cannot be read.
    """
    if not jax.tree.leaves(dict(template)):
        return dict(template)
    with _named_damage(folder), _checkpointer() as checkpointer:
        path = folder.absolute() / VARIABLES
        return checkpointer.restore(path, _on_first_device(template))


def verify(folder: Path, template: Mapping[str, Any]) -> None:
    """Verifies that `read` would succeed, before memory is taken for anything.

    Args:
        folder: the save's folder.
        template: pytrees of the shapes and dtypes of the variables, by name.

    Raises:
        DamagedError: the saved variables are damaged, or not of these shapes.
        OSError: the saved variables cannot be read.
    """
    compare(folder, saved_shapes(folder), template)


def saved_shapes(folder: Path, *, most_bytes: int | None = None) -> dict[str, Any]:
    """Shapes and dtypes of saved variables, after a check of their files' checksums.

    Nothing outside of the folder is read: names of files come from the folder itself,
    and links are refused. Nor is more memory asked for than what was saved can fill.

    Args:
        folder: the save's folder.
        most_bytes: number of bytes that the variables' files have at most; None for
            any.

    Raises:
        DamagedError: the saved variables are damaged.
        OSError: the saved variables cannot be read.
        ValueError: the path is one that Orbax cannot read from.
    """
    check_path(folder)
    path = folder.absolute() / VARIABLES
    with _named_damage(folder):
        saved_arrays.check_sizes(path, most_bytes)
        manifest.check_files(folder / RECORD, path)
        sealed = manifest.read(folder / RECORD, path)
        if sealed is not None and not sealed.files:  # a record alone
            return {}
        if not (path / _MANIFEST).is_file():  # files named after arrays lead anywhere
            raise ValueError(f"its file {_MANIFEST} is missing")
        return saved_arrays.saved_arrays(path)


def compare(
    folder: Path, saved: Mapping[str, Any], template: Mapping[str, Any]
) -> None:
    """Compares the shapes and dtypes that are saved with those that are wanted.

    Args:
        folder: the save's folder.
        saved: pytrees of the saved shapes and dtypes, by name, from `saved_shapes`.
        template: pytrees of the shapes and dtypes of the variables, by name.

    Raises:
        DamagedError: they differ; the message names the first leaf that does.
    """

    def described(tree: Any) -> dict[str, str]:
        leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
        return {
            jax.tree_util.keystr(path): f"{leaf.dtype} {tuple(leaf.shape)}"
            for path, leaf in leaves
        }

    found, wanted = described(saved), described(dict(template))
    with _named_damage(folder):
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                raise ValueError(
                    f"{name} is {found.get(name, 'missing')} there and "
                    f"{wanted.get(name, 'unknown')} here"
                )


@contextlib.contextmanager
def _named_damage(folder: Path) -> Iterator[None]:
    """Turns whatever stands in the way of reading variables into one clear message."""
    try:
        yield
    except DamagedError:
        raise
    except _DAMAGE as error:
        lines = str(error).splitlines() or [type(error).__name__]
        reason = lines[0].partition(" [")[0][:150]
        raise DamagedError(
            f"{folder.absolute() / VARIABLES} cannot be restored ({reason}): unless a "
            f"newer version wrote it, delete {folder} to train it again"
        ) from error


@contextlib.contextmanager
def _named_by_the_system(folder: Path) -> Iterator[None]:
    """Turns errors of the system, as Orbax raises them, into OSErrors with a path."""
    try:
        yield
    except Exception as error:
        found = _SYSTEM_ERROR.search(str(error))
        number = error.errno if isinstance(error, OSError) else found and int(found[1])
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(folder)) from error


def _on_first_device(template: Mapping[str, Any]) -> dict[str, Any]:
    """Shapes and dtypes of a template, to be put on this host's first device."""
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        dict(template),
    )


def _checkpointer() -> ocp.StandardCheckpointer:
    """Orbax, told that no other host takes part."""
    if jax.process_count() == 1:
        return ocp.StandardCheckpointer()
    own = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"host_{own}"
    )
    return ocp.StandardCheckpointer(multiprocessing_options=alone)
