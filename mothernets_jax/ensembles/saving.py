"""A saved ensemble: its record and its variables, written and read.

They are a save of `checkpoints`, in a folder of their own.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.ensembles.record import EnsembleRecord, from_json
from mothernets_jax.models.variables import Variables, abstract_variables
from mothernets_jax.storage import checkpoints, files
from mothernets_jax.utils.messages import short_repr

_DTYPES = ("float32", "bfloat16", "float16", "float64")


def write(
    folder: Path, record: EnsembleRecord, variables: Mapping[str, Variables]
) -> None:
    """Saves an ensemble; one that was there before is replaced.

    Where that is interrupted, nothing is left of either.

    Args:
        folder: of its own; those above it are made.
        record: everything but its variables.
        variables: by member.

    Raises:
        ValueError: it could not be loaded again, and nothing was written.
        OSError: it could not be written.
    """
    try:
        plain = json.loads(files.json_bytes(record.to_json()))
        from_json(plain)
        for name, template in _template(record).items():
            _check_shapes(name, variables[name], template)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the ensemble cannot be saved: {error}") from None
    saved = {
        name: {"params": own["params"], "batch_stats": own.get("batch_stats", {})}
        for name, own in variables.items()
    }
    try:
        checkpoints.save(folder, saved, plain)
    except BaseException:
        with contextlib.suppress(OSError):
            checkpoints.remove(folder)
        raise


def _check_shapes(name: str, variables: Variables, template: Variables) -> None:
    """Refuses variables that do not fit, or that are no floats."""
    found, wanted = _leaves(variables), _leaves(template)
    for path in sorted(found.keys() | wanted.keys()):
        shape = np.shape(found[path]) if path in found else "missing"
        expected = wanted[path].shape if path in wanted else "no such variable"
        if shape != expected:
            raise ValueError(
                f"{path} of the member {name} is {shape}: expected {expected}, as its "
                "architecture, the input_shape and the class_names say"
            )
        dtype = found[path].dtype.name
        if dtype not in _DTYPES:
            raise ValueError(
                f"{path} of the member {name} is {dtype}: expected one of "
                f"{', '.join(_DTYPES)}"
            )


def read(folder: Path) -> tuple[EnsembleRecord, dict[str, Variables]]:
    """Reads a saved ensemble, whoever has written it: its record and its variables.

    Args:
        folder: of its own.

    Raises:
        ValueError: it is damaged or cannot be one, or is in float64 where JAX has none.
        OSError: a file cannot be read.
    """
    try:
        record = from_json(checkpoints.read_record(folder))
        saved = checkpoints.saved_shapes(folder)
        _check_members(saved, record.sizes())
    except files.DamagedError:
        raise
    except ValueError as error:
        raise ValueError(f"{folder} is not a saved ensemble: {error}") from None
    dtypes = {path: leaf.dtype for path, leaf in _leaves(saved).items()}
    if np.dtype("float64") in dtypes.values() and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise ValueError(
            f"{folder} was saved in float64, which JAX has not enabled here: set "
            "JAX_ENABLE_X64=1 in the environment"
        )
    template = jax.tree_util.tree_map_with_path(
        lambda path, leaf: _as_saved(leaf, dtypes.get(jax.tree_util.keystr(path))),
        _template(record),
    )
    checkpoints.compare(folder, saved, template)
    return record, checkpoints.read(folder, template)


def _as_saved(leaf: jax.ShapeDtypeStruct, dtype: Any) -> jax.ShapeDtypeStruct:
    """A shape in the dtype that it was saved in, if variables may have that one."""
    known = dtype is not None and np.dtype(dtype).name in _DTYPES
    return jax.ShapeDtypeStruct(leaf.shape, dtype if known else jnp.float32)


def _template(record: EnsembleRecord) -> dict[str, Variables]:
    """Shapes of every member's variables."""
    classes = len(record.class_names)
    return {
        name: abstract_variables(member, record.input_shape, classes)
        for name, member in record.members.items()
    }


def _leaves(tree: Any) -> dict[str, Any]:
    """Leaves by their path."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def _check_members(saved: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Refuses members of other names and sizes than are saved, at no expense."""
    found = {
        name: sum(leaf.size for leaf in jax.tree.leaves(own["params"]))
        for name, own in saved.items()
        if isinstance(own, dict) and "params" in own
    }
    if found != sizes:
        raise ValueError(
            f"parameters of its members are {short_repr(found)} there, and "
            f"{short_repr(sizes)} by their architectures"
        )
