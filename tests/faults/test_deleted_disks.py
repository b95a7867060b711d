"""Runs whose disks are deleted go on from a mirror on an S3 server to the same bits.

    MOTHERNETS_JAX_DISKS=20 python -m pytest -m extras \
        tests/faults/test_deleted_disks.py

deletes so many at random.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import time

import pytest
from fake_runs import without_clocks
from forked import LAUNCH, Forked
from s3_server import new_bucket, s3_server

DISKS = int(os.environ.get("MOTHERNETS_JAX_DISKS", "10"))
LONG = (
    "--config.methods=('mothernets', 'full_data')",
    "--config.train.epochs=200",
    "--config.hatch.epochs=200",
    "--config.budget.epochs=800.0",
)
pytestmark = pytest.mark.extras


@pytest.fixture
def mirror():
    with s3_server():
        yield new_bucket()


def start(workdir, *arguments):
    config = "--config=tests/faults/tiny.py:smallest"
    return Forked(LAUNCH, config, f"--workdir={workdir}", *arguments)


def finish(workdir, *arguments):
    """Runs to the end; what is the same on a repeat."""
    done = start(workdir, *arguments).finish()
    assert done.returncode == 0, done.stderr
    results = json.loads((workdir / "results.json").read_text())
    results["provenance"].pop("command")
    entries = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    key = ("stage", "epoch", "member")
    metrics = sorted(entries, key=lambda entry: [entry[name] for name in key])
    return without_clocks(results), without_clocks(metrics)


def start_to_train(workdir, mirror, *arguments):
    """A run that has trained an epoch since it was started, or is done."""
    process = start(workdir, f"--mirror={mirror}", *arguments)
    metrics, seen = workdir / "metrics.jsonl", set()
    while process.runs() and len(seen) < 2:
        with contextlib.suppress(FileNotFoundError):
            seen.add(metrics.stat().st_size)
        time.sleep(0.01)
    return process


def test_a_preempted_job_comes_back_on_an_empty_disk(mirror, tmp_path):
    """SIGTERM, the disk gone, and a new process: the same bits."""
    expected, workdir = finish(tmp_path / "whole"), tmp_path / "run"
    process = start_to_train(workdir, mirror)
    os.kill(process.pid, signal.SIGTERM)
    done = process.finish()
    assert done.returncode == 143, done.stderr
    assert done.stderr.splitlines()[-1].endswith("the same command goes on from there")
    shutil.rmtree(workdir)
    assert finish(workdir, f"--mirror={mirror}") == expected


def test_a_server_that_goes_away_costs_no_work(tmp_path):
    with s3_server():
        mirror = new_bucket()
        process = start_to_train(tmp_path / "run", mirror)
    done = process.finish()
    assert (tmp_path / "run" / "results.json").is_file()
    assert done.returncode == 75, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: everything is done and saved in")
    assert f"the mirror {mirror} is behind (EndpointConnectionError: " in last


def test_a_bucket_that_is_not_there_is_told_at_the_start(mirror, tmp_path):
    done = start(tmp_path / "run", "--mirror=s3://none/run").finish()
    assert done.returncode == 2
    (line,) = [s for s in done.stderr.splitlines() if s.startswith("error: ")]
    assert "the mirror s3://none/run cannot be used" in line
    assert "bucket does not exist" in line
    assert not (tmp_path / "run" / "stages").exists()


@pytest.mark.slow
def test_deleted_at_random_again_and_again(mirror, tmp_path, seed):
    started = time.monotonic()
    expected = finish(tmp_path / "whole", *LONG)
    seconds = time.monotonic() - started
    draw, workdir, codes = random.Random(seed), tmp_path / "run", []
    while len(codes) < DISKS:
        process = start_to_train(workdir, mirror, *LONG)
        time.sleep(draw.uniform(0.0, 1.5 * seconds / DISKS))
        if not process.runs():
            break  # it was done before
        os.kill(process.pid, draw.choice((signal.SIGKILL, signal.SIGTERM)))
        done = process.finish()
        assert done.returncode in (-9, 143), done.stderr
        codes.append(done.returncode)
        shutil.rmtree(workdir)
    assert finish(workdir, f"--mirror={mirror}", *LONG) == expected
    print(f"{len(codes)} disks deleted; the processes' exit codes: {codes}")
