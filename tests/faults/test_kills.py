"""Runs of every method, killed at random, end in the results of one that was not.

    MOTHERNETS_JAX_KILLS=100 python -m pytest -m slow tests/faults/test_kills.py

kills so many times in all, at most ten times a run.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_runs import without_clocks

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("MOTHERNETS_JAX_KILLS", "5"))
MOST_A_RUN = 10
CONFIG = "tests/faults/tiny.py"


def start(workdir, config=CONFIG):
    return subprocess.Popen(
        [sys.executable, "launch.py", f"--config={config}", f"--workdir={workdir}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(workdir, config=CONFIG):
    """Runs to the end; what is the same on a repeat, and the seconds it took."""
    started = time.monotonic()
    process = start(workdir, config)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    results = json.loads((workdir / "results.json").read_text())
    results["provenance"].pop("command")
    entries = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    key = ("stage", "epoch", "member")
    metrics = sorted(entries, key=lambda entry: [entry[name] for name in key])
    return without_clocks(results), without_clocks(metrics), time.monotonic() - started


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stops, after one that has filled the cache of programs."""
    finish(tmp_path_factory.mktemp("first") / "run")
    return finish(tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.slow
def test_killed_runs_end_in_the_same_results(whole, tmp_path, seed):
    *expected, seconds = whole
    draw, killed, runs = random.Random(seed), 0, 0
    while killed < KILLS:
        runs += 1
        workdir = tmp_path / str(runs)
        for _ in range(min(MOST_A_RUN, KILLS - killed)):
            process = start(workdir)
            try:
                process.communicate(timeout=draw.uniform(0.2, 0.7) * seconds)
                break  # it was done before it was killed
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                killed += 1
        *found, _ = finish(workdir)
        assert found == expected
        print(f"run {runs}: the same results; {killed} kills so far", flush=True)


@pytest.mark.slow
def test_killed_where_networks_are_left_out(tmp_path, seed):
    """Some stages save nothing but that they are done."""
    config = f"{CONFIG}:diverging"
    finish(tmp_path / "first", config)
    *expected, seconds = finish(tmp_path / "whole", config)
    stages = tmp_path.glob("whole/stages/*/*")
    assert sum(path.name == "variables" for path in stages) == 3  # of five
    draw = random.Random(seed)
    for _ in range(max(2, KILLS // 4)):
        process = start(tmp_path / "run", config)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=draw.uniform(0.3, 0.8) * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    *found, _ = finish(tmp_path / "run", config)
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_told_to_stop_it_saves_and_says_how_to_go_on(
    whole, tmp_path, seed, number, code
):
    """At any moment, also while it reads, writes or evaluates."""
    *expected, seconds = whole
    draw, stopped = random.Random(seed), 0
    for _ in range(max(2, KILLS // 10)):
        process = start(tmp_path / "run")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=draw.uniform(0.2, 0.8) * seconds)
            break  # it was done before
        process.send_signal(number)
        output, _ = process.communicate(timeout=120)
        assert "Traceback" not in output
        if process.returncode == -number:
            continue  # it had not begun: a shell says 143 or 130 of that, too
        assert process.returncode == code, output
        said = f"stopped by {number.name}; what was trained is saved"
        assert said in output
        stopped += 1
    assert stopped
    *found, _ = finish(tmp_path / "run")
    assert found == expected
