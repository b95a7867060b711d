"""A run's folder has one experiment, and one process that works in it."""

import json
import time

import pytest
from forked import Forked

from configs.vgg_ensemble import get_config
from mothernets_jax.config.identity import digest
from mothernets_jax.data import run_record
from mothernets_jax.methods import read_settings
from mothernets_jax.runs import run_folder
from mothernets_jax.runs.experiment import train_and_evaluate
from mothernets_jax.runs.run_folder import RunLock, find_results

NOTHING = run_record.Computation({}, {})
HOLDER = """
import sys, time
from pathlib import Path
from mothernets_jax.runs import run_folder
owner = run_folder.RunLock(Path(sys.argv[1]), "python launch.py --config=x")
owner._lock.take()
Path(sys.argv[2]).touch()
time.sleep(300)
"""


def settings_of(**overrides):
    config = get_config("digits")
    config.update_from_flattened_dict(overrides)
    return read_settings(config)


def begin(workdir):
    """Makes the folder of a run, with its settings."""
    owner = RunLock(workdir, "")
    owner.acquire(settings_of())
    owner.release()


def test_a_second_process_is_told_who_works_in_the_folder(tmp_path):
    workdir, held, script = (tmp_path / name for name in ("run", "held", "holder.py"))
    script.write_text(HOLDER)
    workdir.mkdir()
    holder = Forked(script, workdir, held)
    try:
        while holder.runs() and not held.exists():
            time.sleep(0.01)
        own = RunLock(workdir, "mine")
        with pytest.raises(ValueError) as refused:
            own.acquire(settings_of())
        assert f"being worked in by process {holder.pid} on " in str(refused.value)
        assert "(python launch.py --config=x)" in str(refused.value)
        assert not (workdir / "config.json").exists()
    finally:
        holder.kill()  # by which the lock is free
    own.acquire(settings_of())
    own.release()


def test_the_owner_may_claim_again_and_release(tmp_path):
    first, second = RunLock(tmp_path / "new", ""), RunLock(tmp_path / "new", "")
    first.acquire(settings_of())
    first.acquire(settings_of())
    with pytest.raises(ValueError, match="being worked in by process"):
        second.acquire(settings_of())
    first.release()
    second.acquire(settings_of())
    second.release()


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("combine", "vote", True),
        ("data.workers", 2, True),
        ("checkpoint.interval_seconds", 5.0, True),
        ("prices.cpu", 9.0, True),
        ("seed", 1, False),
        ("data.fold", 1, False),
        ("strategy", "vmap", False),
        ("hatch.noise", 0.5, False),
    ],
)
def test_what_may_change_between_two_commands(tmp_path, field, value, allowed):
    begin(tmp_path)
    changed = settings_of(**{field: value})
    if allowed:
        assert find_results(tmp_path, changed) is None
        assert digest(changed) == digest(settings_of())
        return
    with pytest.raises(ValueError, match=f"another experiment: config.{field} is"):
        find_results(tmp_path, changed)
    assert digest(changed) != digest(settings_of())


RESIZED = {"data.image_size": 32}


@pytest.mark.parametrize(
    ("overrides", "same"),
    [
        ({}, True),  # nothing is resized
        (RESIZED | {"data.resize": "stretch"}, True),
        (RESIZED | {"data.crop": "resized"}, True),
        (RESIZED, False),
        ({"data.ood_name": "svhn"}, False),
    ],
    ids=["own size", "stretch", "crops", "crop", "others"],
)
def test_a_run_from_before_a_choice_of_resizing_was_stretched(
    tmp_path, overrides, same
):
    settings = settings_of(**overrides)
    before = settings.to_json()
    del before["data"]["resize"]
    (tmp_path / "config.json").write_text(json.dumps(before))
    if same:
        assert find_results(tmp_path, settings) is None
        return
    with pytest.raises(ValueError) as caught:
        find_results(tmp_path, settings)
    assert "config.data.resize is 'stretch' there and 'crop' here" in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", '{"name": 3'])
def test_damaged_results_are_made_again_and_a_damaged_config_is_refused(
    tmp_path, content, caplog
):
    begin(tmp_path)
    (tmp_path / "results.json").write_text(content)
    assert find_results(tmp_path, settings_of()) is None
    assert "results.json is damaged: it is made again" in caplog.text
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        find_results(tmp_path, settings_of())


def test_whole_results_are_found(tmp_path):
    begin(tmp_path)
    results = {section: {} for section in run_folder._SECTIONS}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert find_results(tmp_path, settings_of()) == results


def test_a_path_that_orbax_takes_for_a_pattern_is_refused(tmp_path):
    folder = tmp_path / "[x] y"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"has \[ \] in its path"):
        find_results(folder, settings_of())


def write(*names):
    """From a folder to nothing: writes these files into it."""

    def make(folder):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("own")

    return make


FOREIGN = {
    "images": (write("train/ant/0.png", "test/ant/0.png"), "it holds test, train, and"),
    "a file": (write("notes.txt"), "it holds notes.txt, and no config.json"),
    "many": (write(*"abcdefgh"), "it holds a, b, c and 5 more, and no config.json"),
    "a data set's own record": (write("data.json", "0.png"), "0.png, data.json"),
    "other results": (write("results.json"), "it holds results.json, and"),
    "another program's settings": (write("config.json"), "config.json is damaged"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path, kind):
    make, message = FOREIGN[kind]
    make(tmp_path)
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")}
    for refuse in (
        lambda: find_results(tmp_path, settings_of()),
        lambda: train_and_evaluate(settings_of(), name="", workdir=tmp_path),
    ):
        with pytest.raises(ValueError) as refused:
            refuse()
        assert message in str(refused.value)
        assert str(tmp_path) in str(refused.value)
    assert {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    "names",
    [
        (),
        (".DS_Store",),
        (".lock",),  # of a process that was killed before it wrote anything else
        (".config.json.123.tmp",),
        ("lost+found/x",),
        ("config.json",),
        ("stages/A/record.json", "metrics.jsonl"),  # of a run whose settings were lost
    ],
    ids=str,
)
def test_folders_that_a_run_may_use(tmp_path, names):
    write(*names)(tmp_path)
    if "config.json" in names:
        text = json.dumps(settings_of().to_json())
        (tmp_path / "config.json").write_text(text)
    assert find_results(tmp_path, settings_of()) is None
    begin(tmp_path)


def test_a_run_that_lost_its_settings_is_known_by_the_record_of_its_data(tmp_path):
    run_record.begin(tmp_path, {"splits": {}}, NOTHING)
    (tmp_path / "strategies.json").write_text("{}")
    assert find_results(tmp_path, settings_of()) is None
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(ValueError, match="is not the folder of a run"):
        find_results(tmp_path, settings_of())


def test_where_images_are_is_compared_only_without_a_record_of_them(tmp_path):
    begin(tmp_path)
    moved = settings_of(**{"data.dir": "/elsewhere", "data.ood_dir": "/x"})
    with pytest.raises(ValueError, match=r"config.data.dir is '' there and '/elsewh"):
        find_results(tmp_path, moved)
    run_record.begin(tmp_path, {"splits": {}}, NOTHING)
    assert find_results(tmp_path, moved) is None
