"""Two processes as two hosts: what launch.py gives, goes on with, and refuses."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
TINY = """
from configs.vgg_ensemble import get_config as get_example

def get_config():
    config = get_example()
    config.architectures = {"A": "mlp 8; batch_norm", "B": "mlp 12 9; batch_norm"}
    config.methods = ("mothernets",)
    config.train.epochs = config.hatch.epochs = 2
    config.data.train_examples = 256
    return config
"""


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def start(*arguments, cwd, devices=1):
    flag = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, ROOT / "launch.py", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"XLA_FLAGS": flag, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Exit code, standard output and standard error."""
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def on_two_hosts(folder, *extra, own=((), ())):
    """Runs the tiny experiment on two hosts, each in a folder of its own."""
    both, port = [], free_port()
    for host in (0, 1):
        cwd = folder / f"host{host}"
        cwd.mkdir(exist_ok=True)
        (cwd / "tiny.py").write_text(TINY)
        meet = f"--coordinator=localhost:{port} --num_hosts=2 --host={host}".split()
        arguments = ["--config=tiny.py", "--workdir=run", *meet, *extra, *own[host]]
        both.append(start(*arguments, cwd=cwd))
    return [finish(process) for process in both]


def results_of(workdir):
    return json.loads((workdir / "results.json").read_text())["methods"]["mothernets"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which one host, and then two, have trained; and what those said."""
    folder = tmp_path_factory.mktemp("hosts")
    (folder / "tiny.py").write_text(TINY)
    arguments = ["--config=tiny.py", "--workdir=alone"]
    code, _, err = finish(start(*arguments, cwd=folder))
    assert code == 0, err
    said = on_two_hosts(folder)
    assert [code for code, _, _ in said] == [0, 0], said
    return folder, said


def check_same_results(two, one):
    assert [s["name"] for s in two["stages"]] == [s["name"] for s in one["stages"]]
    for mine, theirs in zip(two["stages"], one["stages"], strict=True):
        for member, history in theirs["history"].items():
            for figure in ("train_loss", "train_error"):
                np.testing.assert_allclose(
                    mine["history"][member][figure], history[figure], rtol=1e-3
                )
    assert two["cost"] == one["cost"]
    for combine, entry in one["ensemble"].items():
        assert two["ensemble"][combine]["error"] == pytest.approx(
            entry["error"], abs=0.01
        )


def test_two_hosts_learn_what_one_learns(trained):
    folder, _ = trained
    two = results_of(folder / "host0" / "run")
    check_same_results(two, results_of(folder / "alone"))


def test_the_first_host_alone_writes_and_speaks(trained):
    folder, ((_, out, err), (_, other_out, other_err)) = trained
    names = {path.name for path in (folder / "host0" / "run").iterdir()}
    assert {"config.json", "metrics.jsonl", "report.html", "results.json"} <= names
    assert not (folder / "host1" / "run").exists()
    assert "report: run/report.html" in out
    assert "report" not in other_out
    assert "training, up to 2 epochs" in err
    assert "epoch" not in other_err
    lines = (folder / "host0" / "run" / "metrics.jsonl").read_text().splitlines()
    one = (folder / "alone" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == len(one)


def test_an_interrupted_run_goes_on_and_a_finished_one_is_done(trained):
    folder, _ = trained
    workdir = folder / "host0" / "run"
    before = results_of(workdir)
    (workdir / "results.json").unlink()
    last = before["stages"][-1]["name"]
    shutil.rmtree(workdir / "stages" / last)
    (code, _, err), (other, _, _) = on_two_hosts(folder)
    assert code == other == 0, err
    assert f"{last}: training" in err
    assert err.count(": done already") == len(before["stages"]) - 1
    assert err.count(": training, up to") == 1
    after = results_of(workdir)
    assert after["stages"][-1]["history"] == before["stages"][-1]["history"]
    assert after["ensemble"] == before["ensemble"]

    (code, out, err), (other, other_out, _) = on_two_hosts(folder)
    assert code == other == 0, err
    assert "Everything in run is done already" in out
    assert "done already" not in other_out
    assert "training" not in err
