"""The smallest runs, in this process: two networks that are hatched from one."""

import json
from pathlib import Path

from fake_runs import without_clocks
from faults.tiny import get_config

from mothernets_jax.config.settings import Settings
from mothernets_jax.methods import read_settings
from mothernets_jax.report import write_report
from mothernets_jax.runs.experiment import train_and_evaluate
from mothernets_jax.runtime.compilation import ProgramStore

SETTINGS = read_settings(get_config("smallest"))
_STORE = ProgramStore()  # of all runs, so that the first alone compiles


def settings_of(**overrides) -> Settings:
    """The smallest run's settings with some others, named as in a config."""
    config = get_config("smallest")
    config.update_from_flattened_dict(overrides)
    return read_settings(config)


def run(workdir: Path, settings: Settings = SETTINGS, *, report: bool = True) -> dict:
    """Trains what is not done yet, and makes the page; the results."""
    results = train_and_evaluate(
        settings,
        name="tiny",
        workdir=workdir,
        store=_STORE,
    )
    if report:
        write_report(results, workdir)
    return results


def metrics_of(workdir: Path) -> list[dict]:
    """Every line of the metrics, what is the same on a repeat, in such an order."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    entries = [without_clocks(json.loads(line)) for line in lines]
    return sorted(entries, key=lambda entry: json.dumps(entry))
