"""Save and restore what a stage produced, all or nothing.

A record is a folder: `variables/` (Orbax, never pickle) and `record.json`, which is
written last and by an atomic rename; a folder without it does not count.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

_RECORD = "record.json"
_VARIABLES = "variables"


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file so that readers see the old one or the new one, whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, allow_nan=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        ValueError: it is not JSON, by name.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): delete it to make it again"
        ) from None


def save(folder: Path, variables: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Saves named variables and a JSON record; what was there before is replaced.

    Of several hosts, one alone calls this; it must have all of the variables.
    """
    folder = folder.absolute()
    (folder / _RECORD).unlink(missing_ok=True)
    shutil.rmtree(folder / _VARIABLES, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with _checkpointer() as checkpointer:
        checkpointer.save(folder / _VARIABLES, jax.device_get(dict(variables)))
    write_json(folder / _RECORD, record)


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a finished save; None where there is none."""
    path = folder / _RECORD
    return read_json(path) if path.exists() else None


def restore(folder: Path, template: Mapping[str, Any]) -> dict[str, Any]:
    """Restores variables onto this host's first device.

    Args:
        folder: what `save` was given.
        template: shapes and dtypes of the variables by name.

    Raises:
        ValueError: the saved variables are damaged, or not of these shapes.
    """
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    target = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        dict(template),
    )
    path = folder.absolute() / _VARIABLES
    try:
        with _checkpointer() as checkpointer:
            return checkpointer.restore(path, target)
    except (ValueError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0].partition(" [")[0][:150]
        raise ValueError(
            f"{path} cannot be restored ({reason}): delete {folder} to train it again"
        ) from error


def _checkpointer() -> ocp.StandardCheckpointer:
    """Orbax, told that no other host takes part."""
    if jax.process_count() == 1:
        return ocp.StandardCheckpointer()
    own = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"host_{own}"
    )
    return ocp.StandardCheckpointer(multiprocessing_options=alone)
