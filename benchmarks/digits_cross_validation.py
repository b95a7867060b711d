"""MotherNets against full data on all 1,797 digits, by five-fold cross-validation.

    python -m benchmarks.digits_cross_validation --out=benchmarks/results/FILE.json

Every image is predicted once, by ensembles that were trained on the other four fifths.
The interval is for the difference of the two errors on the same images: the mean of
the images' differences (-1, 0 or 1) and 1.96 of its standard errors. Finished folds are
not repeated.
"""

from pathlib import Path

import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags

from benchmarks.turns import write_results
from mothernets_jax import Ensemble, data, methods
from mothernets_jax.config.identity import digest
from mothernets_jax.config.settings import Settings
from mothernets_jax.config.validation import from_config
from mothernets_jax.runs import experiment
from mothernets_jax.runtime.compilation import ProgramStore

_CONFIG = config_flags.DEFINE_config_file("config", "configs/vgg_ensemble.py:digits")
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_SCRATCH = flags.DEFINE_string("scratch", "runs/digits_folds", "Folder for the runs.")
_FOLDS = 5


def fold_settings(fold: int) -> Settings:
    config = _CONFIG.value.copy_and_resolve_references()
    config.data.fold = fold
    return from_config(config, tuple(methods.METHODS))


def run_fold(fold: int, store: ProgramStore) -> dict:
    """Each method's costs, and for every test image whether it was wrong."""
    settings = fold_settings(fold)
    workdir = Path(_SCRATCH.value, f"fold{fold}-{digest(settings)}")
    results = experiment.train_and_evaluate(
        settings,
        name=f"digits, fold {fold}",
        workdir=workdir,
        store=store,
    )
    dataset = data.load("digits", fold=fold)
    figures = {}
    for method, entry in results["methods"].items():
        scores = Ensemble.load(workdir, method).predict(dataset.test_images)
        wrong = scores.argmax(axis=1) != dataset.test_labels
        assert np.mean(wrong) == entry["ensemble"]["average"]["error"]
        figures[method] = {
            "wrong": wrong,
            "mean_member_error": entry["mean_member_error"],
            "oracle_error": entry["ensemble"]["oracle"]["error"],
            "train_flops": entry["cost"]["train_flops"],
            "train_seconds": entry["clocks"]["train_seconds"],
        }
    return figures


def summarise(folds: list[dict], method: str) -> dict:
    figures = [fold[method] for fold in folds]
    return {
        "error": float(np.concatenate([f["wrong"] for f in figures]).mean()),
        "error_by_fold": [float(f["wrong"].mean()) for f in figures],
        **{
            key: float(np.mean([f[key] for f in figures]))
            for key in (
                "mean_member_error",
                "oracle_error",
                "train_flops",
                "train_seconds",
            )
        },
    }


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    store = ProgramStore()
    folds = []
    for fold in range(_FOLDS):
        folds.append(run_fold(fold, store))
        errors = {name: f"{f['wrong'].mean():.2%}" for name, f in folds[-1].items()}
        print(f"fold {fold}: {errors}", flush=True)
    wrong = {
        method: np.concatenate([fold[method]["wrong"] for fold in folds]).astype(int)
        for method in ("mothernets", "full_data")
    }
    difference = wrong["mothernets"] - wrong["full_data"]
    margin = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    results = {
        "settings": fold_settings(0).to_json(),
        "images": len(difference),
        "methods": {method: summarise(folds, method) for method in wrong},
        "difference": float(difference.mean()),
        "interval_95": [
            float(difference.mean() - margin),
            float(difference.mean() + margin),
        ],
    }
    summaries = results["methods"]
    results["flops_ratio"] = (
        summaries["mothernets"]["train_flops"] / summaries["full_data"]["train_flops"]
    )
    for method, summary in summaries.items():
        print(
            f"{method}: error {summary['error']:.2%}, mean member "
            f"{summary['mean_member_error']:.2%}, {summary['train_flops']:.3e} FLOPs"
        )
    low, high = results["interval_95"]
    print(
        f"difference {results['difference']:+.2%} (95% interval {low:+.2%} to "
        f"{high:+.2%}) at {results['flops_ratio']:.0%} of full data's FLOPs"
    )
    write_results(_OUT.value, results)


if __name__ == "__main__":
    app.run(main)
