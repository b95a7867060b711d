"""Differences between ensembles of several runs, paired by seed and by test image."""

import itertools
import statistics
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from mothernets_jax.ensembles.image_scores import ImageScores
from mothernets_jax.metrics.paired import error_difference, mean_difference
from mothernets_jax.report.finished_runs import Run

Variant = tuple[str, str]  # a method's name and its variant's


def paired_runs(trained: Mapping[Variant, Mapping[int, Run]]) -> list[dict[str, Any]]:
    """Differences between all pairs of variants that have seeds in common.

    Args:
        trained: a run for each seed of every variant; all share a test set.

    Returns:
        For each pair `first` and `second`, a method's name and its variant's; the
        `seeds` that both have; and of `error` and `nll` the first's less the second's:
        `difference`, the mean over these seeds; of several seeds `std`, its standard
        deviation over them; and where the runs have kept their scores on every image,
        `low` and `high` of a 95% interval for the chance among the test images, these
        seeds given. Left out is an NLL that a run of an older version does not have.
    """
    paired = []
    for (first, ours), (second, theirs) in itertools.combinations(trained.items(), 2):
        seeds = [seed for seed in ours if seed in theirs]
        if seeds:
            pairs = [(ours[seed], first[0], theirs[seed], second[0]) for seed in seeds]
            names = {"first": list(first), "second": list(second), "seeds": seeds}
            paired.append({**names, **_differences(pairs)})
    return paired


def _differences(
    pairs: Collection[tuple[Run, str, Run, str]],
) -> dict[str, dict[str, float]]:
    """The differences of a run's method less another's, over seeds."""
    intervals = _intervals(
        [
            (run.scores[method], other.scores[rival])
            for run, method, other, rival in pairs
            if method in run.scores and rival in other.scores
        ],
        len(pairs),
    )
    found = {}
    for name in ("error", "nll"):
        by_seed = [
            (_figure(run, method, name), _figure(other, rival, name))
            for run, method, other, rival in pairs
        ]
        gaps = [a - b for a, b in by_seed if a is not None and b is not None]
        if len(gaps) < len(pairs):
            continue
        found[name] = {"difference": statistics.fmean(gaps)}
        if len(gaps) > 1:
            found[name]["std"] = statistics.stdev(gaps)
        found[name] |= intervals.get(name, {})
    return found


def _figure(run: Run, method: str, name: str) -> float | None:
    return run.results["methods"][method]["ensemble"]["average"].get(name)


def _intervals(
    scores: Collection[tuple[ImageScores, ImageScores]], seeds: int
) -> dict[str, dict[str, float]]:
    """95% intervals over images of the mean over seeds; none if scores are missing."""
    lengths = {len(each.wrong) for pair in scores for each in pair}
    if len(scores) < seeds or len(lengths) != 1:
        return {}
    ours, theirs = zip(*scores, strict=True)
    wrong = [np.mean([each.wrong for each in side], axis=0) for side in (ours, theirs)]
    nll = [np.mean([each.nll for each in side], axis=0) for side in (ours, theirs)]
    if seeds == 1:
        error = error_difference(ours[0].wrong, theirs[0].wrong)
    else:
        error = mean_difference(*wrong)
    both = {"error": error, "nll": mean_difference(*nll)}
    return {name: {"low": own.low, "high": own.high} for name, own in both.items()}
