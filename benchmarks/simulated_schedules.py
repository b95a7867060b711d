"""Ends of three graphs of stages, foretold and in real seconds, on two devices.

    python -m benchmarks.simulated_schedules --out=benchmarks/results/FILE.json

Needs two cores with nothing else on them, each of which is a device. Five small
networks on scikit-learn's digits: MotherNets in two clusters, networks from scratch,
and a teacher with those that it teaches. What is foretold is what `mothernets plan
--devices=2` tells: a few steps of each program are timed, alone, then the schedule is
played. What is measured is `scheduler.run_stages`, saving and all, in turns, after a
first run of each graph that compiles.
"""

import contextlib
import os
import tempfile
import time
from pathlib import Path

FLAGS = {
    "--xla_force_host_platform_device_count": "2",
    "--xla_cpu_multi_thread_eigen": "false",  # a core for each device
}
given = os.environ.get("XLA_FLAGS", "")  # before JAX starts
os.environ["XLA_FLAGS"] = " ".join(
    [given, *(f"{flag}={value}" for flag, value in FLAGS.items() if flag not in given)]
)

import jax
from absl import app, flags
from rich.console import Console

from benchmarks.turns import medians, take_turns, write_results
from configs import pareto, vgg_ensemble
from mothernets_jax.architectures import parse
from mothernets_jax.methods import read_settings
from mothernets_jax.runs.load_task import load_task
from mothernets_jax.runs.method_plans import method_plans
from mothernets_jax.runs.predicted import Prediction, predict
from mothernets_jax.runs.scheduler import run_stages
from mothernets_jax.runs.timed_here import TimesHere
from mothernets_jax.runtime.compilation import ProgramStore, use_persistent_cache
from mothernets_jax.runtime.interruption import Interruption
from mothernets_jax.runtime.progress import RunProgress
from mothernets_jax.stages.context import RunContext
from mothernets_jax.stages.stage import MethodPlan, planned_flops
from mothernets_jax.stages.strategy import StrategyMemory
from mothernets_jax.stages.task import Task

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_EPOCHS = flags.DEFINE_float("epochs", 900.0, "Budget of each graph, in epochs of C.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Runs of each graph that are timed.")
_SECONDS = flags.DEFINE_float("seconds", 4.0, "Seconds for timing each program.")
_GRAPHS = flags.DEFINE_list("graphs", [], "Methods of the graphs; default: all.")

NETWORKS = {
    "A": "vgg (3:12) | (3:24); batch_norm",
    "B": "vgg (3:16) | (3:32); batch_norm",
    "C": "vgg (3:16)x2 | (3:32); batch_norm",
    "D": "vgg (3:24)x2 | (3:48); batch_norm",
    "E": "vgg (3:24)x2 | (3:48)x2; batch_norm",
}
GRAPHS = {
    "MotherNets, two clusters": ("mothernets", {"num_clusters": 2}),
    "full data": ("full_data", {}),
    "distillation": ("distillation", {}),
}


def plan_of(method: str, changes: dict) -> tuple[MethodPlan, Task]:
    """The stages of a method, and their task."""
    networks = {name: parse(notation) for name, notation in NETWORKS.items()}
    config = vgg_ensemble.with_members(pareto.get_config("digits"), networks)
    config.update({"methods": (method,), **changes})
    config.budget.epochs = _EPOCHS.value
    settings = read_settings(config)
    task = load_task(settings)
    return method_plans(task, settings)[method], task


def run_seconds(plan: MethodPlan, task: Task, store: ProgramStore) -> float:
    """Seconds in which a run trains and saves the stages, in a folder of its own."""
    flops = sum(planned_flops(stage, task) for stage in plan.stages)
    console = Console(quiet=True)
    with tempfile.TemporaryDirectory() as folder, RunProgress(flops, console) as bars:
        context = RunContext(
            Path(folder), "auto", StrategyMemory(), store, bars, None, Interruption()
        )
        started = time.perf_counter()
        trained = run_stages(plan.stages, task, context)
        spent = time.perf_counter() - started
    assert not trained.left_out
    return spent


def describe(found: Prediction, seconds: list[float], median: float) -> dict:
    """What a graph's row of the results says."""
    return {
        "predicted_seconds": found.seconds,
        "measured_seconds": seconds,
        "predicted_by_measured": found.seconds / median,
        "chain_seconds": found.chain_seconds,
        "slots": {name: slot._asdict() for name, slot in found.slots.items()},
    }


def main(_argv: list[str]) -> None:
    use_persistent_cache()
    assert jax.device_count() == 2, "XLA_FLAGS asks for other devices"
    with contextlib.closing(ProgramStore()) as store:
        predictions, contestants = {}, {}
        for name, (method, changes) in GRAPHS.items():
            if method not in (_GRAPHS.value or [method]):
                continue
            plan, task = plan_of(method, changes)
            times = TimesHere(task, "auto", store, seconds=_SECONDS.value)
            predictions[name] = predict(plan, task, 2, times)
            contestants[name] = lambda p=plan, t=task: run_seconds(p, t, store)
        seconds = take_turns(contestants, _REPEATS.value)
    middle = medians(seconds)
    rows = {
        name: describe(predictions[name], seconds[name], middle[name])
        for name in predictions
    }
    for name, row in rows.items():
        print(
            f"{name}: {row['predicted_seconds']:.1f} s foretold, {middle[name]:.1f} s "
            f"measured, ratio {row['predicted_by_measured']:.3f}"
        )
    write_results(_OUT.value, {"xla_flags": FLAGS, "graphs": rows})


if __name__ == "__main__":
    app.run(main)
