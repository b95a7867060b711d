"""The rate of epochs that are added to a finished run, chosen on the validation split.

    python -m benchmarks.growing_peak --out=benchmarks/results/growing_peak.json

Three small VGGs on digits, hatched and from scratch, are trained for two numbers of
epochs, then grow by further ones, whose largest rate is a share of the members' own.
Four tenths of the training images validate; the test images are not looked at. Finished
runs are not repeated.
"""

from pathlib import Path
from unittest import mock

import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags

from benchmarks.turns import write_results
from mothernets_jax import Ensemble, methods
from mothernets_jax.config.settings import Settings
from mothernets_jax.config.validation import from_config
from mothernets_jax.methods import grown
from mothernets_jax.runs import experiment
from mothernets_jax.runs.growing import growing_run
from mothernets_jax.runs.read_data import read_dataset
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.runtime.devices import memory_bytes

_CONFIG = config_flags.DEFINE_config_file("config", "configs/vgg_ensemble.py:digits")
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_SCRATCH = flags.DEFINE_string("scratch", "runs/growing_peak", "Folder for the runs.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds 0, 1, ...", lower_bound=1)

PEAKS = (1.0, 0.3, 0.1, 0.03)
FURTHER = (3, 10)
TRAINED = {"short": (10, 5), "long": (40, 20)}  # epochs from scratch, after hatching
MEMBERS = {
    "A": "vgg (3:8) | (3:16); dense 32; batch_norm",
    "B": "vgg (3:8)x2 | (3:16); dense 32; batch_norm",
    "C": "vgg (3:12) | (3:24); dense 32; batch_norm",
}


def settings_of(seed: int, epochs: tuple[int, int]) -> Settings:
    config = _CONFIG.value.copy_and_resolve_references()
    config.update(
        {
            "seed": seed,
            "replicas": 1,
            "strategy": "loop",
            "data": {"validation_fraction": 0.4},
            "train": {"epochs": epochs[0]},
            "hatch": {"epochs": epochs[1]},
        }
    )
    with config.unlocked():
        config.architectures = MEMBERS
    return from_config(config, tuple(methods.METHODS))


def figures(workdir: Path, settings: Settings) -> dict[str, dict[str, float]]:
    """Each method's figures on the validation images, which trained nothing."""
    dataset = read_dataset(settings, memory_bytes())
    found = {}
    for method in settings.methods:
        measured = Ensemble.load(workdir, method).evaluate(
            dataset.validation_images, dataset.validation_labels
        )
        own = measured["ensemble"]["average"]
        errors = [member["error"] for member in measured["members"].values()]
        found[method] = {
            "error": own["error"],
            "nll": own["nll"],
            "mean_member_error": float(np.mean(errors)),
        }
    return found


def run_seed(seed: int, name: str, store: ProgramStore) -> list[dict]:
    """A finished run, and all that grow from it: a row each."""
    source = Path(_SCRATCH.value, f"{name}-{seed}")
    settings = settings_of(seed, TRAINED[name])
    experiment.train_and_evaluate(settings, name=name, workdir=source, store=store)
    rows = [{"further_epochs": 0, "peak": None, **figures(source, settings)}]
    for epochs in FURTHER:
        for peak in PEAKS:
            workdir = Path(f"{source}-plus{epochs}-{peak:g}")
            found = growing_run(source, epochs=epochs, workdir=workdir)
            with mock.patch.object(grown, "_PEAK", peak):
                experiment.train_and_evaluate(
                    found.settings,
                    name=name,
                    workdir=workdir,
                    store=store,
                    source=source,
                )
            row = {"further_epochs": epochs, "peak": peak}
            rows.append(row | figures(workdir, settings))
    return [{"trained": name, "seed": seed, **row} for row in rows]


def means(rows: list[dict], keys: tuple[str, ...]) -> list[dict]:
    """Each figure's mean over the rows that are alike in all keys."""
    found = []
    for key in dict.fromkeys(tuple(row[k] for k in keys) for row in rows):
        alike = [row for row in rows if tuple(row[k] for k in keys) == key]
        mean = {
            method: {
                figure: float(np.mean([row[method][figure] for row in alike]))
                for figure in alike[0][method]
            }
            for method in _CONFIG.value.methods
        }
        found.append({**dict(zip(keys, key, strict=True)), **mean})
    return found


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    store, rows = ProgramStore(), []
    for name in TRAINED:
        for seed in range(_SEEDS.value):
            rows += run_seed(seed, name, store)
            print(*rows[-len(PEAKS) * len(FURTHER) - 1 :], sep="\n", flush=True)
            grown_rows = [row for row in rows if row["further_epochs"]]
            results = {
                "by_peak": means(grown_rows, ("peak",)),
                "by_condition": means(rows, ("trained", "further_epochs", "peak")),
                "runs": rows,
            }
            write_results(_OUT.value, results)


if __name__ == "__main__":
    app.run(main)
