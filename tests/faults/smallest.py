"""The smallest runs, in this process: two networks that are hatched from one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from fake_runs import without_clocks
from faults.tiny import get_config
from unrendered import unrendered

import mothernets_jax as mn
from mothernets_jax.config.settings import Settings
from mothernets_jax.methods import read_settings
from mothernets_jax.report import write_report
from mothernets_jax.runs.experiment import train_and_evaluate
from mothernets_jax.runtime.compilation import ProgramStore

SETTINGS = read_settings(get_config("smallest"))
# Two methods, and the same of another seed, for finished runs that are damaged.
METHODS = ("mothernets", "full_data")
EPOCHS = {"train.epochs": 1, "hatch.epochs": 1, "budget.epochs": 6.0}
_STORE = ProgramStore()  # of all runs, so that the first alone compiles


def settings_of(**overrides) -> Settings:
    """The smallest run's settings with some others, named as in a config."""
    config = get_config("smallest")
    config.update_from_flattened_dict(overrides)
    return read_settings(config)


TWO_METHODS, OTHER_SEED = (
    settings_of(methods=METHODS, seed=seed, **EPOCHS) for seed in (0, 1)
)


def run(workdir: Path, settings: Settings = SETTINGS, *, report: bool = True) -> dict:
    """Trains what is not done yet, and makes the page, unrendered; the results."""
    results = train_and_evaluate(
        settings,
        name="tiny",
        workdir=workdir,
        store=_STORE,
    )
    if report:
        with unrendered():
            write_report(results, workdir)
    return results


def metrics_of(workdir: Path) -> list[dict]:
    """Every line of the metrics, what is the same on a repeat, in such an order."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    entries = [without_clocks(json.loads(line)) for line in lines]
    return sorted(entries, key=lambda entry: json.dumps(entry))


def ensembles(
    workdir: Path, refused: Callable[[Exception], Any] = str
) -> dict[str, Any]:
    """What each method's ensemble is, to the last bit, or why it cannot be loaded."""
    found = {}
    for method in METHODS:
        try:
            own = mn.Ensemble.load(workdir, method)
        except (ValueError, OSError) as error:
            found[method] = refused(error)
            continue
        variables = {n: m.variables for n, m in own.members.items()}
        found[method] = jax.tree.map(
            lambda leaf: np.asarray(leaf).tolist(),
            (variables, own.mean, own.std, own.weights, own.temperatures),
        )
    return found
