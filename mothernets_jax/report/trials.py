"""Trials of settings before the runs of a comparison, and those that won."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mothernets_jax.report.plots.style import method_label, settings_text
from mothernets_jax.storage import files
from mothernets_jax.utils.formatting import percent

_MOST_BYTES = 2**26
# For each method, `overrides` of settings and `validation_errors` of every trial.
Trials = Mapping[str, Sequence[Mapping[str, Any]]]


def read_trials(path: Path) -> Trials:
    """Reads the trials in a file that `python -m benchmarks.frontier` has written.

    Returns:
        A list of trials for each method by its name. A trial has `overrides`, settings
        by their full names, and `validation_errors`, shares from 0 to 1, one for each
        tuning (fold or seed).

    Raises:
        OSError: no such file, or one that cannot be read.
        ValueError: a file of anything else.
    """
    expected = "expected what `python -m benchmarks.frontier` writes to --out"
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError(f"{path} is no plain file: {expected}")
    try:
        content = files.parse_json(files.read_bytes(path, _MOST_BYTES))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON ({error}): {expected}") from None
    trials = content.get("trials") if isinstance(content, dict) else None
    if (
        not isinstance(trials, dict)
        or not trials
        or not all(map(_are_trials, trials.values()))
    ):
        raise ValueError(f"{path} holds no trials and their errors: {expected}")
    return trials


def _are_trials(tried: Any) -> bool:
    """True for a list of one trial or more, each with an error for every tuning."""
    if not isinstance(tried, list) or not tried:
        return False
    lengths = set()
    for trial in tried:
        if not isinstance(trial, dict) or not isinstance(trial.get("overrides"), dict):
            return False
        errors = trial.get("validation_errors")
        if not isinstance(errors, list) or not all(map(_is_error, errors)):
            return False
        lengths.add(len(errors))
    return len(lengths) == 1 and 0 not in lengths


def _is_error(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def trial_rows(trials: Trials) -> list[dict[str, str]]:
    """A row for each trial: the method, the changed settings, the error, wins.

    Args:
        trials: result of `read_trials`.
    """
    rows = []
    for method, tried in trials.items():
        by_tuning = zip(*(trial["validation_errors"] for trial in tried), strict=True)
        wins = Counter(errors.index(min(errors)) for errors in by_tuning)
        for number, trial in enumerate(tried):
            errors = trial["validation_errors"]
            error = percent(statistics.fmean(errors))
            if len(errors) > 1:
                error += f" ± {percent(statistics.stdev(errors))}"
            if len(tried) > 1:
                error += _won(wins[number], len(errors))
            rows.append(
                {
                    "method": method_label(method),
                    "settings": settings_text(trial["overrides"]) or "the config’s",
                    "validation error": error,
                }
            )
    return rows


def _won(times: int, tunings: int) -> str:
    if not times:
        return ""
    return (
        ", the best" if tunings == 1 else f", the best in {times} of {tunings} tunings"
    )


def trial_counts(trials: Trials) -> str:
    """A sentence on the number of trials of each method."""
    counts = {method_label(name): len(tried) for name, tried in trials.items()}
    if len(set(counts.values())) == 1:
        return f"Trials of each method: {next(iter(counts.values()))}."
    uneven = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"The methods were not tried equally often: {uneven}."
