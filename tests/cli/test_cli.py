"""The command `mothernets`: what it says, how it ends, and that it is quick."""

import csv
import importlib.metadata
import json
import subprocess
import sys

import numpy as np
import pytest
from forked import ROOT
from PIL import Image

from mothernets_jax.cli import export, predict
from mothernets_jax.cli.main import main
from mothernets_jax.config.settings import Settings
from mothernets_jax.ensembles.ensemble import Ensemble
from mothernets_jax.runs import experiment as running

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

SLOW = ("jax", "jaxlib", "flax", "optax", "orbax")
SMALL = "architectures={'A': 'mlp 4', 'B': 'mlp 6'}"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Twenty bright and twenty dark images, and a file that is none."""
    folder = tmp_path_factory.mktemp("images")
    for name, level in (("dark", 20), ("light", 220)):
        (folder / name).mkdir()
        for number in range(20):
            pixels = np.full((8, 8, 3), level + number, np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "dark" / "notes.txt").write_text("not an image")
    return folder


def in_process(command):
    given = {"capture_output": True, "text": True, "cwd": ROOT}
    return subprocess.run(command, check=False, **given)


@pytest.fixture(scope="module")
def without_jax(images):
    """A plan, then a page that is refused, in one process; what it has imported."""
    code = (
        "import sys; from mothernets_jax.cli.main import main; "
        "codes = main(['plan', sys.argv[1]]), main(['report', sys.argv[1]]); "
        f"print('ended', *codes, [m for m in {SLOW} if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(images)]
    return in_process(command)


def test_plans_and_pages_need_no_jax(without_jax):
    assert "ended 0 2 []" in without_jax.stdout, without_jax.stderr
    assert without_jax.stderr.splitlines()[-1].startswith("error: ")


def test_the_plan_of_a_folder_shows_its_images(without_jax):
    said = " ".join(without_jax.stdout.split())
    # Of 40 images a fifth of each class tests, a tenth of the others validates.
    for words in (
        "29 training images of 8x8 pixels, 2 classes",
        "notes.txt",
        "│ train │ 29 │ 14 ('",
        "│ test │ 8 │ 4 ('dark')",
        "classes: dark, light",
        "mothernet_1:",
        "training FLOPs",
    ):
        assert words in said


def test_the_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    try:
        assert importlib.metadata.version("mothernets-jax") in said
    except importlib.metadata.PackageNotFoundError:
        assert "checkout" in said


PLAN = ("plan", "--experiment=pareto")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan"], "nothing to work on"),
        (["train"], "nothing to work on"),
        (["plan", "/no/such"], "'/no/such' is no folder"),
        (["plan", "--experiment=vgg"], "no experiment 'vgg'"),
        (["plan", "--experiment=vgg_ensemble:x"], "no preset 'x'"),
        (["plan", "--config=none.py"], "no config file none.py"),
        (
            ["plan", "--experiment=pareto", "--set", "train.lr=1"],
            "train.learning_rate?",
        ),
        (["plan", "--experiment=pareto", "--set", "seed=x"], "--set seed=x"),
        (["plan", "--experiment=pareto", "--set", "seed"], "expected FIELD=VALUE"),
        (["plan", "--experiment=pareto", "--set", "seed=-1"], "config.seed is -1"),
        ([*PLAN, "--devices=0"], "--devices=0: expected a number from 1 to 1,024"),
        ([*PLAN, "--devices=2", "--device=A7"], "was timed on a device 'A7': expected"),
        ([*PLAN, "--devices=2", "--device="], "was timed on a device '': expected"),
        ([*PLAN, "--devices=2", "--price=-1"], "--price=-1.0: expected the dollars"),
        ([*PLAN, "--device=H100"], "expected --devices=N"),
        ([*PLAN, "--devices=2", "--measure"], "no --measure"),
        (
            [*PLAN, "--devices=2", "--device=H100", "--set", "precision=float32"],
            "steps in bfloat16 were timed",
        ),
        (["compare", "a"], "expected two runs or more"),
        (["predict", "run", "a.png", "--output=a.txt"], "ends in .csv"),
        (["predict", "/no/such", "a.png"], "holds no trained ensemble"),
        (["export", "/no/such", "a.onnx"], "holds no trained ensemble"),
        (["export", "run", "a.safetensors"], "or --format=safetensors, which writes"),
        (["export", "run", "a.onnx", "--license=mit"], "expected --format=safetensors"),
    ],
)
def test_a_mistake_gets_one_line_and_code_2(arguments, words, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert words in error


def test_a_plan_for_a_machine_that_is_not_here():
    command = [sys.executable, "-m", "mothernets_jax", *PLAN]
    command += ["--devices=8", "--device=h100", "--price=2.5"]
    done = in_process(command)
    said = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stderr
    for words in (
        "training on 8 x NVIDIA H100 80GB HBM3",
        "│ prune_and_tune │",
        "Price: $2.5 for an hour",
        "first_look_h100.json",
        "was not timed and is not counted",
    ):
        assert words in said


def test_several_methods_are_shown_as_they_are_typed_here(capsys):
    assert (
        main(["plan", "--experiment=pareto", "--set", "methods=mothernets full_data"])
        == 2
    )
    assert "--set methods=\"('mothernets', 'full_data')\"" in capsys.readouterr().err


def test_training_on_a_folder_hands_the_settings_on(images, tmp_path, monkeypatch):
    """What is chosen, what is given, and the run's name, folder and command."""
    seen = []

    def run(settings, **given):
        seen.append((settings, given))

    monkeypatch.setattr(running, "run", run)
    monkeypatch.setattr(sys, "argv", ["mothernets", "train", "IMAGES"])
    given = ["--set", SMALL, "--set", "config.train.learning_rate=0.05"]
    assert main(["train", str(images), *given, f"--workdir={tmp_path / 'run'}"]) == 0
    ((settings, own),) = seen
    assert isinstance(settings, Settings)
    assert settings.architectures == {"A": "mlp 4", "B": "mlp 6"}
    assert settings.train.learning_rate == 0.05
    assert (settings.data.name, settings.data.dir) == ("folder", str(images))
    assert settings.methods == ("mothernets",)
    assert own["workdir"] == tmp_path / "run"
    assert (own["name"], own["command"]) == (images.name, "mothernets train IMAGES")


class FakePredictions:
    """Stands for predictions of files: one that is read, one that is not."""

    def __init__(self, rows):
        self.rows, self.failed = rows, [("b.png", "it is empty")]

    def write_csv(self, path):
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["path"], *self.rows])


@pytest.mark.parametrize(("rows", "code"), [([["a.png"]], 0), ([], 1)])
def test_predictions_are_written_and_what_failed_is_named(
    rows, code, tmp_path, monkeypatch, capsys
):
    asked = []

    class Fake:
        def predict_files(self, paths, **options):
            asked.append((list(paths), options))
            return FakePredictions(rows)

    monkeypatch.setattr(predict, "load_ensemble", lambda path, method: Fake())
    table = tmp_path / "table.csv"
    arguments = ["predict", "run", "a.png", "b.png", f"--output={table}"]
    given = ["--combine=vote", "--calibrated", "--resize=pad"]
    assert main([*arguments, *given]) == code
    options = {"combine": "vote", "calibrated": True, "batch_size": 512}
    options["resize"] = "pad"
    assert asked == [(["a.png", "b.png"], options)]
    assert table.read_text().splitlines()[0] == "path"
    said = capsys.readouterr()
    assert said.err == "warning: b.png: it is empty\n"
    assert said.out.startswith(f"{len(rows)} files predicted")


def test_an_ensemble_is_exported_as_the_arguments_say(monkeypatch, capsys):
    asked = []

    class Fake:
        def export(self, path, **options):
            asked.append((path, options))

    def load(path, method):
        asked.append((path, method))
        return Fake()

    monkeypatch.setattr(export, "load_ensemble", load)
    assert main(["export", "run", "a.onnx"]) == 0
    given = ["--method=full_data", "--combine=vote", "--calibrated"]
    assert main(["export", "run", "b.onnx", *given]) == 0
    assert asked == [
        ("run", None),
        ("a.onnx", {"combine": "average", "calibrated": False}),
        ("run", "full_data"),
        ("b.onnx", {"combine": "vote", "calibrated": True}),
    ]
    assert capsys.readouterr().out == "exported: a.onnx\nexported: b.onnx\n"


@pytest.mark.extras
def test_an_export_for_hubs_has_the_figures_of_the_run(finished_runs, tmp_path, capsys):
    run, out = finished_runs[0] / "run", tmp_path / "mine"
    given = ["--method=mothernets", "--format=safetensors", "--license=mit"]
    assert main(["export", str(run), str(out), *given]) == 0
    assert capsys.readouterr().out == f"exported: {out}\n"
    config = json.loads((out / "config.json").read_text())
    results = json.loads((run / "results.json").read_text())
    found = results["methods"]["mothernets"]["ensemble"]["average"]
    assert config["figures"]["error"] == found["error"]
    assert config["training_data"]["splits"]["training"]["images"] == 256
    assert config["license"] == "mit"
    images = np.zeros((3, *config["ensemble"]["input_shape"]), np.uint8)
    expected = Ensemble.load(run, "mothernets").predict(images)
    again = Ensemble.from_safetensors(out)
    np.testing.assert_array_equal(again.predict(images), expected)


@pytest.mark.slow
def test_a_tiny_run_from_start_to_page(images, tmp_path):
    """Trained in a process of its own, and its page made again."""
    few = [f"--set={field}=1" for field in ("train.epochs", "hatch.epochs")]
    command = [sys.executable, "-m", "mothernets_jax", "train", str(images), *few]
    command += [f"--set={SMALL}", f"--workdir={tmp_path / 'run'}"]
    done = in_process(command)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["methods"].keys() == {"mothernets"}
    assert results["data"]["train_examples"] == 29
    (tmp_path / "run" / "report.html").unlink()
    assert main(["report", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "report.html").is_file()
