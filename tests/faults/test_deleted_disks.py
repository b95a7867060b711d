"""Runs whose disks are deleted go on from a mirror on an S3 server to the same bits.

    MOTHERNETS_JAX_DISKS=10 python -m pytest -m "extras or slow" \
        tests/faults/test_deleted_disks.py

deletes so many.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_runs import without_clocks
from s3_server import new_bucket, s3_server

ROOT = Path(__file__).parents[2]
DISKS = int(os.environ.get("MOTHERNETS_JAX_DISKS", "10"))
CONFIG = "tests/faults/tiny.py"
pytestmark = pytest.mark.extras


@pytest.fixture(scope="module", autouse=True)
def server():
    with s3_server() as server:
        yield server


def start(workdir, preset, *arguments):
    config = f"--config={CONFIG}:{preset}"
    command = [sys.executable, "launch.py", config, f"--workdir={workdir}", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(workdir, preset, *arguments):
    """Runs to the end; what is the same on a repeat."""
    process = start(workdir, preset, *arguments)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    results = json.loads((workdir / "results.json").read_text())
    results["provenance"].pop("command")
    entries = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    key = ("stage", "epoch", "member")
    metrics = sorted(entries, key=lambda entry: [entry[name] for name in key])
    return without_clocks(results), without_clocks(metrics)


def stop(workdir, preset, mirror, number, wait_seconds):
    """Ends a run with a signal, some time after it began to train; its output.

    Returns:
        Its exit code and output; None where it was done before.
    """
    process = start(workdir, preset, f"--mirror={mirror}")
    while process.poll() is None and not (workdir / "metrics.jsonl").exists():
        time.sleep(0.01)
    try:
        process.wait(wait_seconds)
        return None
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def test_a_preempted_job_comes_back_on_an_empty_disk(tmp_path):
    """SIGTERM, the disk gone, and a new process: the same bits."""
    expected = finish(tmp_path / "whole", "smallest")
    mirror = new_bucket()
    code, output = stop(tmp_path / "run", "smallest", mirror, signal.SIGTERM, 0.2)
    assert code == 143, output
    assert output.splitlines()[-1].endswith("the same command goes on from there")
    shutil.rmtree(tmp_path / "run")
    assert finish(tmp_path / "run", "smallest", f"--mirror={mirror}") == expected


def test_a_server_that_is_gone_at_the_end_is_told(server, tmp_path):
    mirror = new_bucket()
    code, output = stop(tmp_path / "run", "smallest", mirror, signal.SIGTERM, 0.0)
    assert code == 143, output
    with s3_server():  # another one, without the bucket
        process = start(tmp_path / "other", "smallest", f"--mirror={mirror}")
        output, _ = process.communicate()
    assert process.returncode == 2
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert f"the mirror {mirror} cannot be used" in line
    assert "bucket does not exist" in line
    assert not (tmp_path / "other" / "metrics.jsonl").exists()


@pytest.mark.slow
def test_deleted_at_random_again_and_again(tmp_path, seed):
    started = time.monotonic()
    expected = finish(tmp_path / "whole", "every_method")
    seconds = time.monotonic() - started
    draw, mirror, codes = random.Random(seed), new_bucket(), []
    workdir = tmp_path / "run"
    for number in range(DISKS):
        sent = (signal.SIGKILL, signal.SIGTERM)[number % 2]
        wait_seconds = draw.uniform(0.0, 1.5 * seconds / DISKS)
        found = stop(workdir, "every_method", mirror, sent, wait_seconds)
        shutil.rmtree(workdir)
        if found is not None:
            codes.append(found[0])
            assert found[0] in (-9, 143), found[1]
    assert finish(workdir, "every_method", f"--mirror={mirror}") == expected
    print(f"{len(codes)} disks deleted while it trained: exit codes {codes}")
