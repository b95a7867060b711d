"""A finished run grows by one call, of Python or of the command."""

import json

import numpy as np
import pytest

import mothernets_jax as mn
from mothernets_jax.cli.main import main
from mothernets_jax.runs import experiment

RNG = np.random.default_rng(0)
LABELS = np.arange(90) % 3
FEATURES = RNG.normal(size=(90, 4)) + 3 * np.eye(4)[LABELS]
RECIPE = {"train.epochs": 2, "hatch.epochs": 1, "strategy": "loop"}
QUIET = {"progress": False, "report": False}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return mn.train(
        FEATURES,
        LABELS,
        members={"A": "mlp 4", "B": "mlp 4"},
        workdir=tmp_path_factory.mktemp("growing") / "run",
        settings=RECIPE,
        **QUIET,
    )


def test_a_trained_ensemble_grows(trained):
    data = mn.Dataset.from_arrays(FEATURES, LABELS)
    change = {"add": {"C": mn.mlp((4,))}, "drop": ["A"]}
    grown = mn.grow(trained, FEATURES, LABELS, **change, **QUIET)
    assert [*grown.members] == ["B", "C"] and grown.method == "mothernets"
    images = data.test_images
    np.testing.assert_array_equal(
        grown.predict(images, members=True)[0],
        trained.predict(images, members=True)[1],
    )
    assert grown.workdir.parent == trained.workdir.parent
    assert grown.workdir.name.startswith("run-grown-")
    again = mn.grow(grown, data, epochs=1, **QUIET)
    assert [*again.members] == ["B_plus1", "C_plus1"]
    assert len(again.workdir.name) == len(grown.workdir.name)
    one = mn.grow(grown, data, distill="C", epochs=1, **QUIET)
    assert [*one.members] == ["C_distilled"]


def test_the_same_data_are_needed(trained):
    for data, labels, words in (
        (None, None, "data is None, and the run in .* handed to it: give them again"),
        ("digits", None, "data is 'digits', and the run in .* handed to it"),
        (FEATURES, None, "labels is missing"),
        (mn.Dataset.from_arrays(FEATURES, LABELS), LABELS, "labels given, and data is"),
    ):
        with pytest.raises(ValueError, match=words):
            mn.grow(trained, data, labels, replicas=2, **QUIET)
    others = mn.Dataset.from_arrays(FEATURES + 1, LABELS)
    with pytest.raises(ValueError, match="holds a run on other data"):
        mn.grow(trained, others, replicas=2, **QUIET)


def test_splits_of_arrays_are_those_of_the_run(tmp_path):
    """Those that were given, and shares that its settings name."""
    given = {"test": (FEATURES[:9], LABELS[:9]), "groups": np.arange(90) // 2}
    settings = {**RECIPE, "data.validation_fraction": 0.3}
    run = mn.train(
        FEATURES,
        LABELS,
        members={"A": "mlp 4"},
        workdir=tmp_path / "run",
        settings=settings,
        **given,
        **QUIET,
    )
    grown = mn.grow(run, FEATURES, LABELS, replicas=2, **given, **QUIET)
    assert [*grown.members] == ["A", "A_2"]
    with pytest.raises(ValueError, match="holds a run on other data"):
        mn.grow(run, FEATURES, LABELS, drop=["A"], add={"B": "mlp 4"}, **QUIET)


def test_the_command_grows_a_run_that_it_has_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["mothernets", "grow", "run"])
    run = {"seed": 3, "methods": ("mothernets",), "progress": False, "report": False}
    small = {**RECIPE, "data.train_examples": 128, "train.batch_size": 32}
    mn.train("digits", members={"A": "mlp 4"}, workdir="run", settings=small, **run)
    monkeypatch.setattr(experiment, "write_report", lambda *_: "report.html")
    assert main(["grow", "run", "--add", "B=mlp 4", "--workdir=two"]) == 0
    assert "error" in capsys.readouterr().out
    results = json.loads((tmp_path / "two/results.json").read_text())
    assert [*results["methods"]["mothernets"]["members"]] == ["A", "B"]
    assert results["provenance"]["command"].startswith("mothernets ")
    with pytest.raises(ValueError, match="name its data: leave it out"):
        mn.grow("run", "digits", replicas=2, **QUIET)
    for arguments, words in (
        (["--add", "B"], "--add 'B': expected NAME=NETWORK"),
        ([], "nothing is to change in run"),
        (["--drop", "Z"], "expected one of the members, A"),
        (["--distill", "A"], "epochs are missing"),
    ):
        assert main(["grow", "run", *arguments]) == 2
        assert words in capsys.readouterr().err
