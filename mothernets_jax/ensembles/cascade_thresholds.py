"""Thresholds of a cascade: which answers of its first members are sure enough.

An answer's lead is its calibrated probability less that of the second likeliest class.
After each member but the last there is a threshold of its own, from which on the lead
suffices.

What an early answer loses is told twice. By the whole ensemble's calibrated
probabilities it is that of the ensemble's own answer less that of the early one, whose
mean is the expected loss of accuracy. By the labels it is whether the ensemble is right
and the early answer wrong (1), the other way round (-1), or neither. The former
scatters several times less, but leans to one side where the ensemble is unsure; the
latter leans to none. So thresholds are chosen by the former and accepted by both.

At a price of a FLOP, in accuracy, the best threshold of one stage follows exactly from
those of the others, and the stages take turns. The price rises until more is lost than
is stated.

Axes: [stages, examples]; stage k has asked k + 1 members.
"""

import math

import numpy as np

_SWEEPS = 3
# Prices of asking a member of the mean cost, in accuracy.
_PRICES = np.geomspace(1e-6, 100, 100)
_ROUNDING = 1e-12


def fit_thresholds(
    leads: np.ndarray,
    losses: np.ndarray,
    counted: np.ndarray,
    costs: np.ndarray,
    accuracy_loss: float,
) -> np.ndarray:
    """Fits the thresholds of all stages but the last.

    Args:
        leads: floats [stages, examples], by how much the likeliest class leads.
        losses: floats [stages, examples], the expected loss by answering then.
        counted: ints [stages, examples], the loss by answering then, by the labels.
        costs: floats [stages], what all members asked until then cost.
        accuracy_loss: the mean loss that is allowed, of either kind.

    Returns:
        float64 [stages - 1], from 0, where all are answered, to infinity, where none
        is.

    >>> leads = np.array([[0.2, 0.9, 0.5], [0.3, 0.8, 0.4]])
    >>> losses = np.array([[0.3, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> fit_thresholds(leads, losses, losses > 0, np.array([1.0, 2.0]), 0.05)
    array([0.5])
    """
    found = np.full(len(leads) - 1, math.inf)
    in_members = costs * len(costs) / costs[-1]
    for price in _PRICES:
        thresholds = _at_price(leads, losses, price * in_members)
        stage = stages(leads, thresholds)[None]
        lost = [np.take_along_axis(own, stage, 0).mean() for own in (losses, counted)]
        if max(lost) > accuracy_loss + _ROUNDING:
            break
        found = thresholds
    return found


def stages(leads: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The stage that answers each example, the last one where no lead suffices.

    Args:
        leads: floats [stages, examples].
        thresholds: floats [stages - 1].

    Returns:
        int [examples].
    """
    sure = leads >= np.append(thresholds, -math.inf)[:, None]
    return sure.argmax(axis=0)


def _at_price(leads: np.ndarray, losses: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Thresholds with the least sum of loss and cost, both in accuracy."""
    thresholds = np.full(len(leads) - 1, math.inf)
    totals = losses + costs[:, None]
    for _ in range(_SWEEPS):
        for k in reversed(range(len(thresholds))):
            reached = (leads[:k] < thresholds[:k, None]).all(axis=0)
            later = k + 1 + stages(leads[k + 1 :], thresholds[k + 1 :])
            going_on = np.take_along_axis(totals, later[None], axis=0)[0]
            gain = (going_on - totals[k])[reached]
            thresholds[k] = _best_cut(leads[k, reached], gain)
    return thresholds


def _best_cut(leads: np.ndarray, gains: np.ndarray) -> float:
    """The threshold at which the gains of all examples from it on are the largest."""
    order = np.argsort(-leads, kind="stable")
    sorted_leads, sums = leads[order], np.cumsum(gains[order])
    if not len(sums):
        return math.inf
    # Examples with equal leads are on one side.
    sums[:-1][sorted_leads[:-1] == sorted_leads[1:]] = -math.inf
    best = int(sums.argmax())
    if sums[best] <= 0:
        return math.inf
    return 0.0 if best == len(sums) - 1 else float(sorted_leads[best])
