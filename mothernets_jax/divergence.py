"""Numerical trouble: when a member's training has failed, and what is tried then.

A member that diverges goes back to its state before the epoch, and trains on at a
tenth of the learning rate. The second time it is left out. The others of its group are
untouched, as they share nothing but the program.
"""

import logging
import math
from collections.abc import Mapping

import jax
import numpy as np

from mothernets_jax.stage_position import StagePosition
from mothernets_jax.training import MemberState, Metrics

_log = logging.getLogger(__name__)

# Of the learning rate, after a member has diverged once.
RETRY_RATE = 0.1
# A mean training loss of so many times that of guessing has exploded.
_EXPLODED = 100.0


def trouble(state: MemberState, metrics: Metrics, num_classes: int) -> str | None:
    """What went wrong in an epoch, in words; None where nothing did.

    Args:
        state: the member's after it, with arrays of any kind.
        metrics: its means over the epoch.
        num_classes: of the labels; guessing has a loss of their logarithm, in nats.
    """
    if not math.isfinite(metrics.loss):
        return f"its training loss is {metrics.loss}"
    limit = _EXPLODED * math.log(max(2, num_classes))
    if metrics.loss > limit:
        return f"its training loss is {metrics.loss:.3g}, more than {limit:.3g}"
    leaves = jax.tree.leaves(jax.device_get(state))
    if not all(np.isfinite(leaf).all() for leaf in leaves):
        return "its parameters are no longer numbers"
    return None


def unpredictable(validation_errors: Mapping[str, float | None]) -> dict[str, str]:
    """Members whose loss was finite, though what they predict is not.

    In training a batch is normalised by its own statistics, in evaluation by the
    running ones: a network may overflow in one of both alone.

    Args:
        validation_errors: by member, as `evaluation.validation_error`.

    Returns:
        By such a member, what went wrong, in words.
    """
    reason = "its predictions of the validation images are not finite"
    return {
        name: reason
        for name, error in validation_errors.items()
        if error is not None and math.isnan(error)
    }


def send_back(position: StagePosition, troubles: Mapping[str, str]) -> None:
    """Decides who tries the epoch again, and who is left out.

    Args:
        position: of the stage, after the epoch; changed.
        troubles: by member that diverged in it, why.
    """
    for name, reason in troubles.items():
        position.discarded_epochs[name] += 1
        where = f"{name} in epoch {position.epoch + 1}: {reason}"
        if position.rate_shares[name] == 1:
            position.rate_shares[name] = RETRY_RATE
            position.retrying = True
            _log.warning(
                "%s; it goes back to its state before that epoch, and trains on at %g "
                "of the learning rate",
                where,
                RETRY_RATE,
            )
        else:
            position.left_out[name] = (
                f"in epoch {position.epoch + 1} {reason}, at {RETRY_RATE:g} of the "
                "learning rate too"
            )
            _log.warning("%s, again; it is left out of the ensemble", where)
    if position.retrying:
        position.active = {
            name: name in troubles and name not in position.left_out
            for name in position.active
        }
