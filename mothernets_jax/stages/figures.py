"""A stage's newest figures in words: in full, in short, and in its last line.

A history has the values of each metric, one for each epoch, by name of the member and
of the metric.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mothernets_jax.utils.formatting import percent

History = Mapping[str, Mapping[str, Sequence[Any]]]


def in_words(history: History) -> str:
    """The members' newest figures, averaged.

    >>> of_member = {"train_loss": [2.3, 0.5], "train_error": [0.9, 0.125]}
    >>> in_words({"A": {**of_member, "validation_error": [0.9, 0.25]}})
    'loss 0.500, training error 12.5%, validation error 25.0%'
    """
    loss, error, validation = _newest(history)
    if loss is None:
        return "no epoch succeeded"
    text = f"loss {loss:.3f}, training error {percent(error, 1)}"
    return text + (
        "" if validation is None else f", validation error {percent(validation, 1)}"
    )


def in_short(history: History) -> str:
    """The same in some thirty characters, the error of the validation split last.

    >>> of_member = {"train_loss": [2.3, 0.5], "train_error": [0.9, 0.125]}
    >>> in_short({"A": {**of_member, "validation_error": [0.9, 0.25]}})
    'loss 0.500, errors 12.5%, 25.0%'
    """
    loss, error, validation = _newest(history)
    if loss is None:
        return "no epoch succeeded"
    if validation is None:
        return f"loss {loss:.3f}, error {percent(error, 1)}"
    return f"loss {loss:.3f}, errors {percent(error, 1)}, {percent(validation, 1)}"


def of_finished(record: Mapping[str, Any]) -> str:
    """One line on a stage that is done.

    What members were hatched to is the largest difference between their logits and
    their MotherNet's, relative to the largest logit.

    Args:
        record: the stage's record.
    """
    name, epochs = record["name"], max(record["epochs"].values())
    if set(record["left_out"]) >= set(record["members"]):
        return f"{name}: none of its networks could be trained"
    parts = [f"{epochs:,} epoch{'' if epochs == 1 else 's'}"]
    if any(history["train_loss"] for history in record["history"].values()):
        parts.append(in_short(record["history"]))
    checks = [own["relative_logit_difference"] for own in record["checks"].values()]
    if checks:
        parts.append(f"hatched to {max(checks):.0e}")
    return f"{name}: {', '.join(parts)}"


def _newest(history: History) -> tuple[float | None, float | None, float | None]:
    """Means over members of the newest loss, training and validation error."""
    trained = [own for own in history.values() if own["train_loss"]]
    if not trained:
        return None, None, None
    loss, error, validation = (
        [own[key][-1] for own in trained]
        for key in ("train_loss", "train_error", "validation_error")
    )
    judged = None if None in validation else float(np.mean(validation))
    return float(np.mean(loss)), float(np.mean(error)), judged
