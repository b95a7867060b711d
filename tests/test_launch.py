"""The command line: clear messages for mistakes, and the plan."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIG = "--config=configs/vgg_ensemble.py"


def launch(*arguments):
    return subprocess.run(
        [sys.executable, "launch.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--config is missing"),
        ([CONFIG, "--config.seeed=3"], 'Did you mean "seed"'),
        ([CONFIG, "--config.seed=x"], "--config.seed=x"),
        ([CONFIG, "config.seed=3"], "stray argument 'config.seed=3'"),
        ([CONFIG, "--plann"], "plan"),
        ([CONFIG + ":digit"], "there is no preset 'digit'"),
        (["--config=configs/none.py"], "configs/none.py"),
        ([CONFIG, "--config.train.epochs=0"], "config.train.epochs is 0"),
        ([CONFIG, "--config.methods=('mothernet',)"], "did you mean 'mothernets'"),
        ([CONFIG + ":folder"], "--config.data.dir=PATH"),
        ([CONFIG + ":folder", "--config.data.dir=/no/such"], "/no/such"),
        ([CONFIG, "--config.num_clusters=99"], "num_clusters is 99"),
        ([CONFIG, "--config.train.batch_size=9999"], "batch_size is 9999"),
        ([CONFIG, "--workdir=README.md"], "README.md is a file"),
    ],
)
def test_a_mistake_gets_one_clear_line(arguments, message):
    done = launch(*arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [s for s in done.stderr.splitlines() if s.startswith("error: ")]
    assert message in line


@pytest.mark.parametrize("clusters", [1, 2, 5])
def test_the_plan_explains_and_trains_nothing(clusters, tmp_path):
    workdir = tmp_path / "run"
    done = launch(
        CONFIG, "--plan", f"--config.num_clusters={clusters}", f"--workdir={workdir}"
    )
    assert done.returncode == 0, done.stderr
    assert f"mothernet_{clusters}:" in done.stdout
    assert f"mothernet_{clusters + 1}:" not in done.stdout
    for word in ("inherited", "inserted", "stepped together", "training FLOPs"):
        assert word in done.stdout
    assert not workdir.exists()
