"""A finished run's findings in words, whichever way they fall."""

import math
from collections.abc import Iterable, Sequence

from mothernets_jax.report.columns import share
from mothernets_jax.report.style import method_label, percent
from mothernets_jax.wording import in_short


def headline(results: dict) -> str:
    """The run's finding in one sentence, whichever way it falls."""
    methods = results["methods"]
    errors = {name: average_error(method) for name, method in methods.items()}
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
        winners = [method_label(name) for name in methods if errors[name] == best]
        return (
            f"Of {len(methods)} methods, {' and '.join(winners)} "
            f"{'makes' if len(winners) == 1 else 'make'} the fewest errors: "
            f"{percent(best, 1)}."
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


def remarks(results: dict) -> Iterable[str]:
    """What the headline leaves out: how sure it is, and who is better still."""
    methods, count = results["methods"], results["data"]["test_examples"]
    if not {"mothernets", "full_data"} <= set(methods):
        return
    errors = {name: average_error(method) for name, method in methods.items()}
    ours, theirs = errors["mothernets"], errors["full_data"]
    if ours != theirs:
        # Two standard errors of the difference, as if the two had nothing in common.
        noise = 2 * math.sqrt((ours * (1 - ours) + theirs * (1 - theirs)) / count)
        gap = abs(ours - theirs)
        yield (
            f"The two differ by {round(gap * count):,} of {count:,} test images"
            f"{', too few to say which is better' if gap < noise else ''}."
        )
    best = min(errors, key=lambda name: errors[name])
    if errors[best] < min(ours, theirs):
        yield (
            f"Of all {len(methods)} methods, {method_label(best)} makes the fewest "
            f"errors: {percent(errors[best], 1)}, with "
            f"{share_of_full_data(methods, best)} of full-data training’s FLOPs."
        )


def warnings(results: dict) -> Iterable[str]:
    """What went wrong in training, and what was done about it."""
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


def comparison_warnings(runs: Iterable[dict]) -> Iterable[str]:
    """Ensembles that are missing from a comparison, and from its means.

    Args:
        runs: as `compare.compare` describes them.
    """
    for run in runs:
        if run["failed"]:
            yield (
                f"{run['folder']} (seed {run['seed']}) has no ensemble of "
                f"{' and '.join(map(method_label, run['failed']))}, as none of the "
                "networks could be trained: it has no part in the means."
            )


def average_error(method: dict) -> float:
    """The test error of a method's ensemble, its probabilities averaged."""
    return method["ensemble"]["average"]["error"]


def share_of_full_data(methods: dict, name: str) -> str:
    """A method's training FLOPs as a percentage of those of full-data training."""
    ours, theirs = (methods[n]["cost"]["train_flops"] for n in (name, "full_data"))
    return share(ours / theirs) if theirs else "–"


Finding = tuple[str, dict, dict, int]  # label, mean and std of the figures, seeds


def comparison_headline(rows: Sequence[Finding]) -> str:
    """The comparison's finding in one sentence.

    Args:
        rows: of the ensembles.
    """
    label, mean, _, seeds = min(rows, key=lambda row: average_error(row[1]))
    error = percent(average_error(mean), 1)
    over = f", on average over {seeds} seeds" if seeds > 1 else ""
    if len(rows) == 1:
        return f"{label} makes {error} errors{over}."
    return f"Of {len(rows)} ensembles, {label} makes the fewest errors: {error}{over}."


def comparison_remarks(rows: Sequence[Finding]) -> Iterable[str]:
    """How sure it is that the best is the best."""
    best, *others = sorted(rows, key=lambda row: average_error(row[1]))
    if not others:
        return
    if any(row[3] < 2 for row in (best, others[0])):
        yield (
            f"Next is {others[0][0]}. With one seed, nothing tells how much of the "
            "difference is chance."
        )
        return
    # Two standard errors of the difference of two means.
    noise = 2 * math.hypot(
        *(average_error(std) / math.sqrt(n) for _, _, std, n in (best, others[0]))
    )
    gap = average_error(others[0][1]) - average_error(best[1])
    verdict = "more" if gap > noise else "no more"
    yield (
        f"Next is {others[0][0]}, with {percent(average_error(others[0][1]), 1)}: the "
        f"difference is {verdict} than two of its standard errors over seeds."
    )
