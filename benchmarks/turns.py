"""What the benchmarks share: contestants that take turns, and files of results."""

import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mothernets_jax.runs.provenance import provenance
from mothernets_jax.runtime.devices import device_name
from mothernets_jax.storage import files

# Takes a turn, waits until its results are there, and returns the seconds it took.
Contestant = Callable[[], float]


def timed(run: Callable[[], Any]) -> Contestant:
    """A contestant that calls a function and waits for the arrays it returns."""

    def turn() -> float:
        started = time.perf_counter()
        jax.block_until_ready(run())
        return time.perf_counter() - started

    return turn


def take_turns(
    contestants: Mapping[str, Contestant], repeats: int
) -> dict[str, list[float]]:
    """Seconds of every turn by contestant; the first, unmeasured turn warms up."""
    seconds = {name: [] for name in contestants}
    for turn in range(repeats + 1):
        for name, run in contestants.items():
            spent = run()
            if turn:
                seconds[name].append(spent)
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """The median turn of each contestant."""
    return {name: float(np.median(times)) for name, times in seconds.items()}


def write_results(path: str, results: Mapping[str, Any]) -> None:
    """Writes a benchmark's JSON file, headed by how and with what it was made."""
    out = Path(path)
    out.parent.mkdir(parents=True, exist_ok=True)
    made_with = provenance(command(), device_name())
    files.write_json(out, {"provenance": made_with, **results})


def command() -> str:
    """The command line; of absolute paths, which hold on one machine, only the ends."""
    module = f"benchmarks.{Path(sys.argv[0]).stem}"
    arguments = []
    for argument in sys.argv[1:]:
        flag, equals, value = argument.partition("=")
        if value.startswith("/"):
            argument = f"{flag}{equals}{Path(value).name}"
        arguments.append(argument)
    return shlex.join(["python", "-m", module, *arguments])
