"""A comparison of finished runs: seeds averaged, other settings side by side.

Pure functions on dictionaries: the settings and the results that runs have written.
"""

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from mothernets_jax.report.columns import with_shares
from mothernets_jax.report.finished_runs import Run
from mothernets_jax.report.series import anytime_points, flops_before_members
from mothernets_jax.settings import without_harmless, without_other_methods

# What makes no other experiment: the seed, where the data are, what else is trained.
_NO_VARIANT = ("seed", "methods", "data.dir")
_COMPARED = ("ensemble", "validation", "mean_member_error", "diversity", "ood")


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """Everything that the page of a comparison shows.

    Args:
        runs: that share a test set.

    Returns:
        `data` of the first run; `runs`, each with its variant; `variants`, each with
        the `settings` that differ and its `methods`: a `name`, the `seeds`, and `mean`
        and `std` of every figure, with the structure of `results.json`. The name tells
        variants of one method apart, and is empty where there is one.

    Raises:
        ValueError: two runs of a method with the same settings and seed.
    """
    settings = [variant_settings(run.settings) for run in runs]
    distinct = [s for i, s in enumerate(settings) if s not in settings[:i]]
    differing = differing_settings(distinct)
    variants = []
    for own, differs in zip(distinct, differing, strict=True):
        seeds = [run for run, s in zip(runs, settings, strict=True) if s == own]
        variants.append({"settings": differs, "methods": average_seeds(seeds)})
    _name_variants(variants)
    return {
        "name": runs[0].results["name"],
        "data": runs[0].results["data"],
        "runs": [
            {
                "folder": run.folder,
                "variant": settings_text(
                    _read_by(differing[distinct.index(own)], run.results["methods"])
                ),
                "seed": run.settings["seed"],
                "methods": list(run.results["methods"]),
                **run.results["provenance"],
            }
            for run, own in zip(runs, settings, strict=True)
        ],
        "variants": variants,
    }


def _name_variants(variants: Sequence[dict[str, Any]]) -> None:
    """Names each method's variants by what differs between them, and is read by it."""
    for method in dict.fromkeys(m for variant in variants for m in variant["methods"]):
        own = [variant for variant in variants if method in variant["methods"]]
        read = [_read_by(variant["settings"], [method]) for variant in own]
        names = variant_names(differing_settings(read))
        for variant, name in zip(own, names, strict=True):
            variant["methods"][method]["name"] = name


def _read_by(settings: Mapping[str, Any], methods: Collection[str]) -> dict[str, Any]:
    """Settings by their full names, but for those that none of the methods reads."""
    sections = {name.split(".")[0]: None for name in settings}
    read = without_other_methods(sections, methods)
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
    names: list[str] = []
    for settings in differing:
        name = settings_text(settings)
        same = sum(other == name for other in names)
        names.append(f"{name} ({same + 1})" if same else name)
    return names


def settings_text(settings: Mapping[str, Any]) -> str:
    """`budget.epochs=12, hatch.noise=none`: settings by their full names."""
    return ", ".join(f"{key}={_value(value)}" for key, value in settings.items())


def _value(value: Any) -> str:
    """A setting in a few characters."""
    if isinstance(value, Mapping):
        return "+".join(value)
    if isinstance(value, list):
        return "+".join(map(str, value))
    return "none" if value is None or value == "" else str(value)


def average_seeds(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """`seeds`, `mean` and `std` of every method that any of the runs has trained.

    Args:
        runs: of the same settings but for the seed.

    Raises:
        ValueError: two of them have a method and the seed in common.
    """
    trained: dict[int, dict[str, Mapping[str, Any]]] = {}  # by seed, and by method
    folders: dict[tuple[int, str], str] = {}
    for run in runs:
        seed = run.settings["seed"]
        for name, method in run.results["methods"].items():
            other = folders.setdefault((seed, name), run.folder)
            if name in trained.setdefault(seed, {}):
                raise ValueError(
                    f"{run.folder} and {other} both hold {name} of seed {seed} with "
                    "the same settings: leave one of them out"
                )
            trained[seed][name] = method
    shared = {seed: with_shares(methods) for seed, methods in trained.items()}
    averaged = {}
    for name in dict.fromkeys(name for methods in shared.values() for name in methods):
        seeds = [seed for seed, methods in shared.items() if name in methods]
        figures = [figures_of(shared[seed][name]) for seed in seeds]
        averaged[name] = {
            "seeds": seeds,
            "mean": merge(figures, statistics.fmean),
            "std": merge(figures, statistics.stdev) if len(seeds) > 1 else {},
        }
    return averaged


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
