"""Two recipes for one network, over several seeds, on the validation split.

    python -m benchmarks.recipe_trials --architecture=V13 \
        --baseline=configs/vgg_ensemble.py:folder_thin --baseline.data.dir=IMAGES \
        --candidate=configs/vgg_ensemble.py:folder_thin --candidate.data.dir=IMAGES \
        --candidate.train.label_smoothing=0.2 --out=benchmarks/results/FILE.json

Seeds are paired, and the interval of the mean difference is Student's. A run that is
done is not repeated, so one baseline serves many candidates.
"""

import dataclasses
from pathlib import Path

import numpy as np
import scipy.stats
from absl import app, flags, logging
from ml_collections import config_flags

from benchmarks.turns import write_results
from mothernets_jax import methods
from mothernets_jax.config.identity import digest
from mothernets_jax.config.settings import Settings
from mothernets_jax.config.validation import from_config
from mothernets_jax.runs import experiment
from mothernets_jax.runtime import compilation
from mothernets_jax.runtime.compilation import ProgramStore

_BASELINE = config_flags.DEFINE_config_file("baseline")
_CANDIDATE = config_flags.DEFINE_config_file("candidate")
_ARCHITECTURE = flags.DEFINE_string("architecture", "V13", "The one that is trained.")
_SEEDS = flags.DEFINE_list("seeds", ["1", "2", "3", "4", "5"], "Of the paired runs.")
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_SCRATCH = flags.DEFINE_string("scratch", "runs/trials", "Folder for the runs.")


def one_network(config, seed: int) -> Settings:
    """A config's settings, for one network from scratch."""
    settings = from_config(config, tuple(methods.METHODS))
    name = _ARCHITECTURE.value
    return dataclasses.replace(
        settings,
        seed=seed,
        methods=("full_data",),
        architectures={name: settings.architectures[name]},
        replicas=1,
        num_clusters=None,
        min_shared=None,
    )


def run(settings: Settings, store: ProgramStore) -> dict:
    """One run's validation error and what it cost."""
    results = experiment.train_and_evaluate(
        settings,
        name="trial",
        workdir=Path(_SCRATCH.value, digest(settings)),
        store=store,
    )
    figures = results["methods"]["full_data"]
    (member,) = figures["members"].values()
    return {
        "seed": settings.seed,
        "validation_error": member["validation_error"],
        "train_flops": figures["cost"]["train_flops"],
        "train_seconds": figures["clocks"]["train_seconds"],
    }


def compare(baseline: list[dict], candidate: list[dict]) -> dict:
    """The candidate's error minus the baseline's, paired by seed.

    The interval of a single pair is `None`.
    """
    pairs = zip(candidate, baseline, strict=True)
    differences = np.array(
        [one["validation_error"] - other["validation_error"] for one, other in pairs]
    )
    interval = None
    if len(differences) > 1:
        interval = scipy.stats.t.interval(
            0.95, len(differences) - 1, differences.mean(), scipy.stats.sem(differences)
        )
        interval = [float(end) for end in interval]
    return {"mean": float(differences.mean()), "interval_95": interval}


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    compilation.use_persistent_cache()
    configs = {"baseline": _BASELINE.value, "candidate": _CANDIDATE.value}
    runs = {name: [] for name in configs}
    store = ProgramStore()
    for seed in map(int, _SEEDS.value):
        for name, config in configs.items():
            runs[name].append(run(one_network(config, seed), store))
            print(f"seed {seed}, {name}: {runs[name][-1]}", flush=True)
        difference = compare(runs["baseline"], runs["candidate"])
        print(f"difference: {difference}", flush=True)
        settings = {
            name: one_network(config, seed).to_json()
            for name, config in configs.items()
        }
        write_results(
            _OUT.value,
            {
                "settings_of_the_last_seed": settings,
                "runs": runs,
                "difference": difference,
            },
        )


if __name__ == "__main__":
    app.run(main)
