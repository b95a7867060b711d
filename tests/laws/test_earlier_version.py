"""What commit 5862cc6 has saved loads, predicts the same, and goes on.

It is the last one before the code lay in folders; `fixtures/before_folders/README.md`
says how its files were made.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from fake_runs import without_clocks

import mothernets_jax as mn
from mothernets_jax.methods import read_settings
from mothernets_jax.runs.experiment import train_and_evaluate
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.storage import manifest

FIXTURE = Path(__file__).parents[1] / "fixtures" / "before_folders"
RECORDED = json.loads((FIXTURE / "variables.json").read_text())
NO_DATA_RECORD = "cannot be checked, as it has no data.json"


def same_machine():
    """Whether programs are the same here as where the predictions were recorded."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    flags = re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)
    return jax.default_backend() == "cpu" and RECORDED["made_with"] == {
        "jax": jax.__version__,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "cpu_features": hashlib.sha256(flags[1].encode()).hexdigest() if flags else "",
    }


def assert_same(found, expected, tolerance):
    """The same bits where programs are the same, else close to the largest."""
    if same_machine():
        tolerance = 0.0
    atol = tolerance * float(np.max(np.abs(expected)))
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=atol)


def digests(ensemble):
    """SHA-256 of every variable, by its path."""
    variables = {name: own.variables for name, own in ensemble.members.items()}
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    return {
        jax.tree_util.keystr(path): hashlib.sha256(np.asarray(leaf)).hexdigest()
        for path, leaf in leaves
    }


def contents(workdir):
    return {p: p.read_bytes() for p in sorted(workdir.rglob("*")) if p.is_file()}


@pytest.fixture
def copied(tmp_path):
    """A function that copies a run's folder, to be worked in."""
    return lambda name: Path(shutil.copytree(FIXTURE / name, tmp_path / name))


@pytest.fixture(scope="module")
def store():
    return ProgramStore()


@pytest.fixture
def go_on(store, caplog):
    """A function that runs what is not done in a folder; what it says is logged."""
    caplog.set_level(logging.INFO, logger="mothernets_jax")

    def run(workdir):
        settings = read_settings(json.loads((workdir / "config.json").read_text()))
        return train_and_evaluate(settings, name="mlp", workdir=workdir, store=store)

    return run


@pytest.mark.parametrize("networks", ["mlp", "vgg"])
def test_an_ensemble_loads_and_predicts_the_same(networks):
    ensemble = mn.Ensemble.load(FIXTURE / networks, "mothernets")
    assert digests(ensemble) == RECORDED["sha256"][networks]
    with np.load(FIXTURE / "predictions.npz", allow_pickle=False) as recorded:
        images = recorded["images"]
        logits = ensemble.member_logits(images, batch_size=len(images))
        assert_same(logits, recorded[f"{networks}_logits"], 1e-5)
        # That version combined members in float32, today's does so in float64.
        for found, name in (
            (ensemble.predict(images), "average"),
            (ensemble.predict(images, calibrated=True), "calibrated"),
        ):
            expected = recorded[f"{networks}_{name}"]
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))


def test_a_finished_run_is_done(copied, go_on, caplog):
    workdir = copied("mlp")
    before = contents(workdir)
    results = go_on(workdir)
    assert results == json.loads((FIXTURE / "mlp" / "results.json").read_text())
    assert NO_DATA_RECORD in caplog.text
    after = contents(workdir)
    assert {p: own for p, own in after.items() if p.name != ".lock"} == before


def assert_as_if_never_stopped(workdir, results):
    """The finished run had the same settings, and was never stopped."""
    expected = json.loads((FIXTURE / "mlp" / "results.json").read_text())
    (found,), (wanted,) = (r["methods"].values() for r in (results, expected))
    stages, recorded = (
        {s["name"]: without_clocks(s["history"]) for s in own["stages"]}
        for own in (found, wanted)
    )
    assert stages.keys() == recorded.keys()
    for name, history in recorded.items():
        for member, figures in history.items():
            for metric, values in figures.items():
                # An image more or less may be classified rightly by other rounding.
                assert_same(stages[name][member][metric], values, 0.05)
    ensembles = [mn.Ensemble.load(p, "mothernets") for p in (workdir, FIXTURE / "mlp")]
    continued, whole = (
        {name: own.variables for name, own in ensemble.members.items()}
        for ensemble in ensembles
    )
    jax.tree.map(lambda a, b: assert_same(a, b, 1e-2), continued, whole)
    chex.assert_trees_all_equal_shapes_and_dtypes(continued, whole)


def test_a_stopped_run_goes_on(copied, go_on, caplog):
    workdir = copied("stopped")
    results = go_on(workdir)
    assert "mothernets-mothernet_1: done already" in caplog.messages
    assert "mothernets-mothernet_1-A: goes on in epoch 2, step 2 of 8" in (
        caplog.messages
    )
    (warning,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert NO_DATA_RECORD in warning.getMessage()
    assert_as_if_never_stopped(workdir, results)
    # That version noted neither steps nor losses nor times; the steps are known.
    entries = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    lines = [own for own in entries if own["stage"] == "mothernets-mothernet_1-A"]
    assert [line["step"] for line in lines] == [8, 16, 24, 32]
    assert lines[0]["validation_loss"] is lines[0]["clocks"]["time"] is None
    assert lines[1]["validation_loss"] > 0 and lines[1]["clocks"]["time"]


def test_a_position_of_another_version_is_named_and_trained_again(
    copied, go_on, caplog
):
    workdir = copied("stopped")
    (path,) = workdir.glob("stages/*/unfinished/*/record.json")
    sealed = manifest.read(path, path.parent / "variables")
    assert sealed is not None
    record = {**sealed.record, "mood": "good"}
    manifest.write(path, path.parent / "variables", record)
    results = go_on(workdir)
    assert "mothernets-mothernet_1: done already" in caplog.messages
    assert "goes on in epoch" not in caplog.text
    assert "what was saved of it is of another version" in caplog.text
    assert "mood" in caplog.text
    assert_as_if_never_stopped(workdir, results)
