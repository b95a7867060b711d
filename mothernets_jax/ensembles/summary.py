"""Measures of an ensemble's predictions, as plain values for `results.json`.

Axes: [members, examples, classes] logits, [examples, classes] probabilities.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from mothernets_jax.ensembles.combine import COMBINATIONS, combined, oracle_error
from mothernets_jax.metrics import (
    calibration,
    class_errors,
    classification,
    diversity,
    ood,
    risk_coverage,
)


def ensemble_metrics(
    logits: np.ndarray,
    labels: np.ndarray,
    members: Sequence[str],
    class_names: Sequence[str],
    weights: Mapping[str, np.ndarray],
    temperatures: Mapping[str, float],
) -> dict[str, Any]:
    """Measures an ensemble and its members by what they predict for some examples.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].
        members: the members' names.
        class_names: one name for each class.
        weights: [members] of each learned combination, by its name; empty for none.
        temperatures: temperature of each combination, by its name; empty for none.

    Returns:
        `ensemble`, of `combination_metrics`; `mean_member_error`; `members`, by name,
        of `member_metrics`; `class_errors` and `confusion` of the average; `weights`
        of each learned combination, by the members' names; `diversity`, of
        `diversity_metrics`; `reliability` of the average, of `reliability_bins`; and
        its `risk_coverage`, the curve's `coverage` and `error` and its area, `aurc`.
    """
    averaged = COMBINATIONS["average"](logits)
    of_members = {
        name: member_metrics(own, labels)
        for name, own in zip(members, logits, strict=True)
    }
    errors = [own["error"] for own in of_members.values()]
    curve = risk_coverage.risk_coverage(averaged, labels)
    return {
        "ensemble": combination_metrics(logits, labels, weights, temperatures),
        "mean_member_error": float(np.mean(errors)),
        "members": of_members,
        **class_errors.describe(averaged, labels, class_names),
        "weights": {
            name: dict(zip(members, own.tolist(), strict=True))
            for name, own in weights.items()
        },
        "diversity": diversity_metrics(logits, labels),
        "reliability": reliability_bins(averaged, labels, temperatures.get("average")),
        "risk_coverage": {
            "coverage": curve.coverage.tolist(),
            "error": curve.error.tolist(),
            "aurc": curve.aurc,
        },
    }


def combination_metrics(
    logits: np.ndarray,
    labels: np.ndarray,
    weights: Mapping[str, np.ndarray],
    temperatures: Mapping[str, float],
) -> dict[str, dict[str, Any]]:
    """Measures each combination of the members, and the oracle.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].
        weights: [members] of each learned combination, by its name; empty for none.
        temperatures: temperature of each combination, by its name; empty for none.

    Returns:
        For each combination, by its name, `error, balanced_error, nll, brier, ece,
        ece_adaptive`; with a temperature, also `temperature` and, under `calibrated`,
        the measures of the rescaled probabilities without the errors, which stay. For
        `oracle`, `error, balanced_error`.
    """
    figures = {}
    for name in (*COMBINATIONS, *weights):
        scores = combined(name, logits, weights)
        figures[name] = _errors(scores, labels) | _scores(scores, labels)
        if name in temperatures:
            rescaled = calibration.rescale(scores, temperatures[name])
            figures[name]["temperature"] = temperatures[name]
            figures[name]["calibrated"] = _scores(rescaled, labels)
    missed = (logits.argmax(axis=-1) != labels).all(axis=0)
    balanced = class_errors.balanced_error(missed, labels)
    oracle = {"error": oracle_error(logits, labels), "balanced_error": balanced}
    return {**figures, "oracle": oracle}


def member_metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Measures one network: `error, balanced_error, nll, brier, ece`.

    Args:
        logits: [examples, classes].
        labels: int [examples].
    """
    scores = _scores(softmax(logits.astype(np.float64), axis=1), labels)
    del scores["ece_adaptive"]
    return {**_errors(logits, labels), **scores}


def diversity_metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Measures how much the members differ.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].

    Returns:
        `disagreement` and `covariance`, means over pairs of members, None for a single
        member; `disagreement_matrix`, [members, members]; and `mutual_information`.
    """
    disagreement = diversity.disagreement(logits)
    covariance = diversity.covariance(logits, labels)
    return {
        "disagreement": diversity.mean_over_pairs(disagreement),
        "disagreement_matrix": disagreement.tolist(),
        "covariance": diversity.mean_over_pairs(covariance),
        "mutual_information": diversity.mutual_information(logits),
    }


def reliability_bins(
    probabilities: np.ndarray, labels: np.ndarray, temperature: float | None = None
) -> dict[str, Any]:
    """Measures the bins of a reliability diagram, also at a temperature.

    Args:
        probabilities: [examples, classes].
        labels: int [examples].
        temperature: temperature of a second diagram, which is then found under
            `calibrated`; None for no second one.

    Returns:
        `confidence`, `accuracy` and `count` of each bin; the first two are None for an
        empty bin.
    """
    bins = calibration.reliability(probabilities, labels)
    figures: dict[str, Any] = {
        name: [
            None if name != "count" and not count else value
            for value, count in zip(values.tolist(), bins.count, strict=True)
        ]
        for name, values in bins._asdict().items()
    }
    if temperature is not None:
        rescaled = calibration.rescale(probabilities, temperature)
        figures["calibrated"] = reliability_bins(rescaled, labels)
    return figures


def detection_metrics(inside: np.ndarray, outside: np.ndarray) -> dict[str, float]:
    """Measures how well images of another data set are told from the test images.

    Args:
        inside: [examples, classes], probabilities for the test images.
        outside: [other examples, classes], probabilities for the other images.

    Returns:
        Areas under the receiver operating characteristic, `auroc_max_probability` and
        `auroc_entropy`.
    """
    return {
        "auroc_max_probability": ood.auroc_max_probability(inside, outside),
        "auroc_entropy": ood.auroc_entropy(inside, outside),
    }


def _errors(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    wrong = scores.argmax(axis=1) != labels
    return {
        "error": classification.error(scores, labels),
        "balanced_error": class_errors.balanced_error(wrong, labels),
    }


def _scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    equal_width, equal_mass = (
        calibration.reliability(probabilities, labels, adaptive=adaptive)
        for adaptive in (False, True)
    )
    return {
        "nll": classification.nll(probabilities, labels),
        "brier": classification.brier(probabilities, labels),
        "ece": calibration.ece(equal_width),
        "ece_adaptive": calibration.ece(equal_mass),
    }
