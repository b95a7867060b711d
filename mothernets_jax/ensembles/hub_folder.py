"""An ensemble in the layout of model hubs: safetensors, a JSON card and a README.md.

The folder holds `model.safetensors`, the members' variables; `config.json`, all else,
with the checksums of the former and of what predictions depend on; and the model card.
Reading trusts none of it: see `ensembles.record` for the values of the record.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mothernets_jax.ensembles import saving
from mothernets_jax.ensembles.checks import check_combination
from mothernets_jax.ensembles.export import safetensors_config, safetensors_file
from mothernets_jax.ensembles.export.safetensors_card import model_card
from mothernets_jax.ensembles.export.safetensors_config import checksum
from mothernets_jax.ensembles.export.safetensors_folder import (
    CARD,
    CONFIG,
    LIBRARY,
    MOST_CONFIG_BYTES,
    WEIGHTS,
    check_free,
    check_own,
)
from mothernets_jax.ensembles.record import EnsembleRecord, from_json
from mothernets_jax.models.variables import Variables
from mothernets_jax.storage import files
from mothernets_jax.utils.messages import short_repr

_VERSION = 1
_MOST_ARRAYS = 4  # of an operation: those of a batch normalisation


def config_of(
    record: EnsembleRecord,
    *,
    combine: str,
    calibrated: bool,
    license: str | None,
    training_data: Mapping[str, Any] | None,
    figures: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The content of `config.json` but for the checksums.

    Args:
        record: all that the ensemble has but its variables.
        combine: name of the combination that the card advises.
        calibrated: whether it advises its temperature, too.
        license: identifier of the license, as hubs know it; None for none stated.
        training_data: the data of the training, from `data.identity.describe`; None
            where they are not known.
        figures: measures on test examples, from `Ensemble.evaluate` or of the method in
            a run's results; None for none.

    Raises:
        ValueError: a combination that is not fitted, a license that is no identifier,
            or data or figures that are none.
    """
    check_combination(
        combine,
        calibrated=calibrated,
        weights=record.weights,
        temperatures=record.temperatures,
    )
    safetensors_config.check_license(license)
    if training_data is not None:
        training_data = safetensors_config.fingerprint(training_data)
    if figures is not None:
        figures = safetensors_config.chosen_figures(figures, combine, calibrated)
    is_table = record.input_shape[:2] == (1, 1)
    return {
        "library_name": LIBRARY,
        "format_version": _VERSION,
        "task": f"{'tabular' if is_table else 'image'}-classification",
        "license": license,
        "combine": combine,
        "calibrated": calibrated,
        "ensemble": record.to_json(),
        "parameters": record.sizes(),
        "training_data": training_data,
        "figures": figures,
    }


def write(
    folder: Path, config: Mapping[str, Any], variables: Mapping[str, Variables]
) -> None:
    """Writes an ensemble; an exported one that was there before is replaced.

    Where this is interrupted, reading says that the ensemble is damaged.

    Args:
        folder: folder of this ensemble alone, which is made if missing, as are those
            above it.
        config: all but the variables, from `config_of`.
        variables: each member's `{"params": ..., "batch_stats": ...}`, by name.

    Raises:
        ValueError: the ensemble could not be loaded again, or the folder is a link or
            holds anything else; nothing was written.
        OSError: the ensemble could not be written.
    """
    try:
        plain = json.loads(files.json_bytes(config))
        template = saving.template_of(from_json(plain["ensemble"]))
        for name, own in template.items():
            saving.check_shapes(name, variables[name], own)
            saving.check_finite(name, variables[name])
        content = safetensors_file.to_bytes(_flat(variables))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the ensemble cannot be exported: {error}") from None
    check_free(folder)
    files.make_folder(folder.absolute())
    sums = {
        WEIGHTS: hashlib.sha256(content).hexdigest(),
        "ensemble": checksum(plain["ensemble"]),
    }
    # First, so that what an interrupted export leaves is known for its own.
    files.write_json(folder / CONFIG, {**plain, "sha256": sums})
    files.write_whole(folder / WEIGHTS, content)
    card = model_card(folder.absolute().name, plain)
    files.write_whole(folder / CARD, card.encode())


def read(folder: Path) -> tuple[EnsembleRecord, dict[str, Variables]]:
    """Reads an exported ensemble, whoever has written it.

    Args:
        folder: the folder that `write` was given, or a copy of it.

    Returns:
        The record, and each member's `{"params": ..., "batch_stats": ...}`, by name.

    Raises:
        ValueError: there is none, or a link, or a file that does not belong there; or
            the ensemble is damaged or cannot be one.
        OSError: a file cannot be read.
    """
    check_own(folder)
    config = files.read_json(folder / CONFIG, most_bytes=MOST_CONFIG_BYTES)
    try:
        expected = _checked_sums(config)[WEIGHTS]
        record = from_json(config["ensemble"])
    except ValueError as error:
        raise ValueError(f"{folder} is not an exported ensemble: {error}") from None
    try:
        content = _bounded(folder / WEIGHTS, record)
        if hashlib.sha256(content).hexdigest() != expected:
            raise ValueError(
                f"it is not what its checksum in {CONFIG} says: copy or export it again"
            )
        template = saving.template_of(record)
        shapes = {name: leaf.shape for name, leaf in _named_leaves(template)}
        arrays = safetensors_file.from_bytes(content, shapes)
        saving.check_enabled("it", {own.dtype for own in arrays.values()})
        names = iter(shapes)
        variables = jax.tree.map(lambda _: jnp.array(arrays[next(names)]), template)
        for name, own in variables.items():
            saving.check_finite(name, own)
    except ValueError as error:
        raise ValueError(f"{folder / WEIGHTS} cannot be used: {error}") from None
    return record, variables


def _checked_sums(config: Any) -> dict[str, str]:
    """The checksums in a `config.json`, once that of its record is right."""
    if not isinstance(config, dict) or config.get("library_name") != LIBRARY:
        raise ValueError(f"its {CONFIG} names no ensemble of {LIBRARY}")
    if config.get("format_version") != _VERSION:
        raise ValueError(
            f"its format_version is {short_repr(config.get('format_version'))}: "
            f"expected {_VERSION}; a newer version of {LIBRARY} may read it"
        )
    sums = config.get("sha256")
    if not isinstance(sums, dict) or sums.keys() != {WEIGHTS, "ensemble"}:
        raise ValueError(f"its sha256 are {short_repr(sums)}: expected two checksums")
    if sums["ensemble"] != checksum(config.get("ensemble")):
        raise ValueError(
            f"the section 'ensemble' of its {CONFIG} is not what its checksum says"
        )
    return sums


def _bounded(path: Path, record: EnsembleRecord) -> bytes:
    """The content of a file of variables, of a size that an architecture's can have."""
    parameters = sum(record.sizes().values())
    operations = sum(len([*own.operations()]) for own in record.members.values())
    # Statistics are no more than the parameters of their normalisations.
    arrays, numbers = _MOST_ARRAYS * operations, 2 * parameters
    content = files.read_bytes(path, safetensors_file.most_bytes(arrays, numbers))
    if len(content) < 2 * parameters:  # of two bytes each
        raise ValueError(
            f"it has {len(content):,} bytes, too few for {parameters:,} parameters"
        )
    return content


def _named_leaves(tree: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Leaves of members' variables with names such as `A.params.head.kernel`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(dict(tree))
    return [(".".join(str(key.key) for key in path), leaf) for path, leaf in leaves]


def _flat(variables: Mapping[str, Variables]) -> dict[str, np.ndarray]:
    return {name: np.asarray(own) for name, own in _named_leaves(variables)}
