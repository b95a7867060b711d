"""Numerical trouble: how a failed training is recognised, and what is tried next.

A member that diverges goes back to its state before the epoch, and trains on at a
tenth of the learning rate. The second time it is left out. The others of its group are
untouched, as they share nothing but the program.
"""

import logging
import math
from collections.abc import Mapping

import jax
import numpy as np

from mothernets_jax.ensembles.prediction import ValidationScores
from mothernets_jax.stages.state import StageState
from mothernets_jax.training.member_step import MemberState, Metrics

_log = logging.getLogger(__name__)

# Factor on the learning rate of a member that has diverged once.
RETRY_RATE = 0.1
# A mean training loss above this many times the loss of guessing has exploded.
_EXPLODED = 100.0


def divergence_reasons(
    states: Mapping[str, MemberState],
    metrics: Mapping[str, Metrics],
    num_classes: int,
) -> dict[str, str]:
    """Reasons why members have diverged in an epoch, in words, by member.

    Args:
        states: states after the epoch, by name, of the members that trained in it.
        metrics: mean metrics over the epoch, by name, of at least these members.
        num_classes: number of classes.

    Returns:
        The reasons, by name, of the members that have diverged alone.
    """
    reasons = {
        name: divergence_reason(state, metrics[name], num_classes)
        for name, state in states.items()
    }
    return {name: reason for name, reason in reasons.items() if reason}


def divergence_reason(
    state: MemberState, metrics: Metrics, num_classes: int
) -> str | None:
    """Reason why a member has diverged in an epoch, in words; None where it has not.

    Args:
        state: the member's state after the epoch, with arrays of any kind.
        metrics: the member's mean metrics over the epoch.
        num_classes: number of classes; the loss of guessing is its logarithm, in
            nats.
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


def unpredictable(scores: Mapping[str, ValidationScores]) -> dict[str, str]:
    """Members whose predictions are not finite, though their training loss was.

    In training a batch is normalised by its own statistics, in evaluation by the
    running ones: a network may overflow in one of both alone.

    Args:
        scores: validation scores by name; NaN where the predictions are not finite,
            None without validation images.

    Returns:
        The reason in words, by name, of these members alone.
    """
    reason = "its predictions of the validation images are not finite"
    return {
        name: reason
        for name, own in scores.items()
        if own.error is not None and math.isnan(own.error)
    }


def roll_back(position: StageState, troubles: Mapping[str, str]) -> None:
    """Decides which members try the epoch again, and which are left out.

    Args:
        position: the state of the stage after the epoch; changed in place.
        troubles: the reasons, by name, of the members that diverged in it.
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
