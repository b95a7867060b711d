"""Writing and reading a saved ensemble: its record and its variables.

Both are one save of `storage.checkpoints`, in a folder of their own.
"""

import contextlib
import json
from collections.abc import Collection, Mapping
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
_MOST_BYTES = 8  # of a number
_OVERHEAD = 2**24, 2**19  # bytes of an ensemble's other files, and of a member's


def write(
    folder: Path, record: EnsembleRecord, variables: Mapping[str, Variables]
) -> None:
    """Saves an ensemble; one that was there before is replaced.

    Where this is interrupted, nothing is left of either.

    Args:
        folder: folder of this ensemble alone, which is made if missing, as are those
            above it.
        record: all that the ensemble has but its variables.
        variables: each member's `{"params": ..., "batch_stats": ...}`, by name.

    Raises:
        ValueError: the ensemble could not be loaded again; nothing was written.
        OSError: the ensemble could not be written.
    """
    try:
        plain = json.loads(files.json_bytes(record.to_json()))
        from_json(plain)
        for name, template in template_of(record).items():
            check_shapes(name, variables[name], template)
            check_finite(name, variables[name])
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


def check_shapes(name: str, variables: Variables, template: Variables) -> None:
    """Refuses variables of other shapes than the template's, or that are no floats."""
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
    """Reads a saved ensemble, whoever has written it.

    Args:
        folder: folder of the ensemble alone.

    Returns:
        The record, and each member's `{"params": ..., "batch_stats": ...}`, by name.

    Raises:
        ValueError: the ensemble is damaged or cannot be one, or is in float64, which
            JAX has not enabled.
        OSError: a file cannot be read.
    """
    record, template = _verified(folder)
    variables = checkpoints.read(folder, template)
    try:
        for name, own in variables.items():
            check_finite(name, own)
    except ValueError as error:
        raise ValueError(f"{folder} cannot be used: {error}") from None
    return record, variables


def verify(folder: Path) -> None:
    """Verifies that `read` would succeed, before memory is taken for any variable.

    Args:
        folder: folder of the ensemble alone.

    Raises:
        ValueError: the ensemble is damaged or cannot be one.
        OSError: a file cannot be read.
    """
    _verified(folder)


def _verified(folder: Path) -> tuple[EnsembleRecord, dict[str, Variables]]:
    """The record of a saved ensemble, and the shapes of its variables, all verified."""
    try:
        record = from_json(checkpoints.read_record(folder))
        saved = checkpoints.saved_shapes(folder, most_bytes=_most_bytes(record))
        _check_members(saved, record.sizes())
    except files.DamagedError:
        raise
    except ValueError as error:
        raise ValueError(f"{folder} is not a saved ensemble: {error}") from None
    dtypes = {path: leaf.dtype for path, leaf in _leaves(saved).items()}
    check_enabled(str(folder), {np.dtype(own) for own in dtypes.values()})
    template = jax.tree_util.tree_map_with_path(
        lambda path, leaf: _as_saved(leaf, dtypes.get(jax.tree_util.keystr(path))),
        template_of(record),
    )
    checkpoints.compare(folder, saved, template)
    return record, template


def check_enabled(what: str, dtypes: Collection[np.dtype]) -> None:
    """Refuses float64 where JAX would make float32 of it without a word.

    Args:
        what: what was saved, for the message.
        dtypes: dtypes of its arrays.
    """
    enabled = jax.config.jax_enable_x64  # type: ignore[attr-defined]
    if np.dtype("float64") in dtypes and not enabled:
        raise ValueError(
            f"{what} was saved in float64, which JAX has not enabled here: set "
            "JAX_ENABLE_X64=1 in the environment"
        )


def _as_saved(leaf: jax.ShapeDtypeStruct, dtype: Any) -> jax.ShapeDtypeStruct:
    """A shape in the dtype in which it was saved if that is allowed, else float32."""
    known = dtype is not None and np.dtype(dtype).name in _DTYPES
    return jax.ShapeDtypeStruct(leaf.shape, dtype if known else jnp.float32)


def template_of(record: EnsembleRecord) -> dict[str, Variables]:
    """Shapes of every member's variables, by the member's name."""
    classes = len(record.class_names)
    return {
        name: abstract_variables(member, record.input_shape, classes)
        for name, member in record.members.items()
    }


def _most_bytes(record: EnsembleRecord) -> int:
    """Number of bytes that the files of an ensemble's variables have at most."""
    # Statistics are no more than the parameters of the normalisations they belong to.
    numbers = 2 * sum(record.sizes().values())
    overhead, of_member = _OVERHEAD
    return _MOST_BYTES * numbers + overhead + of_member * len(record.members)


def check_finite(name: str, variables: Variables) -> None:
    """Refuses variables of which a number is NaN or infinite."""
    for path, leaf in _leaves(variables).items():
        if not np.isfinite(np.asarray(leaf)).all():
            raise ValueError(
                f"{path} of the member {name} holds numbers that are not finite, of "
                "which nothing can be predicted: leave that member out"
            )


def _leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a tree, by their paths."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def _check_members(saved: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Refuses saved members of other names or sizes, before anything large is made."""
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
