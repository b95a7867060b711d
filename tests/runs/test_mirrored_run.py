"""What a run's mirror has is enough for the same bits, and nobody's work is lost."""

import json
import shutil
from copy import deepcopy

import pytest
from fake_runs import without_clocks
from faults import smallest
from faults.smallest import SETTINGS, metrics_of, settings_of
from memory_store import MemoryStore

from mothernets_jax.runs import publisher
from mothernets_jax.runs.experiment import train_and_evaluate
from mothernets_jax.runs.mirrored_run import MirrorBehindError, mirrored
from mothernets_jax.storage.mirror import Mirror, TakenOverError

# What a run makes again, or writes as it begins.
PASSING = {".mirror.json", ".lock"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    for name in ("_FIRST_WAIT", "_LAST_WAIT"):
        monkeypatch.setattr(publisher, name, 0.0)


def run(store, workdir, settings=SETTINGS, callback=None):
    with mirrored(store, workdir) as mirror:
        results = train_and_evaluate(
            settings,
            name="tiny",
            workdir=workdir,
            store=smallest._STORE,
            callback=callback,
            mirror=mirror,
        )
        (workdir / "plots").mkdir(exist_ok=True)
        for name in ("report.html", "plots/plan.png"):  # made in seconds
            (workdir / name).write_text(name)
    return results


def contents(workdir):
    return {
        name: path.read_bytes()
        for path in workdir.rglob("*")
        if path.is_file() and (name := path.relative_to(workdir).as_posix())
        if name not in PASSING
    }


def lasting(workdir):
    """The files whose names are the same in every run that is done."""
    passing = ("/variables/", "/unfinished/")
    return {n for n in contents(workdir) if not any(own in n for own in passing)}


class Stop(Exception):
    """What a callback raises to end a run."""


def stopping_after(lines):
    """A callback that stops a run after so many lines."""
    seen = []

    def callback(line):
        seen.append(line)
        if len(seen) == lines:
            raise Stop

    return callback


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run and its mirror, not to be altered."""
    workdir, store = tmp_path_factory.mktemp("whole") / "run", MemoryStore()
    return workdir, run(store, workdir), store


@pytest.fixture
def mirror(whole):
    """A mirror of the finished run."""
    return MemoryStore(dict(whole[2].objects))


def test_results_are_those_without_a_mirror(whole, tmp_path):
    workdir, results, _ = whole
    plain = smallest.run(tmp_path / "run", report=False)
    assert without_clocks(results) == without_clocks(plain)
    assert metrics_of(workdir) == metrics_of(tmp_path / "run")
    own = lasting(workdir) - {"report.html", "plots/plan.png"}
    assert own == lasting(tmp_path / "run")
    settings = (workdir / "config.json").read_bytes()
    assert settings == (tmp_path / "run" / "config.json").read_bytes()
    assert not (workdir / ".mirror").exists()


def test_an_empty_disk_gets_all_of_a_finished_run(whole, mirror, tmp_path):
    workdir, results, _ = whole
    assert run(mirror, tmp_path / "run") == results
    assert contents(tmp_path / "run") == contents(workdir)
    assert mirror.objects == whole[2].objects  # nothing is new


def test_stopped_again_and_again_on_empty_disks_it_ends_in_the_same_bits(
    whole, tmp_path
):
    workdir, results, _ = whole
    store, starts = MemoryStore(), 0
    while True:
        starts += 1
        try:
            found = run(store, tmp_path / "run", callback=stopping_after(3))
            break
        except Stop:
            shutil.rmtree(tmp_path / "run")
    assert starts > 2
    assert without_clocks(found) == without_clocks(results)
    assert metrics_of(tmp_path / "run") == metrics_of(workdir)


def test_gone_at_any_change_of_the_mirror_it_ends_in_the_same_bits(
    whole, tmp_path, caplog
):
    """Whatever the mirror had when the machine was lost: here, it is the mirror's."""
    store = MemoryStore()

    def fail(number):
        store.is_down = store.is_down or number >= 40
        store._reach()

    store.fail = fail
    with pytest.raises(MirrorBehindError, match="everything is done and saved in"):
        run(store, tmp_path / "run")
    assert caplog.text.count("could not be written") == 1
    shutil.rmtree(tmp_path / "run")
    store.is_down, store.fail = False, lambda change: None
    found = run(store, tmp_path / "run")
    assert without_clocks(found) == without_clocks(whole[1])
    assert metrics_of(tmp_path / "run") == metrics_of(whole[0])


def test_a_mirror_that_is_behind_gets_the_rest_by_the_same_call(whole, tmp_path):
    store = MemoryStore()

    def cut(line):
        store.is_down = True

    with pytest.raises(MirrorBehindError, match=r"no route to host.*the same") as error:
        run(store, tmp_path / "run", callback=cut)
    assert error.value.exit_code == 75
    store.is_down = False
    results = run(store, tmp_path / "run")
    assert run(store, tmp_path / "other") == results
    assert contents(tmp_path / "other") == contents(tmp_path / "run")


def test_a_mirror_that_cannot_be_used_is_told_before_anything_is_written(tmp_path):
    store = MemoryStore()
    store.is_down = True
    with pytest.raises(
        ValueError, match=r"mirror .* cannot be used \(no route to host"
    ):
        run(store, tmp_path / "run")
    with pytest.raises(ValueError, match="expected an URL such as s3://BUCKET/PREFIX"):
        run("bucket/prefix", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_who_begins_last_takes_the_mirror_over(tmp_path):
    """The other one stops at its next save, and damages nothing."""
    store, seen = MemoryStore(), []

    def take_over(line):
        seen.append(line)
        if len(seen) == 1:
            heir = Mirror(store)
            state = heir.newest()
            heir.publish({}, state.files, state.run, claim=True)
            seen.append({n: c for n, c in store.objects.items() if "states" in n})

    with pytest.raises(TakenOverError, match="is written by process .* since this run"):
        run(store, tmp_path / "run", callback=take_over)
    left = {n: c for n, c in store.objects.items() if "states" in n}
    assert left == seen[1]


def test_an_old_disk_goes_on_from_the_newer_mirror(whole, tmp_path):
    workdir, results, _ = whole
    store = MemoryStore()
    with pytest.raises(Stop):
        run(store, tmp_path / "old", callback=stopping_after(2))
    found = run(store, tmp_path / "new")
    assert without_clocks(found) == without_clocks(results)
    assert run(store, tmp_path / "old") == found
    own = contents(tmp_path / "old")
    assert contents(tmp_path / "new").items() <= own.items()
    assert lasting(tmp_path / "old") == lasting(workdir)


def test_the_mirror_of_another_experiment_is_refused(mirror, tmp_path):
    before = dict(mirror.objects)
    with pytest.raises(
        ValueError, match=r"holds another experiment: config\.seed is 0"
    ):
        run(mirror, tmp_path / "run", settings_of(seed=1))
    assert not (tmp_path / "run").exists()
    assert mirror.objects == before


def test_a_run_that_was_begun_apart_is_refused(mirror, tmp_path):
    workdir = tmp_path / "run"
    with pytest.raises(Stop):
        run(None, workdir, callback=stopping_after(1))
    before, objects = contents(workdir), dict(mirror.objects)
    with pytest.raises(ValueError, match="hold two runs of this experiment that were"):
        run(mirror, workdir)
    assert (contents(workdir), mirror.objects) == (before, objects)


def test_a_run_that_had_no_mirror_gets_one(whole, tmp_path):
    workdir, store = tmp_path / "run", MemoryStore()
    shutil.copytree(whole[0], workdir)
    (workdir / ".mirror.json").unlink()
    run(store, workdir)
    run(store, tmp_path / "other")
    assert contents(tmp_path / "other") == contents(workdir)


def object_of(store, name):
    """Name of the object that a file is in."""
    states = sorted(own for own in store.objects if own.startswith("states/"))
    return json.loads(store.objects[states[-1]])["files"][name][0]


def test_what_is_damaged_in_the_mirror_is_made_again(whole, mirror, tmp_path, caplog):
    workdir, results, _ = whole
    names = [n for n in contents(workdir) if n.startswith("stages/mothernets-")]
    stage = min(names).partition("/variables")[0].removesuffix("/record.json")
    del mirror.objects[object_of(mirror, f"{stage}/variables/_METADATA")]
    mirror.objects[object_of(mirror, "results.json")] = b"{}"
    found = run(mirror, tmp_path / "run")
    assert "is damaged: " in caplog.text
    assert "files are missing or altered" in caplog.text
    assert without_clocks(found) == without_clocks(results)
    assert metrics_of(tmp_path / "run") == metrics_of(workdir)
    assert run(mirror, tmp_path / "other") == found


@pytest.mark.parametrize("name", ["config.json", "data.json"])
def test_a_mirror_that_does_not_say_what_it_has_is_refused(mirror, tmp_path, name):
    key = object_of(mirror, name)
    mirror.objects[key] = mirror.objects[key][:-1]
    before = deepcopy(mirror.objects)
    with pytest.raises(ValueError, match="is damaged .* choose another one, or delete"):
        run(mirror, tmp_path / "run")
    assert mirror.objects == before


@pytest.mark.parametrize(
    "name",
    ["run.sh", ".lock", "stages/A/unfinished/x/record.json", "plots/a.py", "plots/a/b"],
)
def test_files_that_no_run_writes_are_refused(mirror, tmp_path, name):
    owner = Mirror(mirror)
    state = owner.newest()
    evil = {**state.files, name: state.files["config.json"]}
    owner.publish({}, evil, state.run)
    with pytest.raises(ValueError, match="which no run writes"):
        run(mirror, tmp_path / "run")
    assert not (tmp_path / "run").exists()
