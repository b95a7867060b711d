"""Where a whole run's time goes: a run of a config, timed part by part.

    python -m benchmarks.run_split --config=configs/vgg_ensemble.py:digits \
        --out=benchmarks/results/FILE.json [--workdir=DIR]

Training, evaluation, hatching and the wait for programs are the run's own clocks; the
rest is timed from outside, by wrapping the functions that do it. What remains (trials
of strategies, progress, metrics) is `other`. Importing the libraries comes before, and
is not counted. Stages side by side on several devices would count more than once: use
one. Programs come from the user's cache where they are there; --cold leaves it out.
"""

import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from absl import app, flags, logging
from ml_collections import config_flags
from rich.console import Console

from benchmarks.turns import write_results
from mothernets_jax import data, methods
from mothernets_jax.config.settings import Settings
from mothernets_jax.config.validation import from_config
from mothernets_jax.ensembles.ensemble import Ensemble
from mothernets_jax.runs import experiment
from mothernets_jax.runtime.compilation import use_persistent_cache
from mothernets_jax.storage import checkpoints

_CONFIG = config_flags.DEFINE_config_file("config", "configs/vgg_ensemble.py:digits")
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Run's folder; default: a temporary.")
_COLD = flags.DEFINE_bool("cold", False, "Compile everything: an empty cache.")

# The run's own clocks, added up over its methods.
CLOCKS = {
    "training": "train_seconds",
    "evaluation": "eval_seconds",
    "hatching": "hatch_seconds",
    "waiting for programs": "compile_wait_seconds",
}
# Functions without a clock: where they are looked up, and their name there.
OUTSIDE = {
    "data": ((data, "load"),),
    "saving": ((checkpoints, "save"), (Ensemble, "save")),
    "report": ((experiment, "write_report"),),
}


@contextmanager
def timed_from_outside(seconds: dict[str, float]) -> Iterator[None]:
    """Adds up the seconds of the functions in `OUTSIDE` while it is entered."""

    def wrapped(part: str, function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            result = function(*args, **kwargs)
            seconds[part] += time.perf_counter() - started
            return result

        return call

    with ExitStack() as stack:
        for part, functions in OUTSIDE.items():
            seconds[part] = 0.0
            for owner, name in functions:
                stack.enter_context(
                    mock.patch.object(owner, name, wrapped(part, getattr(owner, name)))
                )
        yield


def split(settings: Settings, workdir: Path) -> tuple[dict[str, float], dict]:
    """Seconds of every part of a run, and its results."""
    if (workdir / "config.json").exists():
        raise ValueError(f"{workdir} holds a run already: its time cannot be split")
    outside: dict[str, float] = {}
    started = time.perf_counter()
    with timed_from_outside(outside):
        results = experiment.run(
            settings,
            name="run_split",
            workdir=workdir,
            command="",
            console=Console(quiet=True),
        )
    whole = time.perf_counter() - started
    clocks = [method["clocks"] for method in results["methods"].values()]
    parts = {part: sum(c[key] for c in clocks) for part, key in CLOCKS.items()}
    parts |= outside
    return {**parts, "other": whole - sum(parts.values()), "whole": whole}, results


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    settings = from_config(_CONFIG.value, tuple(methods.METHODS))
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if _COLD.value:
            environment = {"XDG_CACHE_HOME": str(temporary / "cache")}
            stack.enter_context(mock.patch.dict("os.environ", environment))
        use_persistent_cache()
        workdir = Path(_WORKDIR.value) if _WORKDIR.value else temporary / "run"
        seconds, results = split(settings, workdir)
    for part, spent in seconds.items():
        print(f"{part:22} {spent:8.2f} s {spent / seconds['whole']:7.1%}")
    clocks = {name: method["clocks"] for name, method in results["methods"].items()}
    write_results(
        _OUT.value,
        {
            "settings": settings.to_json(),
            "cold": _COLD.value,
            "seconds": seconds,
            "shares": {p: spent / seconds["whole"] for p, spent in seconds.items()},
            "methods_clocks": clocks,
        },
    )


if __name__ == "__main__":
    app.run(main)
