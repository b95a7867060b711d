"""Tune every method alike, then compare them over seeds: the frontier.

    python -m benchmarks.frontier --config=configs/pareto.py:folder_thin \
        --config.data.dir=IMAGES --plan=benchmarks/trials/frontier_digits.json \
        --out=benchmarks/results/FILE.json

The plan is a JSON file:

* `trials`: by method, equally many overrides each, tried at the config's budget under
  the overrides `tuning`, a seed; the least error on the validation split wins.
* `runs`: a name, a method and overrides each, such as a smaller budget, to be run with
  what has won and under each of the overrides `repeats`, other seeds, or folds.

Every run has a folder of its own, and one that is done is not repeated. Nothing is
chosen on the test set. `python -m mothernets_jax.report` makes a page of the folders.
"""

import json
from pathlib import Path

import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags
from rich.console import Console

from benchmarks.turns import write_results
from mothernets_jax import compilation, experiment, methods
from mothernets_jax.compilation import ProgramStore
from mothernets_jax.config import from_config

_CONFIG = config_flags.DEFINE_config_file("config")
_PLAN = flags.DEFINE_string(
    "plan", None, "JSON file of trials and runs.", required=True
)
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_SCRATCH = flags.DEFINE_string("scratch", "runs/frontier", "Folder for the runs.")


def run(method: str, overrides: dict, store: ProgramStore) -> tuple[dict, Path]:
    """One method's entry in `results.json`, and its run's folder."""
    config = _CONFIG.value.copy_and_resolve_references()
    with config.unlocked():
        config.update_from_flattened_dict({"methods": (method,), **overrides})
    settings = from_config(config, tuple(methods.METHODS))
    workdir = Path(_SCRATCH.value, f"{method}-{settings.digest()}")
    results = experiment.train_and_evaluate(
        settings,
        name=method,
        workdir=workdir,
        command="",
        console=Console(quiet=True),
        store=store,
    )
    return results["methods"][method], workdir


def tune(plan: dict, store: ProgramStore) -> dict[str, list[dict]]:
    """Every method's trials with their validation errors, the best one first.

    Raises:
        ValueError: methods with more trials than others.
    """
    counts = {method: len(trials) for method, trials in plan["trials"].items()}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"the plan has {counts} trials: expected equally many for every method"
        )
    tuned = {}
    for method, trials in plan["trials"].items():
        tried = []
        for overrides in trials:
            figures, _ = run(method, {**plan["tuning"], **overrides}, store)
            error = figures["validation"]["average"]["error"]
            tried.append({"overrides": overrides, "validation_error": error})
            print(f"{method} {overrides}: {error:.2%} of the validation split wrong")
        tuned[method] = sorted(tried, key=lambda trial: trial["validation_error"])
    return tuned


def figures_of(entry: dict) -> dict:
    """What the comparison is about."""
    average = entry["ensemble"]["average"]
    return {
        "error": average["error"],
        "nll": average["nll"],
        "ece": average["ece"],
        "mean_member_error": entry["mean_member_error"],
        "disagreement": entry["diversity"]["disagreement"],
        "train_flops": entry["cost"]["train_flops"],
        "epochs": entry["cost"]["epochs"],
        "train_seconds": entry["clocks"]["train_seconds"],
    }


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    compilation.use_persistent_cache()
    plan, store = json.loads(Path(_PLAN.value).read_text()), ProgramStore()
    tuned, rows = tune(plan, store), []
    for planned in plan["runs"]:
        method, repeats = planned["method"], []
        chosen = {**tuned[method][0]["overrides"], **planned["overrides"]}
        for repeat in plan["repeats"]:
            entry, workdir = run(method, {**chosen, **repeat}, store)
            folder = str(workdir.relative_to(_SCRATCH.value))
            repeats.append({**repeat, "folder": folder, **figures_of(entry)})
        mean = {
            name: float(np.mean([repeat[name] for repeat in repeats]))
            for name in figures_of(entry)
        }
        rows.append({**planned, "overrides": chosen, "mean": mean, "repeats": repeats})
        print(
            f"{planned['name']:40} error {mean['error']:.2%}, member "
            f"{mean['mean_member_error']:.2%}, disagreement {mean['disagreement']:.2%},"
            f" {mean['train_flops']:.3e} FLOPs",
            flush=True,
        )
        write_results(_OUT.value, {"trials": tuned, "runs": rows})


if __name__ == "__main__":
    app.run(main)
