"""The same command mends a finished run, and keeps what is good of it.

A tiny run of two methods is finished; then something of its folder is gone or damaged,
and the same settings are run again.
"""

import json
import shutil

import pytest
from fake_runs import without_clocks
from faults import smallest
from faults.smallest import (
    EPOCHS,
    METHODS,
    TWO_METHODS,
    ensembles,
    metrics_of,
    settings_of,
)

from mothernets_jax.runs import stage_results


def run(workdir, settings):
    return smallest.run(workdir, settings, report=False)


@pytest.fixture
def copy(finished_runs, tmp_path):
    shutil.copytree(finished_runs[0] / "run", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def trained(monkeypatch):
    """Names of the stages that are trained from here on."""
    names, train = [], stage_results.run_stage

    def record(stage, *rest):
        names.append(stage.name)
        return train(stage, *rest)

    monkeypatch.setattr(stage_results, "run_stage", record)
    return names


def cut(workdir, place):
    path = workdir / place
    path.write_bytes(path.read_bytes()[:-9])


DAMAGE = {
    "an ensemble gone": lambda own, _: shutil.rmtree(own / "ensembles/mothernets"),
    "all gone": lambda own, _: shutil.rmtree(own / "ensembles"),
    "a record gone": lambda own, _: (own / "ensembles/mothernets/record.json").unlink(),
    "a record cut": lambda own, _: cut(own, "ensembles/mothernets/record.json"),
    "arrays cut": lambda own, _: cut(own, "ensembles/mothernets/variables/_METADATA"),
    "the other method's": lambda own, _: shutil.copytree(
        own / "ensembles/full_data",
        shutil.rmtree(own / "ensembles/mothernets") or own / "ensembles/mothernets",
    ),
    "another run's": lambda own, other: shutil.copytree(
        other / "ensembles/mothernets", own / "ensembles/mothernets", dirs_exist_ok=True
    ),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_an_ensemble_is_made_again_from_the_stages(
    finished_runs, copy, trained, how, caplog
):
    top, results, expected = finished_runs
    other = copy / "ensembles/full_data/record.json"
    before = other.stat().st_mtime_ns
    if how == "another run's":
        shutil.rmtree(copy / "ensembles/mothernets")
    DAMAGE[how](copy, top / "other")
    found = ensembles(copy)
    assert isinstance(found["mothernets"], str) and "\n" not in found["mothernets"]
    if how != "all gone":  # one that is damaged blocks no other
        assert found["full_data"] == expected["full_data"]
    assert without_clocks(run(copy, TWO_METHODS)) == results
    assert "made again" in caplog.text
    assert ensembles(copy) == expected
    assert not trained
    if how != "all gone":
        assert other.stat().st_mtime_ns == before
    caplog.clear()
    assert without_clocks(run(copy, TWO_METHODS)) == results
    assert not caplog.records  # done already


def test_damaged_scores_are_made_again(finished_runs, copy, trained, caplog):
    scores = copy / "test_scores/mothernets.npz"
    before = scores.read_bytes()
    cut(copy, "test_scores/mothernets.npz")
    assert without_clocks(run(copy, TWO_METHODS)) == finished_runs[1]
    assert "mothernets.npz is damaged" in caplog.text
    assert scores.read_bytes() == before
    assert not trained


def test_lines_of_a_stage_that_was_altered_are_replaced(finished_runs, copy):
    log = copy / "metrics.jsonl"
    log.write_text(log.read_text().replace('"full_data-', '"full_fata-', 1))
    assert without_clocks(run(copy, TWO_METHODS)) == finished_runs[1]
    assert metrics_of(copy) == metrics_of(finished_runs[0] / "run")


def test_what_is_missing_is_trained_and_no_more(finished_runs, copy, trained):
    _, results, expected = finished_runs
    shutil.rmtree(copy / "ensembles/mothernets")
    stages = results["methods"]["mothernets"]["stages"]
    last = stages[-1]["name"]
    shutil.rmtree(copy / "stages" / last)
    # The other method is done, with its stages or without.
    for stage in results["methods"]["full_data"]["stages"]:
        shutil.rmtree(copy / "stages" / stage["name"])
    assert without_clocks(run(copy, TWO_METHODS)) == results
    assert trained == [last]
    assert ensembles(copy) == expected
    assert metrics_of(copy) == metrics_of(finished_runs[0] / "run")


@pytest.mark.parametrize("without", ["config.json", "metrics.jsonl", "stages", "all"])
def test_what_is_small_is_written_again_and_nothing_evaluated(
    finished_runs, copy, monkeypatch, without
):
    top, *_ = finished_runs
    if without != "stages":
        for name in ("config.json", "metrics.jsonl"):
            if without in (name, "all"):
                (copy / name).unlink()
    if without in ("stages", "all"):
        shutil.rmtree(copy / "stages")
    monkeypatch.setattr("mothernets_jax.runs.experiment.load_task", None)
    before = json.loads((copy / "results.json").read_text())
    assert run(copy, TWO_METHODS) == before
    names = ["config.json", "results.json"]
    for name in names:
        assert (copy / name).read_bytes() == (top / "run" / name).read_bytes()
    assert metrics_of(copy) == metrics_of(top / "run")


@pytest.mark.parametrize("methods", [None, [], {"mothernets": {"stages": 3}}])
def test_results_without_a_checksum_that_cannot_be_are_made_again(
    finished_runs, copy, trained, methods
):
    results = json.loads((copy / "results.json").read_text())
    (copy / "results.json").write_text(json.dumps({**results, "methods": methods}))
    (copy / ".results.sha256").unlink()
    assert without_clocks(run(copy, TWO_METHODS)) == finished_runs[1]
    assert not trained


def test_without_its_settings_a_finished_run_is_not_taken_for_another(copy):
    (copy / "config.json").unlink()
    faster = settings_of(
        methods=METHODS, **{**EPOCHS, "train.learning_rate": 0.5, "seed": 0}
    )
    with pytest.raises(ValueError, match=r"lost its config\.json, of other settings"):
        run(copy, faster)
    assert not (copy / "config.json").exists()
    run(copy, TWO_METHODS)
    with pytest.raises(ValueError, match="another experiment: config.train.learning_"):
        run(copy, faster)


def test_a_run_of_an_earlier_version_is_done_and_mended(finished_runs, copy, trained):
    """Its results have their bare checksum."""
    path = copy / ".results.sha256"
    path.write_text(path.read_text()[:64])
    before = json.loads((copy / "results.json").read_text())
    assert run(copy, TWO_METHODS) == before
    shutil.rmtree(copy / "ensembles/full_data")
    assert without_clocks(run(copy, TWO_METHODS)) == finished_runs[1]
    assert ensembles(copy) == finished_runs[2]
    assert not trained


def test_an_interrupted_mending_is_gone_on_with(finished_runs, copy, monkeypatch):
    _, results, expected = finished_runs
    shutil.rmtree(copy / "ensembles/mothernets")
    with monkeypatch.context() as patch:
        patch.setattr(stage_results, "_restored", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(copy, TWO_METHODS)
    assert ensembles(copy)["full_data"] == expected["full_data"]
    assert without_clocks(run(copy, TWO_METHODS)) == results
    assert ensembles(copy) == expected


LINKS = [".lock", "config.json", "results.json", ".results.sha256", "data.json"]
LINKS += ["metrics.jsonl", "strategies.json", "report.html", "plots", "stages"]
LINKS += ["ensembles", "ensembles/full_data", "stages/*", "test_scores"]
LINKS += ["tensorboard"]


@pytest.mark.parametrize("state", ["finished", "stopped"])
@pytest.mark.parametrize("place", LINKS)
def test_no_link_is_followed(finished_runs, copy, tmp_path, trained, place, state):
    """To what was there, or to a folder of something else."""
    if state == "stopped":
        (copy / "results.json").unlink()
        shutil.rmtree(copy / "ensembles")
        (copy / "ensembles/full_data").mkdir(parents=True)
    path = next(copy.glob(place), copy / place)
    target = tmp_path / "elsewhere"
    if path.exists():
        shutil.move(path, target)
    else:
        target.write_text("own")
    path.symlink_to(target)
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")}
    with pytest.raises(ValueError) as refused:
        run(copy, TWO_METHODS)
    assert f"{path} is a link to {target}: nothing is written" in str(refused.value)
    after = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")}
    if place != ".lock" and (copy / ".lock") in before:  # it names who looked last
        before[copy / ".lock"] = after[copy / ".lock"]
    assert after == before
    assert not trained


def test_the_folder_itself_may_be_a_link(finished_runs, copy, tmp_path):
    (tmp_path / "name").symlink_to(copy)
    shutil.rmtree(copy / "ensembles/mothernets")
    assert without_clocks(run(tmp_path / "name", TWO_METHODS)) == finished_runs[1]
    assert ensembles(copy) == finished_runs[2]


def test_a_link_made_on_the_way_stops_the_run(
    finished_runs, copy, tmp_path, monkeypatch
):
    """Before its target is written to."""
    (copy / "results.json").unlink()
    shutil.move(copy / "ensembles", tmp_path / "elsewhere")
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("elsewhere/*")}
    restored = stage_results._restored

    def link_and_restore(*arguments):
        if not (copy / "ensembles").exists():
            (copy / "ensembles").symlink_to(tmp_path / "elsewhere")
        return restored(*arguments)

    monkeypatch.setattr(stage_results, "_restored", link_and_restore)
    with pytest.raises(ValueError, match="ensembles is a link to"):
        run(copy, TWO_METHODS)
    after = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("elsewhere/*")}
    assert after == before


def test_a_folder_moved_while_it_is_worked_in_stops_the_run(
    finished_runs, tmp_path, monkeypatch
):
    train, workdir = stage_results.run_stage, tmp_path / "run"

    def train_and_move(*arguments):
        result = train(*arguments)
        if not (tmp_path / "moved").exists():
            workdir.rename(tmp_path / "moved")
            workdir.mkdir()
        return result

    monkeypatch.setattr(stage_results, "run_stage", train_and_move)
    with pytest.raises(ValueError, match="run was moved, deleted or replaced while"):
        run(workdir, TWO_METHODS)
    assert not list(workdir.iterdir())
    assert without_clocks(run(tmp_path / "moved", TWO_METHODS)) == finished_runs[1]
