"""Two processes as two hosts: what launch.py gives, goes on with, and refuses."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_runs import without_clocks
from forked import LAUNCH, Forked

from mothernets_jax.runtime.distributed import together

ROOT = Path(__file__).parents[2]
TINY = """
from configs.vgg_ensemble import get_config as get_example

def get_config():
    config = get_example("digits")
    config.architectures = {"A": "mlp 8; batch_norm", "B": "mlp 12 9; batch_norm"}
    config.methods = ("mothernets",)
    config.train.epochs = config.hatch.epochs = 2
    config.hatch.noise = 0.0
    config.data.train_examples = 256
    config.data.crop_padding = 0
    return config
"""


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def start_process(*arguments, cwd=ROOT):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(started):
    """Exit code, standard output and standard error."""
    if isinstance(started, Forked):
        done = started.finish(240)
        return done.returncode, done.stdout, done.stderr
    out, err = started.communicate(timeout=240)
    return started.returncode, out, err


def start_two_hosts(folder, *arguments, start=Forked):
    """Starts the tiny experiment on two hosts, each in a folder of its own."""
    both, port = [], free_port()
    for host in (0, 1):
        cwd = folder / f"host{host}"
        cwd.mkdir(exist_ok=True)
        (cwd / "tiny.py").write_text(TINY)
        meet = f"--coordinator=localhost:{port} --num_hosts=2 --host={host}".split()
        given = "--config=tiny.py", "--workdir=run", *meet, *arguments
        both.append(start(LAUNCH, *given, cwd=cwd))
    return both


def on_two_hosts(folder, *arguments):
    """The same, to its end."""
    return [finish(process) for process in start_two_hosts(folder, *arguments)]


def results_of(workdir):
    return json.loads((workdir / "results.json").read_text())["methods"]["mothernets"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which one host and two have trained, and what the two said.

    And one host with four devices, on which stages run side by side.
    """
    folder = tmp_path_factory.mktemp("hosts")
    (folder / "tiny.py").write_text(TINY)
    # One after another: the second finds what the first has compiled.
    alone = Forked(LAUNCH, "--config=tiny.py", "--workdir=alone", cwd=folder)
    alone = finish(alone)
    said = on_two_hosts(folder)
    four = Forked(
        LAUNCH,
        "--config=tiny.py",
        "--workdir=four",
        "--config.strategy=vmap",
        cwd=folder,
        XLA_FLAGS=os.environ.get("XLA_FLAGS", "")
        + " --xla_force_host_platform_device_count=4",
    )
    for code, _, err in (alone, finish(four)):
        assert code == 0, err
    assert [code for code, _, _ in said] == [0, 0], said
    return folder, said


def check_same_results(several, one):
    assert [s["name"] for s in several["stages"]] == [s["name"] for s in one["stages"]]
    for mine, theirs in zip(several["stages"], one["stages"], strict=True):
        for member, history in theirs["history"].items():
            found = mine["history"][member]
            np.testing.assert_allclose(
                found["train_loss"], history["train_loss"], rtol=1e-3
            )
            np.testing.assert_allclose(  # of 256 images, a few may tip over
                found["train_error"], history["train_error"], atol=0.01
            )
    assert several["cost"] == one["cost"]
    for combine, entry in one["ensemble"].items():
        assert several["ensemble"][combine]["error"] == pytest.approx(
            entry["error"], abs=0.01
        )


def test_two_hosts_learn_what_one_learns(trained):
    folder, _ = trained
    two = results_of(folder / "host0" / "run")
    check_same_results(two, results_of(folder / "alone"))


def test_four_devices_learn_what_one_learns(trained):
    folder, _ = trained
    check_same_results(results_of(folder / "four"), results_of(folder / "alone"))


def test_the_first_host_alone_writes_and_speaks(trained):
    folder, ((_, out, err), (_, other_out, other_err)) = trained
    names = {path.name for path in (folder / "host0" / "run").iterdir()}
    written = {"config.json", "data.json", "metrics.jsonl", "report.html"}
    assert written | {"results.json"} <= names
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
    mine, theirs = (without_clocks(own["stages"][-1]) for own in (after, before))
    assert mine["history"] == theirs["history"]
    assert after["ensemble"] == before["ensemble"]

    (code, out, err), (other, other_out, _) = on_two_hosts(folder)
    assert code == other == 0, err
    assert "Everything in run is done already" in out
    assert "done already" not in other_out
    assert "training" not in err


@pytest.mark.slow
def test_told_to_stop_both_hosts_stop_and_go_on(tmp_path):
    """A pre-emption notice reaches one of them alone; it is not the one that saves."""
    longer = ('--config.methods=("full_data",)', "--config.train.epochs=60")
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    assert [code for code, _, _ in on_two_hosts(tmp_path / "whole", *longer)] == [0, 0]
    both = start_two_hosts(tmp_path / "stopped", *longer, start=start_process)
    assert any("epoch 6/" in line for line in both[0].stderr)
    both[1].send_signal(signal.SIGTERM)
    for code, _, err in map(finish, both):
        assert code == 143, err
        assert "stopped by SIGTERM; what was trained is saved" in err
        assert "Traceback" not in err
    (code, _, err), (other, _, _) = on_two_hosts(tmp_path / "stopped", *longer)
    assert code == other == 0, err
    assert "goes on in epoch" in err
    found, expected = (
        json.loads((tmp_path / name / "host0" / "run" / "results.json").read_text())
        for name in ("stopped", "whole")
    )
    assert without_clocks(found["methods"]) == without_clocks(expected["methods"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, 2, 0), "--coordinator missing: expected"),
        (("first:1234", None, None), "--num_hosts and --host missing: expected"),
        (("first", 2, 0), "--coordinator=first: expected HOST:PORT"),
        (("first:123456", 2, 0), "a port from 1 to 65535"),
        (("first:1234", 2, 2), "--host=2 --num_hosts=2: expected a number from 0 to 1"),
    ],
)
def test_flags_that_cannot_be_meant(given, message):
    with pytest.raises(ValueError, match=message), together(False, *given):
        pass


def test_a_port_in_use():
    with socket.create_server(("", 0)) as used:
        address = f"localhost:{used.getsockname()[1]}"
        with (
            pytest.raises(ValueError, match="host 0 cannot listen on port"),
            together(False, address, 2, 0),
        ):
            pass


def test_a_host_does_not_wait_for_ever(tmp_path):
    program = """
import sys
from mothernets_jax.runtime.distributed import together
with together(False, sys.argv[1], 2, 1, seconds=2):
    print("met")
"""
    (tmp_path / "program.py").write_text(program)
    started = Forked(tmp_path / "program.py", f"localhost:{free_port()}")
    code, out, err = finish(started)
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: host 1 of 2 at localhost:")
    assert "waited 2 s for the others: start the same command on every host" in line


def test_hosts_agree_and_one_that_fails_ends_all():
    port = free_port()
    script = ROOT / "tests" / "scripts" / "two_hosts.py"
    processes = [Forked(script, f"localhost:{port}", host) for host in (0, 1)]
    both = [finish(process) for process in processes]
    found = [json.loads(out.splitlines()[-1]) for _, out, _ in both]
    assert [each.pop("own") for each in found] == [0, 1]
    assert found[0] == found[1]
    assert found[0] == {
        "told": {"name": "host 0", "figure": 0.1},
        "clock": 2.0,
        "arrays": {"a": [[0.5] * 3] * 2, "b": [0, 1, 2]},
        "held_here": True,
        "first_failed": "no space on 0",
        "one_failed": "host 1: no space on 1",
        "same": None,
        "different": "the words of host 1 differ from those of host 0: give every "
        "host the same command, the same code and the same data",
    }
    (first, _, _), (second, _, err) = both
    assert second == 2
    assert "error: host 1: the disk is gone" in err
    assert "Traceback" not in err
    assert first != 0  # by JAX, which misses host 1
