"""An ensemble as a file that other programs read, of the kind that its name ends in."""

from pathlib import Path
from typing import Any

import numpy as np

from mothernets_jax.ensembles import checks
from mothernets_jax.ensembles.assessment import Assessment
from mothernets_jax.ensembles.combine import COMBINATIONS
from mothernets_jax.ensembles.export.onnx_file import Exported, write_onnx
from mothernets_jax.storage.paths import as_path
from mothernets_jax.utils.messages import short_repr


def export(
    ensemble: Assessment,
    path: Any,
    *,
    combine: str | None = None,
    calibrated: bool | None = None,
) -> None:
    """Writes a file from which other programs predict: see `Ensemble.export`.

    Args:
        ensemble: the ensemble.
        path: path of the file, by whose ending its kind is chosen.
        combine: how members are combined; None for their average.
        calibrated: whether to rescale by the temperature; None not to.

    Raises:
        ValueError: no kind ends so, a combination that `predict` refuses, or what the
            kind of file cannot hold.
        OSError: the file could not be written.
    """
    target = as_path(path)
    write = WRITERS.get(target.suffix.lower())
    if write is None:
        raise ValueError(
            f"path is {short_repr(str(target))}: expected a file that ends in "
            f"{' or '.join(WRITERS)}"
        )
    combine = "average" if combine is None else combine
    calibrated = bool(calibrated)
    checks.check_combination(
        combine,
        calibrated=calibrated,
        weights=ensemble.weights,
        temperatures=ensemble.temperatures,
    )
    write(ensemble, target, combine, calibrated)


def _to_onnx(ensemble: Assessment, path: Path, combine: str, calibrated: bool) -> None:
    members = list(ensemble.members)
    equal = np.full(len(members), 1 / len(members))
    weights = equal if combine in COMBINATIONS else ensemble.weights[combine]
    kept = {n: float(w) for n, w in zip(members, weights, strict=True) if w > 0}
    temperature = ensemble.temperatures[combine] if calibrated else None
    exported = Exported(
        members={name: ensemble.members[name] for name in kept},
        mean=ensemble.mean,
        std=ensemble.std,
        input_shape=ensemble.input_shape,
        input_dtype=ensemble.input_dtype,
        class_names=ensemble.class_names,
        weights=np.array(list(kept.values())),
        votes=combine == "vote",
        temperature=temperature,
    )
    preparation = ensemble.preparation
    metadata = {
        "class_names": list(ensemble.class_names),
        "combine": combine,
        "weights": kept,
        "temperature": temperature,
        "members": {name: str(ensemble.members[name].architecture) for name in kept},
        "mean": ensemble.mean.tolist(),
        "std": ensemble.std.tolist(),
        "preparation": preparation and preparation._asdict(),
    }
    write_onnx(path, exported, metadata)


# The writer of each kind of file, by the ending of its name.
WRITERS = {".onnx": _to_onnx}
