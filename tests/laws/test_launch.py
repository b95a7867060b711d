"""The command line: clear messages for mistakes, and the plan."""

import json
import os
import runpy
import subprocess
import sys

import pytest
from forked import LAUNCH, launch, launch_all
from PIL import Image

from configs.vgg_ensemble import get_config
from mothernets_jax.config.identity import digest
from mothernets_jax.methods import read_settings

EXAMPLE = "--config=configs/vgg_ensemble.py"
CONFIG = f"{EXAMPLE}:digits"


def error_of(done):
    """The one line with which a mistake is refused."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [s for s in done.stderr.splitlines() if s.startswith("error: ")]
    return line


# What a whole process makes of mistakes; more of them are in faults/test_bad_input.py.
MISTAKES = [
    ([], "--config is missing"),
    ([CONFIG, "--config.train.lr=3"], "did you mean config.train.learning_rate?"),
    ([CONFIG, "--config.seed=x"], "--config.seed=x"),
    ([CONFIG, "config.seed=3"], "stray argument 'config.seed=3'"),
    ([CONFIG, "--plann"], "plan"),
    ([EXAMPLE + ":digit"], "there is no preset 'digit'"),
    (["--config=configs/none.py"], "configs/none.py"),
    ([CONFIG, "--mirror=bucket/run"], "expected an URL such as s3://BUCKET/PREFIX"),
    ([EXAMPLE + ":folder", "--config.data.dir=/no/such"], "/no/such"),
    ([CONFIG, "--config.num_clusters=99"], "num_clusters is 99"),
    ([CONFIG, "--host=0"], "--coordinator and --num_hosts missing"),
    ([CONFIG, "--distributed"], "the hosts cannot be joined"),
]


@pytest.fixture(scope="module")
def refusals():
    """How each mistake is answered."""
    return launch_all([arguments for arguments, _ in MISTAKES])


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda i: MISTAKES[i][1])
def test_a_mistake_gets_one_clear_line(refusals, number):
    _, message = MISTAKES[number]
    assert message in error_of(refusals[number])


def test_the_plan_explains_and_trains_nothing(tmp_path):
    workdir = tmp_path / "run"
    done = launch(CONFIG, "--plan", "--config.num_clusters=2", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert "mothernet_2:" in done.stdout
    assert "mothernet_3:" not in done.stdout
    for word in ("inherited", "inserted", "stepped together", "training FLOPs"):
        assert word in done.stdout
    assert not workdir.exists()


def test_the_plan_touches_no_mirror(tmp_path):
    mirror = f"--mirror=file://{tmp_path}/mirror"
    done = launch(CONFIG, "--plan", mirror, f"--workdir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    assert not any(tmp_path.iterdir())


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    for part in ("train/ant", "train/bee", "test/ant", "test/bee"):
        (tmp_path / part).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / part / "0.png")
    broken = tmp_path / "train" / "bee" / "1.png"
    broken.write_bytes(b"not an image")
    done = launch(f"{EXAMPLE}:folder", f"--config.data.dir={tmp_path}", "--plan")
    assert str(broken) in error_of(done)


def test_the_folder_of_another_experiment_is_refused(tmp_path):
    settings = read_settings(get_config("digits")).to_json()
    other = json.dumps(settings | {"seed": 1, "replicas": 3})
    (tmp_path / "config.json").write_text(other)
    line = error_of(launch(CONFIG, f"--workdir={tmp_path}"))
    assert f"{tmp_path} holds another experiment: " in line
    assert "config.replicas is 3 there and 2 here; config.seed is 1 there" in line
    assert line.count(" there and ") == 2
    assert (tmp_path / "config.json").read_text() == other


TINY = """
from configs.vgg_ensemble import get_config as get_example

def get_config():
    config = get_example("digits")
    config.architectures = {"A": "mlp 6"}
    config.update_from_flattened_dict({
        "methods": ("full_data",),
        "replicas": 1,
        "train.epochs": 2,
        # Programs are then those of faults/smallest.py.
        "train.batch_size": 32,
        "data.train_examples": 256,
        "data.calibration_fraction": 0.1,
    })
    return config
"""


def test_a_run_and_the_same_command_again(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    config = runpy.run_path(str(tmp_path / "tiny.py"))["get_config"]()
    own_digest = digest(read_settings(config))  # of another process
    done = subprocess.run(
        [sys.executable, LAUNCH, "--config=tiny.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONHASHSEED": "1"},  # not the one of this process
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (workdir,) = (tmp_path / "runs").iterdir()
    assert workdir.name == f"tiny-{own_digest}"
    results = (workdir / "results.json").read_text()
    command = json.loads(results)["provenance"]["command"]
    assert command.endswith("launch.py --config=tiny.py")
    assert f"report: {workdir.relative_to(tmp_path) / 'report.html'}" in done.stdout
    assert "\x1b" not in done.stdout  # no bars, no colours
    assert "full_data-A: epoch 2/2, loss " in done.stderr
    assert (workdir / "report.html").exists()

    done = launch("--config=tiny.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{workdir.relative_to(tmp_path)} is done already" in done.stdout
    assert "epoch" not in done.stderr
    assert (workdir / "results.json").read_text() == results
