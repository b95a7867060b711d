"""A run's records: its lines of metrics, a callback, and TensorBoard's event files."""

import json
import shutil
import sys

import numpy as np
import pytest
from fake_runs import without_clocks
from faults.smallest import _STORE, metrics_of, settings_of

import mothernets_jax as mn
from mothernets_jax.runs import stage_results
from mothernets_jax.runs.experiment import train_and_evaluate
from mothernets_jax.runs.load_task import load_task

CHANGES = {"train.epochs": 1, "hatch.epochs": 1, "budget.epochs": 6.0}
SETTINGS = settings_of(**CHANGES)
WATCHED = settings_of(**CHANGES, **{"log.tensorboard": True})


def run(workdir, settings=SETTINGS, callback=None):
    return train_and_evaluate(
        settings, name="tiny", workdir=workdir, store=_STORE, callback=callback
    )


def lines_of(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that nothing stopped, its results, and what its callback was given."""
    workdir, given = tmp_path_factory.mktemp("records") / "run", []
    return workdir, run(workdir, callback=given.append), given


def test_a_callback_is_given_every_line(finished):
    workdir, _, given = finished
    assert given == lines_of(workdir)
    fields = "stage member epoch step train_loss train_error validation_loss"
    fields += " validation_error learning_rate clocks"
    assert len(given) > 2
    assert {" ".join(line) for line in given} == {fields}


def test_the_validation_loss_is_the_cross_entropy_of_the_saved_member(finished):
    """In NumPy, of the networks at the end of their last epoch."""
    workdir, results, given = finished
    dataset = load_task(SETTINGS).dataset
    ensemble = mn.Ensemble.load(workdir, "mothernets")
    logits = ensemble.member_logits(dataset.validation_images).astype(np.float64)
    labels = dataset.validation_labels
    last = {line["member"]: line for line in given}
    assert set(ensemble.members) < set(last)
    for name, own in zip(ensemble.members, logits, strict=True):
        true = own[np.arange(len(labels)), labels]
        loss = np.mean(np.log(np.exp(own).sum(1)) - true)
        assert last[name]["validation_loss"] == pytest.approx(loss, rel=1e-5)
        error = results["methods"]["mothernets"]["members"][name]["validation_error"]
        assert last[name]["validation_error"] == error
        assert last[name]["step"] == last[name]["epoch"] * (
            len(dataset.train_labels) // SETTINGS.train.batch_size
        )


def test_where_a_callback_raises_the_same_call_goes_on(finished, tmp_path):
    workdir, results, expected = finished
    given = []

    def fails_at_first(line):
        given.append(line)
        if len(given) == 2:
            raise ConnectionError("no network")

    with pytest.raises(ConnectionError, match="no network") as raised:
        run(tmp_path / "run", callback=fails_at_first)
    assert "what was trained is saved" in raised.value.__notes__[0]
    before = lines_of(tmp_path / "run")
    found = run(tmp_path / "run", callback=fails_at_first)
    assert without_clocks(found) == without_clocks(results)
    assert without_clocks(given) == without_clocks(expected)  # none twice
    assert metrics_of(tmp_path / "run") == metrics_of(workdir)
    assert lines_of(tmp_path / "run")[:2] == before  # with the times of the first call


def test_without_tensorboard_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    message = r"requirements-tensorboard\.txt.*--config\.log\.tensorboard=False"
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", WATCHED)
    assert not (tmp_path / "run").exists()


def curves_of(workdir):
    """Losses over steps as TensorBoard reads them, by its name of the run."""
    from tensorboard.backend.event_processing import event_multiplexer

    found = event_multiplexer.EventMultiplexer()
    found.AddRunsFromDirectory(str(workdir / "tensorboard"))
    found.Reload()
    return {
        name: [(p.step, p.value) for p in found.Scalars(name, "loss/validation")]
        for name in found.Runs()
    }


def expected_curves(workdir):
    curves = {}
    for line in lines_of(workdir):
        own = curves.setdefault(f"{line['stage']}/{line['member']}", [])
        own.append((line["step"], pytest.approx(line["validation_loss"], rel=1e-6)))
    return curves


@pytest.mark.extras
def test_tensorboard_shows_the_lines_of_an_interrupted_run(finished, tmp_path):
    workdir = tmp_path / "run"
    given = []

    def fails_at_first(line):
        given.append(line)
        if len(given) == 2:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        run(workdir, WATCHED, fails_at_first)
    run(workdir, WATCHED, fails_at_first)
    assert curves_of(workdir) == expected_curves(workdir)
    assert metrics_of(workdir) == metrics_of(finished[0])


@pytest.mark.extras
def test_a_finished_run_is_given_event_files(finished, tmp_path, monkeypatch):
    """When the setting is turned on later, or a file is lost; nothing is trained."""
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    monkeypatch.setattr(stage_results, "run_stage", None)
    results = run(workdir, WATCHED)
    assert results == json.loads((workdir / "results.json").read_text())
    assert curves_of(workdir) == expected_curves(workdir)
    before = sorted((workdir / "tensorboard").rglob("*tfevents*"))
    before[0].unlink()
    run(workdir, WATCHED)
    after = sorted((workdir / "tensorboard").rglob("*tfevents*"))
    assert before[-1] in after
    assert curves_of(workdir) == expected_curves(workdir)
