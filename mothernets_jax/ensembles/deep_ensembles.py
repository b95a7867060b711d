"""Deep ensembles of every size, out of networks that were trained independently.

Axes: [members, examples, classes] logits, [sizes] for ensembles of 1, 2, ... members.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.ensembles.combine import COMBINATIONS
from mothernets_jax.metrics.calibration import calibrated_nll
from mothernets_jax.metrics.deep_ensemble_equivalent import equivalent

# So many subsets of a size are tried; all of them where there are no more, or no more
# than members.
MOST_SUBSETS = 10


class DeepEnsembles(NamedTuple):
    """The calibrated NLL of deep ensembles of every size.

    Attributes:
        nll: [sizes], the mean over subsets of the members.
        deviation: [sizes], the standard deviation over subsets. They overlap, the more
            the larger they are, so that it is 0 for all members together.
        subsets: [sizes], the number of subsets.
    """

    nll: list[float]
    deviation: list[float]
    subsets: list[int]


def deep_ensembles(
    logits: np.ndarray,
    labels: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
) -> DeepEnsembles:
    """Judges ensembles of 1, 2, ... of some members, which are averaged.

    Args:
        logits: [members, examples, classes], of members that were trained independently
            on the same data.
        labels: int [examples].
        held_out: logits of the same form and labels of other examples, on which each
            temperature is fitted; None to fit it on halves of the examples.
    """
    nlls = [
        [averaged_nll(logits[own], labels, _of_members(held_out, own)) for own in tried]
        for tried in (subsets_of(len(logits), size + 1) for size in range(len(logits)))
    ]
    return DeepEnsembles(
        [float(np.mean(each)) for each in nlls],
        [float(np.std(each, ddof=1)) if len(each) > 1 else 0.0 for each in nlls],
        [len(each) for each in nlls],
    )


def averaged_nll(
    logits: np.ndarray,
    labels: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
) -> float:
    """The calibrated NLL of an averaged ensemble, in nats.

    Args:
        logits: [members, examples, classes].
        labels: int [examples].
        held_out: logits of the same form and labels of other examples, on which the
            temperature is fitted; None to fit it on halves of the examples.
    """
    average = COMBINATIONS["average"]
    if held_out is not None:
        held_out = average(held_out[0]), held_out[1]
    return calibrated_nll(average(logits), labels, held_out)


def with_equivalent(
    figures: Mapping[str, Any], reference: Mapping[str, Any]
) -> dict[str, Any]:
    """A method's figures, with how many independent networks its ensemble is worth.

    Args:
        figures: the method's entry in `results.json`, or a mean of several.
        reference: `DeepEnsembles` as a dictionary, of networks trained on the same
            data; empty for none.

    Returns:
        The figures; where there is a reference and the method's calibrated NLL is
        known, with `networks` under `deep_ensemble_equivalent`: the fields of
        `Equivalent`, and `of`, the number of networks that there are.
    """
    own = figures.get("deep_ensemble_equivalent")
    if not own or not reference:
        return dict(figures)
    found = equivalent(own["nll"], reference["nll"], reference["deviation"])
    networks = {**found._asdict(), "of": len(reference["nll"])}
    return {**figures, "deep_ensemble_equivalent": {**own, "networks": networks}}


def subsets_of(members: int, size: int) -> list[list[int]]:
    """Subsets of the members: all of a size, or `MOST_SUBSETS` different ones.

    They are all where there are no more of them than that, or than members.

    Args:
        members: number of members.
        size: number of members in a subset.

    Returns:
        Indices of each subset's members, in their order; always the same ones.
    """
    if math.comb(members, size) <= max(MOST_SUBSETS, members):
        return [list(own) for own in itertools.combinations(range(members), size)]
    distinct = dict.fromkeys(
        itertools.islice(_draws(members, size), 100 * MOST_SUBSETS)
    )
    return [list(own) for own in itertools.islice(distinct, MOST_SUBSETS)]


def _draws(members: int, size: int) -> Iterator[tuple[int, ...]]:
    """Yields random subsets without end."""
    generator = np.random.default_rng(size)
    while True:
        drawn = generator.choice(members, size, replace=False)
        yield tuple(sorted(drawn.tolist()))


def _of_members(
    held_out: tuple[np.ndarray, np.ndarray] | None, members: list[int]
) -> tuple[np.ndarray, np.ndarray] | None:
    return None if held_out is None else (held_out[0][members], held_out[1])
