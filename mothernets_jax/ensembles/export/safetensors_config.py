"""What a `config.json` says besides the ensemble: license, training data, figures."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from mothernets_jax.utils.messages import short_repr

_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_DATA = ("name", "version", "image_shape")
_SCORES = ("nll", "brier", "ece")


def check_license(license: str | None) -> None:
    """Raises ValueError unless a license is None or may be a hub's identifier of one.

    >>> check_license("apache-2.0")
    """
    is_text = isinstance(license, str) and _LICENSE.fullmatch(license)
    if license is not None and not is_text:
        raise ValueError(
            f"license is {short_repr(license)}: expected its identifier, such as "
            "'apache-2.0', 'mit' or 'cc-by-4.0', or None"
        )


def fingerprint(described: Mapping[str, Any]) -> dict[str, Any]:
    """What tells training data from others: names, numbers and digests of its splits.

    Args:
        described: the data, from `data.identity.describe`.

    Returns:
        `name`, `version`, `image_shape`, `splits`, and the `sha256` of the whole
        description as JSON with sorted keys.

    Raises:
        ValueError: the description is none.
    """
    try:
        found = {name: described[name] for name in _DATA}
        splits = {name: dict(own) for name, own in described["splits"].items()}
        int(splits["training"]["images"])
        return {**found, "splits": splits, "sha256": checksum(dict(described))}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(
            f"training_data are {short_repr(described)}: expected the description of "
            "a data set, as `data` in a run's data.json"
        ) from None


def chosen_figures(
    entry: Mapping[str, Any], combine: str, calibrated: bool
) -> dict[str, Any]:
    """The measures of one combination, and the members' errors.

    Args:
        entry: measures on test examples, from `Ensemble.evaluate` or of the method in a
            run's results.
        combine: name of the combination.
        calibrated: whether its probabilities are rescaled by its temperature.

    Returns:
        `error`, `nll`, `brier`, `ece`, and `member_errors` by the members' names.

    Raises:
        ValueError: these are missing, or not finite.
    """
    try:
        own = entry["ensemble"][combine]
        scores = own["calibrated"] if calibrated else own
        figures = {"error": float(own["error"])}
        figures |= {name: float(scores[name]) for name in _SCORES}
        errors = {n: float(each["error"]) for n, each in entry["members"].items()}
        if not all(map(math.isfinite, (*figures.values(), *errors.values()))):
            raise ValueError("a figure is not finite")
        return {**figures, "member_errors": errors}
    except (KeyError, TypeError, ValueError, AttributeError):
        how = f"{combine}{', calibrated' if calibrated else ''}"
        raise ValueError(
            f"figures are {short_repr(entry)}, without those of {how}: expected what "
            "ensemble.evaluate returns"
        ) from None


def checksum(content: Any) -> str:
    """SHA-256, in hexadecimal, of plain values as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
