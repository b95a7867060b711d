"""Tune every method alike, then compare them over seeds: the frontier.

    python -m benchmarks.frontier --config=configs/pareto.py:folder_thin \
        --config.data.dir=IMAGES --plan=benchmarks/trials/frontier_digits.json \
        --out=benchmarks/results/FILE.json [--plot=docs/images/FILE.png]

The plan is a JSON file:

* `trials`: by method, equally many overrides each, tried at the config's budget; the
  least error on the validation split wins.
* `runs`: a name, a method and overrides each, such as a smaller budget, to be run with
  what has won and under each of the overrides `repeats`, other seeds, or folds.
* `tuning`: the overrides, a seed, that the trials are run under. Without it they are
  run under each of `repeats`, for which wins what is best on its own validation split:
  where the repeats are folds, nested cross-validation.

A run's figures go into a file of their own, in a folder beside FILE.json and of its
name, and a run whose figures are there is not repeated: on another machine, too, so
that a long comparison can be made in pieces. With --only some methods are run alone, by
one of several processes, and neither FILE.json nor the plot is written. Nothing is
chosen on a run's own test set. The runs' folders, in --scratch, can be put on a page by
`python -m mothernets_jax.report`, as far as they share a test set, and with its
--trials=FILE.json the trials, too.
"""

import json
from pathlib import Path

import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags

from benchmarks import frontier_plot
from benchmarks.turns import write_results
from mothernets_jax import methods
from mothernets_jax.config.identity import (
    digest_of,
    identifying,
    without_other_methods,
)
from mothernets_jax.config.settings import Settings
from mothernets_jax.config.validation import from_config
from mothernets_jax.runs import experiment
from mothernets_jax.runtime import compilation
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.storage import files

_CONFIG = config_flags.DEFINE_config_file("config")
_PLAN = flags.DEFINE_string(
    "plan", None, "JSON file of trials and runs.", required=True
)
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_PLOT = flags.DEFINE_string("plot", None, "PNG file of the plot; default: none.")
_ONLY = flags.DEFINE_list("only", [], "Methods; default: all of the plan's.")
_SCRATCH = flags.DEFINE_string("scratch", "runs/frontier", "Folder for the runs.")


def settings_of(method: str, overrides: dict) -> Settings:
    """The config's, with those of one run."""
    config = _CONFIG.value.copy_and_resolve_references()
    with config.unlocked():
        config.update_from_flattened_dict({"methods": (method,), **overrides})
    return from_config(config, tuple(methods.METHODS))


def name_of(method: str, settings: Settings) -> str:
    """The method and a digest of its settings, without those of other methods.

    Wherever the images are, only their folder's name counts.
    """
    used = without_other_methods(identifying(settings.to_json()), (method,))
    used["data"] |= {"dir": Path(settings.data.dir).name}
    return f"{method}-{digest_of(used)}"


def run(method: str, overrides: dict, store: ProgramStore) -> dict:
    """One run's figures, its folder, and the device and commit that made it."""
    settings = settings_of(method, overrides)
    name = name_of(method, settings)
    kept = Path(_OUT.value).with_suffix("") / f"{name}.json"
    if not kept.exists():
        results = experiment.train_and_evaluate(
            settings,
            name=method,
            workdir=Path(_SCRATCH.value, name),
            store=store,
        )
        entry = results["methods"][method]
        figures = figures_of(entry)
        networks = {"validation_errors": validation_errors(entry)}
        write_results(
            str(kept), {"overrides": overrides, "figures": figures, **networks}
        )
        print(f"{name} {overrides}: {figures['error']:.2%} wrong", flush=True)
    found = files.read_json(kept)
    made = {n: found["provenance"][n] for n in ("device", "commit")}
    return {"folder": name, **made, **found["figures"]}


def _chosen(trials: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """Those of the methods in --only, in its order, if it is given."""
    return {name: trials[name] for name in _ONLY.value} if _ONLY.value else trials


def tune(plan: dict, store: ProgramStore) -> dict[str, list[dict]]:
    """Every method's trials with their validation errors, one for each tuning.

    Raises:
        ValueError: methods with more trials than others.
    """
    counts = {method: len(trials) for method, trials in plan["trials"].items()}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"the plan has {counts} trials: expected equally many for every method"
        )
    tunings = [plan["tuning"]] if "tuning" in plan else plan["repeats"]
    tuned = {}
    for method, trials in _chosen(plan["trials"]).items():
        tuned[method] = tried = []
        for overrides in trials:
            errors = [
                run(method, {**tuning, **overrides}, store)["validation_error"]
                for tuning in tunings
            ]
            tried.append({"overrides": overrides, "validation_errors": errors})
            percents = ", ".join(f"{error:.2%}" for error in errors)
            print(f"{method} {overrides}: {percents} of the validation split wrong")
    return tuned


def best_of(trials: list[dict], repeat: int) -> dict:
    """The overrides that have won for one of the repeats.

    Args:
        trials: one method's, with validation errors of each repeat, or of one tuning.
        repeat: its index.
    """
    tuning = repeat if len(trials[0]["validation_errors"]) > 1 else 0
    best = min(trials, key=lambda trial: trial["validation_errors"][tuning])
    return best["overrides"]


def run_repeats(
    plan: dict, planned: dict, trials: list[dict], store: ProgramStore
) -> dict:
    """One of the plan's runs: its figures in each repeat, and their mean.

    Args:
        plan: with the repeats.
        planned: a name, a method and overrides.
        trials: of the method, with validation errors.
        store: compiled programs.
    """
    repeats, found = [], []
    for i, repeat in enumerate(plan["repeats"]):
        chosen = {**best_of(trials, i), **planned["overrides"]}
        figures = run(planned["method"], {**chosen, **repeat}, store)
        repeats.append({**repeat, "chosen": chosen, **figures})
        found.append({n: f for n, f in figures.items() if not isinstance(f, str)})
    # Files of older versions do not say how long hatching took, and one network alone
    # has nothing to disagree with.
    shared = [name for name in found[0] if all(f.get(name) is not None for f in found)]
    mean = {name: float(np.mean([f[name] for f in found])) for name in shared}
    return {**planned, "mean": mean, "repeats": repeats}


def figures_of(entry: dict) -> dict:
    """What the comparison is about."""
    average = entry["ensemble"]["average"]
    return {
        "validation_error": entry["validation"]["average"]["error"],
        "error": average["error"],
        "nll": average["nll"],
        "ece": average["ece"],
        "mean_member_error": entry["mean_member_error"],
        "disagreement": entry["diversity"]["disagreement"],
        "train_flops": entry["cost"]["train_flops"],
        "epochs": entry["cost"]["epochs"],
        "train_seconds": entry["clocks"]["train_seconds"],
        "hatch_seconds": entry["clocks"]["hatch_seconds"],
    }


def validation_errors(entry: dict) -> dict[str, float]:
    """Of every network after its last epoch: MotherNets and teachers, too."""
    return {
        name: history["validation_error"][-1]
        for stage in entry["stages"]
        for name, history in stage["history"].items()
        if history["validation_error"]  # none where it diverged at once
    }


def read_plan() -> dict:
    """The plan, and the flags that go with it, checked before anything is trained."""
    plan = json.loads(Path(_PLAN.value).read_text())
    if unknown := set(_ONLY.value) - set(plan["trials"]):
        raise app.UsageError(
            f"--only={','.join(sorted(unknown))}: expected some of the plan's methods, "
            f"{', '.join(plan['trials'])}"
        )
    if not _CONFIG.value.data.validation_fraction:
        raise app.UsageError(
            "config.data.validation_fraction is 0, and trials are chosen on the "
            "validation split: give it some images, 0.1, say"
        )
    return plan


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    compilation.use_persistent_cache()
    plan, store = read_plan(), ProgramStore()
    tuned, rows = tune(plan, store), []
    for planned in plan["runs"]:
        if planned["method"] not in tuned:
            continue
        row = run_repeats(plan, planned, tuned[planned["method"]], store)
        mean = row["mean"]
        rows.append(row)
        print(
            f"{planned['name']:40} error {mean['error']:.2%}, member "
            f"{mean['mean_member_error']:.2%}, NLL {mean['nll']:.3f}, "
            f"{mean['train_flops']:.3e} FLOPs",
            flush=True,
        )
    if not _ONLY.value:
        write_results(_OUT.value, {"trials": tuned, "runs": rows})
        if _PLOT.value:
            frontier_plot.draw(rows, _PLOT.value)


if __name__ == "__main__":
    app.run(main)
