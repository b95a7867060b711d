"""All measures of an ensemble on labelled images, as `results.json` names them.

Axes: [members, examples, classes] logits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.ensembles import summary
from mothernets_jax.ensembles.combine import COMBINATIONS
from mothernets_jax.ensembles.deep_ensembles import averaged_nll


def evaluation(
    logits: np.ndarray,
    labels: np.ndarray,
    members: Mapping[str, Architecture],
    class_names: Sequence[str],
    input_shape: tuple[int, int, int],
    weights: Mapping[str, np.ndarray],
    temperatures: Mapping[str, float],
    ood_logits: np.ndarray | None = None,
) -> dict[str, Any]:
    """Measures an ensemble and its members by what they predict for some examples.

    Args:
        logits: finite floats [members, examples, classes], of at least one example.
        labels: int [examples].
        members: architecture of each member, by name.
        class_names: one name for each class.
        input_shape: (height, width, channels) of one image.
        weights: [members] of each learned combination, by its name; empty for none.
        temperatures: temperature of each combination, by its name; empty for none.
        ood_logits: finite floats [members, other examples, classes], of images of
            another kind; None for none.

    Returns:
        The values of `summary.ensemble_metrics`, each of the `members` with its
        `architecture` and number of `parameters`; `ood`, of
        `summary.detection_metrics`, empty without such images; and
        `deep_ensemble_equivalent`, with the averaged ensemble's calibrated `nll` and
        what its `temperature` was fitted on.

    Raises:
        ValueError: there is no example, or not one label for each.
    """
    if not len(labels) or logits.shape[1] != len(labels):
        raise ValueError(
            f"there are {logits.shape[1]:,} images and {len(labels):,} labels: "
            "expected equally many, at least one"
        )
    if ood_logits is not None and not ood_logits.shape[1]:
        raise ValueError("there are 0 ood_images: expected at least one, or None")
    names = [*members]
    figures = summary.ensemble_metrics(
        logits, labels, names, class_names, weights, temperatures
    )
    for name, architecture in members.items():
        parameters = num_params(architecture, input_shape, len(class_names))
        figures["members"][name] |= {
            "architecture": str(architecture),
            "parameters": parameters,
        }
    detection = {}
    if ood_logits is not None:
        inside, outside = map(COMBINATIONS["average"], (logits, ood_logits))
        detection = summary.detection_metrics(inside, outside)
    if "average" in temperatures:
        nll = figures["ensemble"]["average"]["calibrated"]["nll"]
        fitted_on = "the calibration split"
    else:
        nll, fitted_on = averaged_nll(logits, labels), "halves of the test split"
    equivalent = {"nll": nll, "temperature": fitted_on}
    return {**figures, "ood": detection, "deep_ensemble_equivalent": equivalent}
