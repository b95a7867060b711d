"""A comparison of finished runs: seeds averaged, other settings side by side.

Pure functions on dictionaries: the settings and the results that runs have written.
"""

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from mothernets_jax.report.columns import with_shares
from mothernets_jax.report.finished_runs import Run, with_images
from mothernets_jax.report.series import anytime_points, flops_before_members
from mothernets_jax.report.style import settings_text
from mothernets_jax.settings import without_harmless, without_other_methods

# What makes no other experiment: the seed, where the data are, what else is trained.
_NO_VARIANT = ("seed", "methods", "data.dir", "data.ood_dir")
_CLUSTERING = ("num_clusters", "min_shared", "align")  # read by MotherNets alone
_COMPARED = ("ensemble", "validation", "mean_member_error", "diversity", "ood")


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """Everything that the page of a comparison shows, but for trials.

    Args:
        runs: that share a test set.

    Returns:
        `data` of the first run; `runs`, each with what `differs` from the others and
        is read by its methods; `methods`, by name a list of variants, each with a
        `name`, which tells those of the method apart, the `settings` that differ
        between them, the `seeds`, and `mean` and `std` of every figure, with the
        structure of `results.json`. Runs are of one variant of a method if they agree
        in all that the method reads; where they agree in the seed, too, the first one
        counts.

    Raises:
        ValueError: two runs with the same settings, seed and a method in common.
    """
    settings = with_images(runs, [variant_settings(run.settings) for run in runs])
    check_distinct(runs, settings)
    differing = differing_settings(settings)
    full_data = _only_full_data(runs, settings)
    methods = dict.fromkeys(name for run in runs for name in run.results["methods"])
    return {
        "name": runs[0].results["name"],
        "data": runs[0].results["data"],
        "runs": [
            {
                "folder": run.folder,
                "differs": settings_text(read_by(differs, run.results["methods"])),
                "seed": run.settings["seed"],
                "methods": list(run.results["methods"]),
                **run.results["provenance"],
            }
            for run, differs in zip(runs, differing, strict=True)
        ],
        "methods": {
            method: variants_of(method, runs, settings, full_data) for method in methods
        },
    }


def check_distinct(runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]) -> None:
    """Makes sure that no run is given twice.

    Raises:
        ValueError: two runs with the same settings, seed and a method in common.
    """
    for i, run in enumerate(runs):
        for other in range(i):
            shared = [
                name
                for name in run.results["methods"]
                if name in runs[other].results["methods"]
            ]
            seeds = run.settings["seed"], runs[other].settings["seed"]
            if shared and settings[i] == settings[other] and seeds[0] == seeds[1]:
                raise ValueError(
                    f"{run.folder} and {runs[other].folder} both hold {shared[0]} of "
                    f"seed {seeds[0]} with the same settings: leave one of them out"
                )


def variants_of(
    method: str,
    runs: Sequence[Run],
    settings: Sequence[Mapping[str, Any]],
    full_data: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """A method's variants, as `compare` describes them.

    Args:
        method: its name.
        runs: not all of which need to have trained it.
        settings: of each run, as `variant_settings` returns them.
        full_data: what runs without full data of their own are held against, by the
            method's name; empty for nothing.
    """
    grouped: list[tuple[dict[str, Any], dict[int, Mapping[str, Any]]]] = []
    for run, of_run in zip(runs, settings, strict=True):
        if method not in run.results["methods"]:
            continue
        read = read_by(of_run, [method])
        by_seed = next((found for own, found in grouped if own == read), None)
        if by_seed is None:
            grouped.append((read, by_seed := {}))
        entry = with_shares({**full_data, **run.results["methods"]})[method]
        by_seed.setdefault(run.settings["seed"], entry)
    differing = differing_settings([read for read, _ in grouped])
    names, variants = variant_names(differing), []
    for name, differs, (_, by_seed) in zip(names, differing, grouped, strict=True):
        figures = [figures_of(entry) for entry in by_seed.values()]
        variants.append(
            {
                "name": name,
                "settings": differs,
                "seeds": list(by_seed),
                "mean": merge(figures, statistics.fmean),
                "std": merge(figures, statistics.stdev) if len(figures) > 1 else {},
            }
        )
    return variants


def _only_full_data(
    runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Full data by its name, if only one training of it, whose seeds cost the same."""
    name = "full_data"
    trained = [
        (run.results["methods"][name], read_by(of_run, [name]))
        for run, of_run in zip(runs, settings, strict=True)
        if name in run.results["methods"]
    ]
    if not trained or any(read != trained[0][1] for _, read in trained):
        return {}
    return {name: trained[0][0]}


def read_by(settings: Mapping[str, Any], methods: Collection[str]) -> dict[str, Any]:
    """Settings by their full names, but for those that none of the methods reads."""
    sections = {name.split(".")[0]: None for name in settings}
    read = without_other_methods(sections, methods)
    if "mothernets" not in methods:
        read = {name: None for name in read if name not in _CLUSTERING}
    return {name: v for name, v in settings.items() if name.split(".")[0] in read}


def variant_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings by their full names, without those that make no variant.

    The architectures, whose notation is long, are one setting.
    """
    flat = without_harmless(settings)
    flat["architectures"] = dict(settings.get("architectures", {}))
    pending, found = list(flat.items()), {}
    while pending:
        name, value = pending.pop(0)
        if isinstance(value, Mapping) and name != "architectures":
            pending += [(f"{name}.{inner}", v) for inner, v in value.items()]
        elif name not in _NO_VARIANT:
            found[name] = value
    return found


def differing_settings(variants: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each variant, the settings that are not the same in all of them.

    What a run of an older version did not have is None.
    """
    names = dict.fromkeys(name for variant in variants for name in variant)
    return [
        {
            name: variant.get(name)
            for name in names
            if any(other.get(name) != variants[0].get(name) for other in variants)
        }
        for variant in variants
    ]


def variant_names(differing: Sequence[Mapping[str, Any]]) -> list[str]:
    """`budget.epochs=12, hatch.noise=0.6` for each variant; empty for the only one."""
    texts = [settings_text(settings) for settings in differing]
    names = []
    for i, text in enumerate(texts):
        same = texts[:i].count(text)
        names.append(f"{text} ({same + 1})" if same else text)
    return names


def figures_of(method: Mapping[str, Any]) -> dict[str, Any]:
    """What is averaged of a method's entry in `results.json`."""
    return {
        **{name: method[name] for name in _COMPARED if name in method},
        "members": dict(method["members"]),
        "cost": dict(method["cost"]),
        "clocks": dict(method["clocks"]),
        "anytime": anytime_points(method),
        "flops_before_members": flops_before_members(method),
    }


def merge(values: Sequence[Any], reduce: Callable[[Iterable[float]], float]) -> Any:
    """Trees of one structure made one tree, number by number.

    Args:
        values: dictionaries, lists and numbers; what is not in all of them, or is no
            number in some, is left out.
        reduce: from the numbers at one place to that of the result.

    Returns:
        None where there is nothing in common.
    """
    first = values[0]
    if all(isinstance(value, Mapping) for value in values):
        common = [key for key in first if all(key in value for value in values)]
        merged = {
            key: merge([value[key] for value in values], reduce) for key in common
        }
        return {key: value for key, value in merged.items() if value is not None}
    if all(isinstance(value, list) for value in values):
        if any(len(value) != len(first) for value in values):
            return None
        return [merge(places, reduce) for places in zip(*values, strict=True)]
    if all(_is_number(value) for value in values):
        return float(reduce(values))
    return None


def _is_number(value: Any) -> bool:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value)
