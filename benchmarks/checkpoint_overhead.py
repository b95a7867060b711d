"""What saving unfinished work costs: runs with and without it, in turn.

    python -m benchmarks.checkpoint_overhead \
        --config=configs/vgg_ensemble.py:folder_thin --config.data.dir=IMAGES \
        --out=benchmarks/results/FILE.json [--repeats=3]

Each run is trained from nothing, with the config's interval and with one that never
comes. Compared are their seconds of training, which other work on the machine disturbs,
and those of the processor in the whole run, which it disturbs less. The saves are timed
themselves, too: for how long they held training up, and for how long the thread that
writes was at work. The sum of both, over training, is the most that saving can have
cost where the thread's work took a core from training.
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from absl import app, flags, logging
from ml_collections import config_flags

from benchmarks.turns import write_results
from mothernets_jax import methods
from mothernets_jax.config.settings import CheckpointSettings, Settings
from mothernets_jax.config.validation import from_config
from mothernets_jax.runs import experiment
from mothernets_jax.runtime.compilation import ProgramStore, use_persistent_cache
from mothernets_jax.stages.autosave import StageAutosave

_CONFIG = config_flags.DEFINE_config_file("config", "configs/vgg_ensemble.py:digits")
_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Runs of each kind.", lower_bound=1)

NEVER = 1e9  # seconds


@contextmanager
def timed_saves(seconds: dict[str, list[float]]) -> Iterator[None]:
    """Notes every save's seconds: those of the caller, and those of the thread."""

    def timed(name: str, function: Callable) -> Callable:
        def call(*args: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args)
            finally:
                seconds[name].append(time.perf_counter() - started)

        return call

    with ExitStack() as stack:
        for name, method in (("held up", "save"), ("writing", "_write")):
            seconds[name] = []
            wrapped = timed(name, getattr(StageAutosave, method))
            stack.enter_context(mock.patch.object(StageAutosave, method, wrapped))
        yield


def train(settings: Settings, store: ProgramStore) -> dict[str, Any]:
    """Training seconds of a run, and what its saves took."""
    saves: dict[str, list[float]] = {}
    before = time.process_time()
    with tempfile.TemporaryDirectory() as folder, timed_saves(saves):
        results = experiment.train_and_evaluate(
            settings,
            name="checkpoint_overhead",
            workdir=Path(folder) / "run",
            store=store,
        )
    clocks = [method["clocks"] for method in results["methods"].values()]
    training = sum(clock["train_seconds"] for clock in clocks)
    return {
        "interval_seconds": settings.checkpoint.interval_seconds,
        "train_seconds": training,
        "processor_seconds": time.process_time() - before,
        "saves": len(saves["writing"]),
        "held_up_seconds": sum(saves["held up"]),
        "writing_seconds": sum(saves["writing"]),
    }


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    use_persistent_cache()
    saving = from_config(_CONFIG.value, tuple(methods.METHODS))
    without = dataclasses.replace(saving, checkpoint=CheckpointSettings(NEVER))
    store = ProgramStore()
    one_epoch = dataclasses.replace(without.train, epochs=1)
    train(dataclasses.replace(without, train=one_epoch), store)  # compiles
    runs = []
    for turn in range(_REPEATS.value):
        both = (saving, without) if turn % 2 else (without, saving)
        runs += [train(settings, store) for settings in both]
        print(*runs[-2:], sep="\n", flush=True)
    with_saves = [r for r in runs if r["interval_seconds"] != NEVER]
    never = [r for r in runs if r["interval_seconds"] == NEVER]

    def ratio(key: str) -> float:
        """Of the medians with saves and without."""
        medians = [
            statistics.median(r[key] for r in kind) for kind in (with_saves, never)
        ]
        return medians[0] / medians[1]

    spent = sum(r["held_up_seconds"] + r["writing_seconds"] for r in with_saves)
    trained = sum(r["train_seconds"] for r in with_saves)
    found = {
        "training_with_saves_over_without": ratio("train_seconds"),
        "processor_with_saves_over_without": ratio("processor_seconds"),
        "held_up_share": sum(r["held_up_seconds"] for r in with_saves) / trained,
        "most_share": spent / trained,
    }
    for name, figure in found.items():
        print(f"{name:34} {figure:.4f}")
    settings = saving.to_json()
    settings["data"]["dir"] = Path(saving.data.dir).name
    write_results(_OUT.value, {"settings": settings, **found, "runs": runs})


if __name__ == "__main__":
    app.run(main)
