"""Try MotherNets' settings on the validation split; the test set is not looked at.

    python -m benchmarks.validation_trials --config=configs/vgg_ensemble.py:digits \
        --trials=benchmarks/trials/digits.json --out=benchmarks/results/FILE.json

The trials' file holds `repeats`, a list of overrides to average over (folds, seeds),
and `trials`, a name and overrides each, such as {"hatch.noise": 0.1}. A MotherNet is
trained once for all trials that only differ in how its members are hatched.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags

from benchmarks.turns import write_results
from mothernets_jax import methods
from mothernets_jax.config.identity import digest
from mothernets_jax.config.settings import Settings
from mothernets_jax.config.validation import from_config
from mothernets_jax.runs import experiment
from mothernets_jax.runtime.compilation import ProgramStore

_CONFIG = config_flags.DEFINE_config_file("config")
_TRIALS = flags.DEFINE_string("trials", None, "JSON file of trials.", required=True)
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_SCRATCH = flags.DEFINE_string("scratch", "runs/trials", "Folder for the runs.")


def mother_folder(settings: Settings, unhatched: Settings) -> Path:
    """Where the MotherNets are kept of all settings that differ in hatching only."""
    same = dataclasses.replace(settings, hatch=unhatched.hatch)
    return Path(_SCRATCH.value, "mothers", digest(same))


def run_trial(overrides: dict, store: ProgramStore) -> dict:
    """One run's figures on the validation split."""
    config = _CONFIG.value.copy_and_resolve_references()
    with config.unlocked():
        config.update_from_flattened_dict(overrides)
    settings = from_config(config, tuple(methods.METHODS))
    workdir = Path(_SCRATCH.value, digest(settings))
    unhatched = from_config(_CONFIG.value, tuple(methods.METHODS))
    kept = mother_folder(settings, unhatched)
    if (
        kept / "stages"
    ).exists() and not workdir.exists():  # with the record of their data
        shutil.copytree(kept, workdir)
    results = experiment.train_and_evaluate(
        settings,
        name="trial",
        workdir=workdir,
        store=store,
    )
    for folder in workdir.glob("stages/mothernets-mothernet_?"):
        if not (kept / "stages" / folder.name).exists():
            shutil.copytree(folder, kept / "stages" / folder.name)
            if (workdir / "data.json").exists():
                shutil.copy2(workdir / "data.json", kept)
    (figures,) = results["methods"].values()
    members = figures["members"].values()
    return {
        "validation_error": figures["validation"]["average"]["error"],
        "oracle_error": figures["validation"]["oracle"]["error"],
        "mean_member_error": float(np.mean([m["validation_error"] for m in members])),
        "train_flops": figures["cost"]["train_flops"],
    }


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    plan = json.loads(Path(_TRIALS.value).read_text())
    store = ProgramStore()
    trials = []
    for trial in plan["trials"]:
        runs = [
            run_trial({**trial["overrides"], **repeat}, store)
            for repeat in plan["repeats"]
        ]
        means = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        trials.append({**trial, "mean": means, "runs": runs})
        print(
            f"{trial['name']:40} validation error {means['validation_error']:.2%}, "
            f"member {means['mean_member_error']:.2%}, oracle "
            f"{means['oracle_error']:.2%}, {means['train_flops']:.3e} FLOPs",
            flush=True,
        )
        write_results(_OUT.value, {"repeats": plan["repeats"], "trials": trials})


if __name__ == "__main__":
    app.run(main)
