"""A comparison of finished runs: seeds averaged, other settings side by side.

Pure functions on dictionaries: the settings and the results that runs have written.
"""

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mothernets_jax.config.identity import result_relevant, without_other_methods
from mothernets_jax.ensembles.deep_ensembles import with_equivalent
from mothernets_jax.report.columns import with_shares
from mothernets_jax.report.finished_runs import Run, with_images
from mothernets_jax.report.paired_runs import paired_runs
from mothernets_jax.report.plots.series import anytime_points, flops_before_members
from mothernets_jax.report.plots.style import settings_text

# What makes no other experiment: the seed, where the data are, what else is trained.
_NO_VARIANT = ("seed", "methods", "data.dir", "data.ood_dir")
_CLUSTERING = ("num_clusters", "min_shared", "align")  # read by MotherNets alone
_COMPARED = ("ensemble", "validation", "mean_member_error", "diversity", "ood")


class VariantRuns(NamedTuple):
    """The runs of one variant of a method.

    Attributes:
        read: the settings that the method reads.
        by_seed: index of one run for each seed.
    """

    read: dict[str, Any]
    by_seed: dict[int, int]


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """Everything that the page of a comparison shows, but for trials.

    Args:
        runs: finished runs that share a test set.

    Returns:
        `name` and `data` of the first run. `runs`: for each its `folder` and `seed`, in
        words the settings in which it `differs` from others and which its methods read,
        `begun` where its MotherNet was trained before, its `methods`, the methods that
        `failed` and its provenance. `methods`: by name a list of variants, each with a
        `name` that tells the method's variants apart, the `settings` that differ
        between them, the `seeds`, and `mean` and `std` of every figure, with the
        structure of `results.json`. Runs are of one variant of a method if they agree
        in all settings that the method reads; where they agree in the seed, too, the
        first run counts. `paired`: differences between variants, as `paired_runs`
        describes them.

    Raises:
        ValueError: two runs with the same settings, seed and a method in common.
    """
    settings = with_images(runs, [variant_settings(run.settings) for run in runs])
    check_distinct(runs, settings)
    differing = differing_settings(settings)
    full_data = _only_full_data(runs, settings)
    references = deep_ensembles_of(runs, settings)
    methods = dict.fromkeys(name for run in runs for name in run.results["methods"])
    grouped = {name: grouped_by_variant(name, runs, settings) for name in methods}
    variants = {
        name: variants_of(name, own, runs, references, full_data)
        for name, own in grouped.items()
    }
    trained = {
        (name, variant["name"]): {seed: runs[n] for seed, n in own.by_seed.items()}
        for name in methods
        for variant, own in zip(variants[name], grouped[name], strict=True)
    }
    return {
        "name": runs[0].results["name"],
        "data": runs[0].results["data"],
        "runs": [
            {
                **run.results["provenance"],
                "folder": run.folder,
                "differs": settings_text(read_by(differs, run.results["methods"])),
                **({"begun": True} if _begins_trained(run) else {}),
                "seed": run.settings["seed"],
                "methods": list(run.results["methods"]),
                "failed": list(run.results.get("failed", {})),
                **({} if run.verified else {"unverified": True}),
            }
            for run, differs in zip(runs, differing, strict=True)
        ],
        "methods": variants,
        "paired": paired_runs(trained),
    }


def _begins_trained(run: Run) -> bool:
    """Tells whether a run's MotherNet was trained before, at a cost not counted."""
    mother = run.settings.get("mother")
    return (
        "mothernets" in run.results["methods"]
        and isinstance(mother, Mapping)
        and bool(mother.get("init"))
    )


def check_distinct(runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]) -> None:
    """Checks that no run is given twice.

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
    grouped: Sequence[VariantRuns],
    runs: Sequence[Run],
    references: Sequence[Mapping[str, Any]],
    full_data: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """A method's variants, as `compare` describes them.

    Args:
        method: name of the method.
        grouped: the runs of each variant, from `grouped_by_variant`.
        runs: finished runs, not all of which need to have trained the method.
        references: deep ensembles of each run, from `deep_ensembles_of`.
        full_data: the entry of full-data training by its name, with which the costs of
            runs that have none of their own are compared; empty for no comparison.
    """
    differing = differing_settings([each.read for each in grouped])
    names, variants = variant_names(differing), []
    for name, differs, each in zip(names, differing, grouped, strict=True):
        figures = []
        for number in each.by_seed.values():
            of_run = runs[number].results["methods"]
            entry = with_shares({**full_data, **of_run})[method]
            figures.append({**figures_of(entry), "deep_ensembles": references[number]})
        mean = merge(figures, statistics.fmean)
        variants.append(
            {
                "name": name,
                "settings": differs,
                "seeds": list(each.by_seed),
                "mean": with_equivalent(mean, mean["deep_ensembles"]),
                "std": merge(figures, statistics.stdev) if len(figures) > 1 else {},
            }
        )
    return variants


def grouped_by_variant(
    method: str, runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]
) -> list[VariantRuns]:
    """The runs of each variant of a method, one for a seed.

    Args:
        method: name of the method.
        runs: finished runs, not all of which need to have trained the method.
        settings: each run's settings, as `variant_settings` returns them.
    """
    grouped: list[VariantRuns] = []
    for number, (run, of_run) in enumerate(zip(runs, settings, strict=True)):
        if method not in run.results["methods"]:
            continue
        read = read_by(of_run, [method])
        own = next((each for each in grouped if each.read == read), None)
        if own is None:
            grouped.append(own := VariantRuns(read, {}))
        own.by_seed.setdefault(run.settings["seed"], number)
    return grouped


def _only_full_data(
    runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """The entry of full-data training by its name, if all runs of it cost the same."""
    name = "full_data"
    trained = [
        (run.results["methods"][name], read_by(of_run, [name]))
        for run, of_run in zip(runs, settings, strict=True)
        if name in run.results["methods"]
    ]
    if not trained or any(read != trained[0][1] for _, read in trained):
        return {}
    return {name: trained[0][0]}


def deep_ensembles_of(
    runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """For each run the deep ensembles that its methods are measured by.

    Args:
        runs: finished runs.
        settings: each run's settings, as `variant_settings` returns them.

    Returns:
        What a run's own full-data training has, or else that of another run with the
        same seed, data and architectures; empty for none, and where full-data training
        on such data was done in several ways.
    """
    curves = [
        run.results["methods"].get("full_data", {}).get("deep_ensembles", {})
        for run in runs
    ]
    found = []
    for run, of_run, own in zip(runs, settings, curves, strict=True):
        like = [n for n, curve in enumerate(curves) if curve]
        like = [n for n in like if _data_of(settings[n]) == _data_of(of_run)]
        ways = [read_by(settings[n], ["full_data"]) for n in like]
        seed = run.settings["seed"]
        same_seed = [curves[n] for n in like if runs[n].settings["seed"] == seed]
        if not own and same_seed and all(way == ways[0] for way in ways):
            own = same_seed[0]
        found.append(own)
    return found


def _data_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in settings.items()
        if name.startswith("data.") or name == "architectures"
    }


def read_by(settings: Mapping[str, Any], methods: Collection[str]) -> dict[str, Any]:
    """Settings by their full names, without those that none of the methods reads."""
    sections = {name.split(".")[0]: None for name in settings}
    read = without_other_methods(sections, methods)
    if "mothernets" not in methods:
        read = {name: None for name in read if name not in _CLUSTERING}
    return {name: v for name, v in settings.items() if name.split(".")[0] in read}


def variant_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings by their full names, without those that make no variant.

    The architectures, whose notation is long, are one setting.
    """
    flat = result_relevant(settings)
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
    """Settings of each variant that are not the same in all of them.

    A setting that a run of an older version did not have is None.
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
    """A name for each variant, such as `budget.epochs=12, hatch.noise=0.6`.

    The only variant has an empty name; of equal names, all but the first are numbered.
    """
    texts = [settings_text(settings) for settings in differing]
    names = []
    for i, text in enumerate(texts):
        same = texts[:i].count(text)
        names.append(f"{text} ({same + 1})" if same else text)
    return names


def figures_of(method: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a method's entry in `results.json` that seeds are averaged in."""
    return {
        **{name: method[name] for name in _COMPARED if name in method},
        "deep_ensemble_equivalent": _without_networks(method),
        "members": dict(method["members"]),
        "cost": dict(method["cost"]),
        "clocks": dict(method["clocks"]),
        "anytime": anytime_points(method),
        "flops_before_members": flops_before_members(method),
    }


def _without_networks(method: Mapping[str, Any]) -> dict[str, Any]:
    """A method's calibrated NLL; what that is worth is told of the mean over seeds."""
    own = method.get("deep_ensemble_equivalent", {})
    return {"nll": own["nll"]} if own else {}


def merge(values: Sequence[Any], reduce: Callable[[Iterable[float]], float]) -> Any:
    """Merges trees of one structure into one, number by number.

    Args:
        values: trees of dictionaries, lists and numbers; what is not in all of them, or
            is not a finite number in some, is left out.
        reduce: function from the numbers at one place of the trees to the merged one.

    Returns:
        The merged tree; None where the trees have nothing in common.
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
