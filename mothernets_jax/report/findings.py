"""Findings of runs and of comparisons in sentences, whichever way they fall."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mothernets_jax.report.certainty import Gap, Key, error_gap
from mothernets_jax.report.class_tables import majority
from mothernets_jax.report.columns import share
from mothernets_jax.report.plots.style import method_label
from mothernets_jax.utils.formatting import percent
from mothernets_jax.utils.messages import in_short

UNVERIFIED = (
    "These results have no checksum: nothing tells whether they are as the run wrote "
    "them."
)
# Of a normal distribution, within which 95% of it lie.
_DEVIATIONS = 1.96
# Times the FLOPs of another from which on an ensemble is said to have cost more.
_MORE = 1.05


def headline(results: dict) -> str:
    """The run's main finding in one sentence, whichever way it falls."""
    methods = results["methods"]
    errors = {name: average_error(method) for name, method in methods.items()}
    if useless := _not_better_than_one_answer(results["data"], min(errors.values())):
        return useless
    if "mothernets" in methods and "full_data" in methods:
        ours, theirs = errors["mothernets"], errors["full_data"]
        # One decimal, or more where only they tell two different errors apart.
        apart = (d for d in (1, 2, 3) if percent(ours, d) != percent(theirs, d))
        decimals = 1 if ours == theirs else next(apart, 4)
        verdict = "as many as full-data training"
        if ours != theirs:
            verdict = "fewer" if ours < theirs else "more"
            verdict += f" than full-data training’s {percent(theirs, decimals)}"
        return (
            f"The MotherNets ensemble makes {percent(ours, decimals)} errors, "
            f"{verdict}, with {share_of_full_data(methods, 'mothernets')} of its "
            "training FLOPs."
        )
    if len(methods) > 1:
        best = min(errors.values())
        names = [name for name in methods if errors[name] == best]
        cheapest = min(names, key=lambda name: methods[name]["cost"]["train_flops"])
        cost = _more_spent(
            methods[cheapest],
            [(method_label(n), m) for n, m in methods.items() if n not in names],
        )
        return (
            f"Of {len(methods)} methods, {' and '.join(map(method_label, names))} "
            f"{'makes' if len(names) == 1 else 'make'} the fewest errors: "
            f"{percent(best, 1)}{cost}."
        )
    [(name, method)] = methods.items()
    error, alone = percent(errors[name], 1), percent(method["mean_member_error"], 1)
    label = "full-data" if name == "full_data" else method_label(name)
    count = len(method["members"])
    if count == 1:
        return f"The {label} ensemble of one network makes {error} errors."
    return (
        f"The {label} ensemble of {count} networks makes {error} errors; "
        f"its networks alone make {alone} on average."
    )


def _not_better_than_one_answer(data: dict, best: float) -> str:
    """A sentence where always giving the same answer errs no more than the best.

    Args:
        data: the entry `data` of `results.json`, or of the result of `compare.compare`.
        best: the least average error of an ensemble.

    Returns:
        The sentence; empty where an ensemble is better, or where classes are of about
        equal size.
    """
    most = majority(data)
    if most is None or best < most[1]:
        return ""
    answer, error = most
    return (
        f"No ensemble is better than always answering “{data['class_names'][answer]}”: "
        f"that makes {percent(error, 1)} errors, the best ensemble {percent(best, 1)}."
    )


def remarks(results: dict) -> Iterable[str]:
    """Sentences on how sure the headline is, and on a method that is better still."""
    methods, count = results["methods"], results["data"]["test_examples"]
    errors = {name: average_error(method) for name, method in methods.items()}
    if not {"mothernets", "full_data"} <= set(methods):
        if len(methods) > 1:
            best, second = sorted(errors, key=lambda name: errors[name])[:2]
            gap = error_gap(results.get("paired", ()), best, second)
            yield _runner_up(method_label(second), errors[second], gap)
        return
    ours, theirs = errors["mothernets"], errors["full_data"]
    if ours != theirs:
        found = error_gap(results.get("paired", ()), "mothernets", "full_data")
        gap = abs(ours - theirs)
        # In a run of an older version, two standard errors of the difference, as if the
        # two had nothing in common.
        noise = 2 * math.sqrt((ours * (1 - ours) + theirs * (1 - theirs)) / count)
        apart = found.told_apart if found else gap >= noise
        wrong, others = (f"{round(error * count):,}" for error in (ours, theirs))
        yield (
            f"Of {count:,} test images MotherNets get {wrong} wrong, full data {others}"
            f"{'' if apart else ': too close to say which is better'}"
            f"{f' ({found})' if found else ''}."
        )
    best = min(errors, key=lambda name: errors[name])
    if errors[best] < min(ours, theirs):
        yield (
            f"Of all {len(methods)} methods, {method_label(best)} makes the fewest "
            f"errors: {percent(errors[best], 1)}, with "
            f"{share_of_full_data(methods, best)} of full-data training’s FLOPs."
        )


def interval(results: dict) -> str:
    """A sentence with the 95% confidence interval of the least test error.

    The interval is that of the chance among the test images alone.

    References: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical
    Inference".
    """
    count = results["data"]["test_examples"]
    error = min(average_error(method) for method in results["methods"].values())
    squared = _DEVIATIONS**2 / count
    middle = (error + squared / 2) / (1 + squared)
    half = math.sqrt(squared * (error * (1 - error) + squared / 4)) / (1 + squared)
    low, high = (percent(max(0.0, bound)) for bound in (middle - half, middle + half))
    return (
        f"On {count:,} test images, an average error of {percent(error)} has a "
        f"95% confidence interval of {low} to {high}."
    )


def growth(results: dict) -> Iterable[str]:
    """Sentences on what was added to a finished run, and from what it was trained."""
    for name, method in results["methods"].items():
        for change in method.get("grown", ()):
            yield f"{method_label(name)}: {change['how']}."


def warnings(results: dict) -> Iterable[str]:
    """Sentences on what went wrong in training, and what was done about it."""
    for name, method in results.get("failed", {}).items():
        yield (
            f"{method_label(name)} has no ensemble, as none of its networks could be "
            f"trained ({in_short(method['left_out'])})."
        )
    for name, method in results["methods"].items():
        label = method_label(name)
        for member, reason in method.get("left_out", {}).items():
            yield f"{label}: {member} was left out of the ensemble, as {reason}."
        for stage in method["stages"]:
            for member in stage.get("retried", ()):
                yield (
                    f"{label}: {member} diverged once, and trained on at a tenth of "
                    "the learning rate from where it had been before."
                )


def comparison_warnings(runs: Sequence[dict]) -> Iterable[str]:
    """Sentences on ensembles that are missing, and on runs that nothing vouches for.

    Args:
        runs: the entry `runs` of the result of `compare.compare`.
    """
    for run in runs:
        if run["failed"]:
            yield (
                f"{run['folder']} (seed {run['seed']}) has no ensemble of "
                f"{' and '.join(map(method_label, run['failed']))}, as none of the "
                "networks could be trained: it has no part in the means."
            )
    begun = [run["folder"] for run in runs if run.get("begun")]
    if begun:
        yield (
            f"{' and '.join(begun)}: the MotherNet was trained before the run, at a "
            "cost that is not counted."
        )
    unverified = [run["folder"] for run in runs if run.get("unverified")]
    if unverified:
        yield f"{' and '.join(unverified)}: {UNVERIFIED}"


def average_error(method: dict) -> float:
    """The test error of a method's ensemble, its probabilities averaged."""
    return method["ensemble"]["average"]["error"]


def share_of_full_data(methods: dict, name: str) -> str:
    """A method's training FLOPs as a percentage of those of full-data training."""
    ours, theirs = (methods[n]["cost"]["train_flops"] for n in (name, "full_data"))
    return share(ours / theirs) if theirs else "–"


def _more_spent(best: dict, others: Iterable[tuple[str, dict]]) -> str:
    """A part of a sentence on what the best ensemble cost beyond cheaper ones.

    Args:
        best: the entry of the ensemble in `results.json`, or means over seeds.
        others: label and entry of each other ensemble.

    Returns:
        How many times the FLOPs it took of the best of those that cost less by more
        than rounding; empty where there are none.
    """
    spent = best["cost"]["train_flops"]
    cheaper = [
        (average_error(other), label, spent / other["cost"]["train_flops"])
        for label, other in others
        if 0 < _MORE * other["cost"]["train_flops"] <= spent
    ]
    if not cheaper:
        return ""
    error, label, times = min(cheaper)
    return (
        f", with {times:.1f} times the training FLOPs of {label} ({percent(error, 1)})"
    )


class Finding(NamedTuple):
    """What is told of an ensemble of a comparison.

    Attributes:
        label: its label.
        key: the method's name and the variant's.
        mean, std: mean and standard deviation of every figure over seeds, with the
            structure of `results.json`; `std` is empty with one seed.
        seeds: number of seeds.
    """

    label: str
    key: Key
    mean: dict[str, Any]
    std: dict[str, Any]
    seeds: int


def comparison_headline(
    rows: Sequence[Finding], data: dict, paired: Sequence[Mapping[str, Any]]
) -> str:
    """The comparison's main finding in one sentence.

    Args:
        rows: a finding for each ensemble.
        data: the entry `data` of the result of `compare.compare`.
        paired: its entry `paired`.
    """
    best, *behind = sorted(
        rows, key=lambda row: (average_error(row.mean), row.mean["cost"]["train_flops"])
    )
    if useless := _not_better_than_one_answer(data, average_error(best.mean)):
        return useless
    error = percent(average_error(best.mean), 1)
    over = f", on average over {best.seeds} seeds" if best.seeds > 1 else ""
    if len(rows) == 1:
        return f"{best.label} makes {error} errors{over}."
    cost = _more_spent(best.mean, [(row.label, row.mean) for row in behind])
    gap = error_gap(paired, best.key, behind[0].key)
    if gap and not gap.told_apart:
        return (
            f"Of {len(rows)} ensembles, no one is surely the best: {best.label} makes "
            f"{error} errors{over}{cost}, {behind[0].label} "
            f"{percent(average_error(behind[0].mean), 1)}."
        )
    return (
        f"Of {len(rows)} ensembles, {best.label} makes the fewest errors: "
        f"{error}{over}{cost}."
    )


def comparison_remarks(
    rows: Sequence[Finding], paired: Sequence[Mapping[str, Any]]
) -> Iterable[str]:
    """Sentences on how sure it is that the best ensemble is the best.

    Args:
        rows: a finding for each ensemble.
        paired: the entry `paired` of the result of `compare.compare`.
    """
    best, *others = sorted(rows, key=lambda row: average_error(row.mean))
    if not others:
        return
    second = others[0]
    error = average_error(second.mean)
    if any(row.seeds < 2 for row in (best, second)):
        yield _runner_up(second.label, error, error_gap(paired, best.key, second.key))
        return
    # Two standard errors of the difference of two means.
    noise = 2 * math.hypot(
        *(average_error(row.std) / math.sqrt(row.seeds) for row in (best, second))
    )
    verdict = "more" if error - average_error(best.mean) > noise else "no more"
    yield (
        f"Next is {second.label}, with {percent(error, 1)}: the difference is "
        f"{verdict} than two of its standard errors over seeds."
    )


def _runner_up(label: str, error: float, gap: Gap | None) -> str:
    """A sentence on the second best ensemble of single runs.

    Args:
        label: its label.
        error: its average error.
        gap: interval of the best's error less its, if there is one.
    """
    next_is = f"Next is {label}, with {percent(error, 1)}"
    if gap is None:
        return f"{next_is}. With one seed, nothing tells how much of that is chance."
    if gap.told_apart:
        return (
            f"{next_is}: the test images tell the two apart ({gap}), though other "
            "seeds may differ."
        )
    return f"{next_is}: the test images do not tell which of the two is better ({gap})."
