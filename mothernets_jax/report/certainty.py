"""How many networks ensembles are worth, and how sure the differences between them are.

A key names an ensemble: a method's name, or that and its variant's.
"""

import bisect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from mothernets_jax.report.columns import AURC, AVERAGE, EQUIVALENTS, cells, figure
from mothernets_jax.report.plots.series import MAIN_METHOD
from mothernets_jax.report.plots.style import method_label
from mothernets_jax.utils.formatting import percent

Key = str | tuple[str, ...]
_Key = TypeVar("_Key", bound=Key)
_CONFIDENCE = "95% interval"
_ANSWERED = (1.0, 0.95, 0.9, 0.8, 0.5)  # shares of the images


class Gap(NamedTuple):
    """A 95% interval of the difference of two ensembles' errors, in points."""

    low: float
    high: float

    @property
    def told_apart(self) -> bool:
        """Whether it leaves out 0: the test images tell which of the two is better."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return (
            f"the {_CONFIDENCE}, paired over the images, is {signed(self.low, 2)} to "
            f"{signed(self.high, 2)} points"
        )


def equivalent_rows(
    labels: Sequence[str], methods: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """A row for each ensemble that is measured by independently trained networks.

    Args:
        labels: names of the rows.
        methods: the methods' entries in `results.json`, or means of them over seeds.

    Returns:
        Rows, the text of each cell by its column's name; no rows where there are no
        such networks.
    """
    measured = [
        (label, method)
        for label, method in zip(labels, methods, strict=True)
        if figure(method, EQUIVALENTS[-1].path)
    ]
    rows = cells(EQUIVALENTS, [method for _, method in measured])
    return [
        {"method": label, **row} for (label, _), row in zip(measured, rows, strict=True)
    ]


def equivalent_caption(methods: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on how many networks there are, and what temperatures fit.

    Args:
        methods: the methods' entries in `results.json`, or means of them over seeds.
    """
    found = [m.get("deep_ensemble_equivalent", {}) for m in methods]
    found = [each for each in found if "networks" in each]
    counts = sorted({each["networks"]["of"] for each in found})
    fitted = {each["temperature"] for each in found if "temperature" in each}
    on = f", which was fitted on {fitted.pop()}" if len(fitted) == 1 else ""
    return (
        f"The calibrated NLL is the NLL at the best temperature{on}. Nothing is "
        f"extrapolated beyond full data’s {' or '.join(map(str, counts))} networks."
    )


def base_of(errors: Mapping[_Key, tuple[str, float]]) -> _Key:
    """The ensemble that others are subtracted from: the best MotherNets, or the best.

    Args:
        errors: method and average error of each ensemble, by its key.
    """
    ours = {key: each for key, each in errors.items() if each[0] == MAIN_METHOD}
    candidates = ours or errors
    return min(candidates, key=lambda key: candidates[key][1])


def paired_rows(
    paired: Sequence[Mapping[str, Any]],
    base: Key,
    labels: Mapping[Key, str],
) -> list[dict[str, str]]:
    """A row for each ensemble that differs from one: by how much, and how surely.

    Args:
        paired: differences of pairs, `first` less `second`, each with its keys.
        base: key of the ensemble that is the first in every row.
        labels: names of the ensembles by their keys.

    Returns:
        Rows, the text of each cell by its column's name; no rows without differences.
    """
    rows = []
    for pair in paired:
        keys = [_key(pair["first"]), _key(pair["second"])]
        if base not in keys:
            continue
        sign = 1 if keys[0] == base else -1
        other = keys[1] if sign == 1 else keys[0]
        row = {"difference": f"{labels[base]} − {labels[other]}"}
        for name, label, scale, places in (
            ("error", "error, points", 100, 2),
            ("nll", "NLL", 1, 3),
        ):
            if name in pair:
                row[label] = _difference(pair[name], sign * scale, places)
        if "seeds" in pair:
            row["seeds"] = str(len(pair["seeds"]))
        rows.append(row)
    # The first row has the columns of all.
    return sorted(rows, key=len, reverse=True)


def sureness_rows(methods: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """A row for each method: its error among the images that it is surest of.

    Args:
        methods: the entry `methods` of `results.json`.

    Returns:
        Rows, the text of each cell by its column's name; no rows for results of earlier
        versions.
    """
    rows = []
    for name, method in methods.items():
        curve = method.get("risk_coverage")
        if not curve:
            continue
        row = {"method": method_label(name), AURC.label: AURC.text(curve["aurc"])}
        for share in _ANSWERED:
            place = bisect.bisect_left(curve["coverage"], share - 1e-9)
            label = "all" if share == 1 else f"the surest {percent(share, 0)}"
            row[label] = percent(curve["error"][place])
        rows.append(row)
    return rows


def error_gap(
    paired: Sequence[Mapping[str, Any]], first: Key, second: Key
) -> Gap | None:
    """The 95% interval of the first ensemble's error less the second's.

    Args:
        paired: differences of pairs, `first` less `second`, each with its keys.
        first: key of an ensemble.
        second: key of the ensemble whose error is subtracted.

    Returns:
        The interval; None where there is none, as in runs of older versions.
    """
    for pair in paired:
        keys = [_key(pair["first"]), _key(pair["second"])]
        if set(keys) == {first, second} and "low" in pair.get("error", {}):
            return Gap(*_bounds(pair["error"], 100 if keys[0] == first else -100))
    return None


def paired_lines(results: Mapping[str, Any]) -> list[str]:
    """Differences from the run's main method for the terminal, a line each.

    Args:
        results: the content of `results.json`.
    """
    rows = paired_rows(results.get("paired", ()), *run_base(results))
    return [f"{row['difference']}: {row['error, points']} points" for row in rows]


def run_base(results: Mapping[str, Any]) -> tuple[Key, dict[Key, str]]:
    """The method of a run that others are subtracted from, and labels by method.

    Args:
        results: the content of `results.json`.
    """
    return main_method(results), {n: method_label(n) for n in results["methods"]}


def main_method(results: Mapping[str, Any]) -> str:
    """The method of a run that others are set against: MotherNets, or the best.

    Args:
        results: the content of `results.json`.
    """
    methods = results["methods"]
    return base_of({n: (n, figure(m, AVERAGE.path)) for n, m in methods.items()})


def signed(number: float, places: int) -> str:
    """A number with its sign: `+0.33`, `−1.20`."""
    return f"{number:+.{places}f}".replace("-", "−")


def _key(name: Any) -> Key:
    return name if isinstance(name, str) else tuple(name)


def _bounds(interval: Mapping[str, float], scale: float) -> tuple[float, float]:
    low, high = sorted((scale * interval["low"], scale * interval["high"]))
    return low, high


def _difference(found: Mapping[str, float], scale: float, places: int) -> str:
    """`−1.20 [−1.90, −0.50]`, of several seeds with the deviation in a second line."""
    text = signed(scale * found["difference"], places)
    if "low" in found:
        low, high = (signed(bound, places) for bound in _bounds(found, scale))
        text += f" [{low}, {high}]"
    if "std" in found:
        text += f"\n± {abs(scale) * found['std']:.{places}f}"
    return text
