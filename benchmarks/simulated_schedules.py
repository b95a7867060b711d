"""Ends of three graphs of stages, foretold and in real seconds, on two devices.

    python -m benchmarks.simulated_schedules --out=benchmarks/results/FILE.json

Needs two cores with nothing else on them, each of which is a device. Five small
networks on scikit-learn's digits: MotherNets in two clusters, networks from scratch,
and a teacher with those that it teaches. What is foretold is what `mothernets plan
--devices=2` tells: a few steps of each program are timed, alone, then the schedule is
played. What is measured is `scheduler.run_stages`, saving and all, in turns, after
short runs of each graph that compile its programs for either device.
"""

import contextlib
import functools
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
from absl import app, flags, logging
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

COMPILING_EPOCHS = 60.0  # of the runs before
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


def plan_of(method: str, changes: dict, epochs: float) -> tuple[MethodPlan, Task]:
    """The stages of a method at a budget of so many epochs, and their task."""
    networks = {name: parse(notation) for name, notation in NETWORKS.items()}
    config = vgg_ensemble.with_members(pareto.get_config("digits"), networks)
    config.update({"methods": (method,), **changes})
    config.budget.epochs = epochs
    settings = read_settings(config)
    task = load_task(settings)
    return method_plans(task, settings)[method], task


def run_seconds(
    plan: MethodPlan, task: Task, store: ProgramStore, waits: list[float]
) -> float:
    """Seconds in which a run trains and saves the stages, in a folder of its own.

    Seconds of waiting for programs that no earlier run had compiled, which count, are
    added to `waits`.
    """
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
    clocks = [record["clocks"] for record in trained.records]
    waits.append(sum(clock["compile_wait_seconds"] for clock in clocks))
    return spent


def describe(
    found: Prediction, seconds: list[float], median: float, waits: list[float]
) -> dict:
    """What a graph's row of the results says."""
    return {
        "predicted_seconds": found.seconds,
        "measured_seconds": seconds,
        "compile_wait_seconds": waits[1:],  # without the first run's
        "predicted_by_measured": found.seconds / median,
        "chain_seconds": found.chain_seconds,
        "slots": {name: slot._asdict() for name, slot in found.slots.items()},
    }


def main(_argv: list[str]) -> None:
    logging.set_verbosity(logging.WARNING)
    use_persistent_cache()
    assert jax.device_count() == 2, "XLA_FLAGS asks for other devices"
    with contextlib.closing(ProgramStore()) as store:
        predictions, contestants, waits = {}, {}, {}
        for name, (method, changes) in GRAPHS.items():
            if method not in (_GRAPHS.value or [method]):
                continue
            short, task = plan_of(method, changes, COMPILING_EPOCHS)
            for devices in (task.devices, task.devices[::-1]):
                run_seconds(short, task._replace(devices=devices), store, [])
            plan, task = plan_of(method, changes, _EPOCHS.value)
            times = TimesHere(task, "auto", store, seconds=_SECONDS.value)
            predictions[name] = predict(plan, task, 2, times)
            own = waits[name] = []
            contestants[name] = functools.partial(run_seconds, plan, task, store, own)
        seconds = take_turns(contestants, _REPEATS.value)
    middle = medians(seconds)
    rows = {
        name: describe(predictions[name], seconds[name], middle[name], waits[name])
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
