"""A finished run grows: what it has stays, what is new is as if asked for at once."""

import hashlib
import itertools
import shutil
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from fake_runs import without_clocks
from faults.smallest import ensembles, settings_of

import mothernets_jax as mn
from mothernets_jax.architectures.costs import forward_flops, train_flops
from mothernets_jax.methods import read_settings
from mothernets_jax.report import write_report
from mothernets_jax.runs import run_folder
from mothernets_jax.runs.experiment import train_and_evaluate
from mothernets_jax.runs.growing import growing_run
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.storage import files

STORE = ProgramStore()  # of all runs, so that the first alone compiles
PLAIN = {"hatch.bags": False, "budget.epochs": None, "strategy": "loop"}
EPOCHS = {"train.epochs": 2, "hatch.epochs": 1}
BOTH = ("mothernets", "full_data")
THREE = {"A": "mlp 6", "B": "mlp 8", "C": "mlp 8"}
FIVE = THREE | {"D": "mlp 6 7", "E": "mlp 8"}  # of the same MotherNet, mlp 6
ADDED = {name: FIVE[name] for name in ("D", "E")}


def base_settings(architectures, methods=BOTH, **others):
    config = settings_of(methods=methods, **PLAIN, **EPOCHS, **others).to_json()
    return read_settings(config | {"architectures": architectures})


def train(settings, workdir, **options):
    options = {"name": "tiny", "store": STORE, **options}
    return train_and_evaluate(settings, workdir=workdir, **options)


def grow(run, workdir=None, callback=None, **changes):
    """The folder and results of what grows from a run."""
    own = growing_run(run, workdir=workdir, **changes)
    options = {"source": own.source, "callback": callback}
    return own.workdir, train(own.settings, own.workdir, **options)


def members_of(workdir, method="mothernets"):
    return {
        name: jax.tree.map(np.asarray, own.variables)
        for name, own in mn.Ensemble.load(workdir, method).members.items()
    }


def assert_same(found, expected, names):
    for name in names:
        jax.tree.map(np.testing.assert_array_equal, found[name], expected[name])


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A finished run of three members by two methods."""
    folder = tmp_path_factory.mktemp("growing") / "run"
    return SimpleNamespace(folder=folder, results=train(base_settings(THREE), folder))


@pytest.fixture(scope="module")
def five(three):
    """What grows from it with two more members."""
    before = digests(three.folder)
    folder, results = grow(three.folder, add=ADDED)
    assert digests(three.folder) == before  # the finished run is only read
    return SimpleNamespace(folder=folder, results=results)


@pytest.fixture(scope="module")
def distilled(five, tmp_path_factory):
    """What it is distilled into: one member of five."""
    workdir = tmp_path_factory.mktemp("distilled") / "run"
    folder, results = grow(five.folder, workdir, distill="B", epochs=2)
    return SimpleNamespace(folder=folder, results=results)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("at_once") / "run"
    return SimpleNamespace(folder=folder, results=train(base_settings(FIVE), folder))


@pytest.mark.parametrize("method", BOTH)
def test_old_members_keep_their_bits_and_new_ones_are_as_if_asked_for_at_once(
    three, five, at_once, method
):
    found = members_of(five.folder, method)
    assert [*found] == [*FIVE]
    assert_same(found, members_of(three.folder, method), THREE)
    assert_same(found, members_of(at_once.folder, method), FIVE)


@pytest.mark.parametrize("method", BOTH)
def test_costs_count_once(five, at_once, method):
    own, whole = (run.results["methods"][method]["cost"] for run in (five, at_once))
    assert own == pytest.approx(whole)


def test_the_total_cost_by_hand(five):
    """Every image of every epoch of the MotherNet and of five members, once."""
    data = five.results["data"]
    images = data["train_examples"] // 32 * 32  # of whole batches
    shape, classes = tuple(data["input_shape"]), len(data["class_names"])
    by_epochs = {2: ["mlp 6"], 1: [*FIVE.values()]}
    expected = sum(
        epochs * images * train_flops(mn.parse(notation), shape, classes)
        for epochs, notations in by_epochs.items()
        for notation in notations
    )
    cost = five.results["methods"]["mothernets"]["cost"]
    assert cost["train_flops"] == pytest.approx(expected)
    assert cost["epochs"] == 2 + len(FIVE)


def test_the_record_says_from_which(five, unrendered_plots):
    [of_d, of_e] = five.results["methods"]["mothernets"]["grown"]
    assert of_d["members"] == ["D"] and of_d["change"] == "add D=mlp 6 7"
    assert "D was hatched from mothernet_1, a MotherNet" in of_d["how"]
    assert "E was hatched from mothernet_1" in of_e["how"]
    needs = {
        name: stage["needs"]
        for stage in five.results["methods"]["mothernets"]["stages"]
        for name in stage["members"]
    }
    assert needs["D"] == needs["E"] == ["mothernet_1"]
    page = write_report(five.results, five.folder).read_text()
    assert "D was hatched from mothernet_1" in page


def test_replicas_are_as_if_asked_for_at_once(three, tmp_path):
    folder, results = grow(three.folder, tmp_path / "grown", replicas=2)
    whole = tmp_path / "whole"
    train(base_settings(THREE, BOTH[:1], replicas=2), whole)
    new = [f"{name}_2" for name in THREE]
    assert [*results["methods"]["mothernets"]["members"]] == [*THREE, *new]
    found = members_of(folder)
    assert_same(found, members_of(three.folder), THREE)
    assert_same(found, members_of(whole), new)


def test_from_a_larger_network_or_a_new_mothernet(tmp_path):
    """Of mlp 10, mlp 6 is a share of 0.61 and mlp 8 one of 0.8; mlp 4 is too small."""
    folder, two = tmp_path / "run", {"A": "mlp 6", "B": "mlp 8"}
    train(base_settings(two, ("mothernets",), min_shared=0.7), folder)
    _, results = grow(folder, add={"C": "mlp 10", "D": "mlp 4", "E": "mlp 4"})
    how = [own["how"] for own in results["methods"]["mothernets"]["grown"]]
    assert "C was hatched from B, the largest trained network" in how[0]
    assert "D was hatched from mothernet_2, new" in how[1]
    assert "E was hatched from mothernet_2, a MotherNet" in how[2]
    checks = results["methods"]["mothernets"]["hatching"]
    assert checks.keys() == {*"ABCDE"}
    assert all(own["relative_logit_difference"] < 1e-5 for own in checks.values())


def test_a_dropped_member_leaves_the_ensemble_and_its_cost_stays(three, tmp_path):
    folder, results = grow(three.folder, tmp_path / "grown", drop=["B"])
    for method in BOTH:
        found = members_of(folder, method)
        assert [*found] == ["A", "C"]
        assert_same(found, members_of(three.folder, method), "AC")
        own, before = (
            run["methods"][method]["cost"] for run in (results, three.results)
        )
        assert own["train_flops"] == before["train_flops"]
        assert own["parameters"] < before["parameters"]


def test_further_epochs_go_on_from_the_final_states(five, tmp_path):
    _, results = grow(five.folder, tmp_path / "longer", epochs=3)
    for method, already in (("mothernets", 1), ("full_data", 2)):
        entry = results["methods"][method]
        assert [*entry["members"]] == [f"{name}_plus3" for name in FIVE]
        before = five.results["methods"][method]["cost"]["epochs"]
        assert entry["cost"]["epochs"] == before + 3 * len(FIVE)
        own = entry["members"]["A_plus3"]
        assert own["epochs"] == already + 3
        earlier = five.results["methods"][method]["members"]["A"]
        of_epoch = earlier["train_flops"] / already
        assert own["train_flops"] == pytest.approx((already + 3) * of_epoch)
    [stage] = [
        stage
        for stage in results["methods"]["full_data"]["stages"]
        if stage["members"] == ["A_plus3"]
    ]
    assert stage["needs"] == ["A"]
    rates = stage["history"]["A_plus3"]["learning_rate"]
    assert rates[0] > rates[1] > rates[2]  # the peak is in the first epoch
    largest = base_settings(THREE).train.learning_rate
    assert 0.5 * largest < max(rates) < largest  # means of epochs


@pytest.mark.parametrize("method", BOTH)
def test_the_ensemble_is_distilled_into_one_of_its_members(five, distilled, method):
    entry, before = (run.results["methods"][method] for run in (distilled, five))
    found = mn.Ensemble.load(distilled.folder, method)
    assert [*found.members] == [*entry["members"]] == ["B_distilled"]
    earlier = members_of(five.folder, method)["B"]["params"]
    moved = jax.tree.map(
        lambda old, new: np.abs(old - new).max(),
        earlier,
        members_of(distilled.folder, method)["B_distilled"]["params"],
    )
    assert min(jax.tree.leaves(moved)) > 0
    assert np.isfinite(found.predict(np.zeros((2, 8, 8, 1), np.uint8))).all()
    # Paid for: its own training, and five networks' predictions of every image.
    data = distilled.results["data"]
    of_task = tuple(data["input_shape"]), len(data["class_names"])
    networks = {name: mn.parse(notation) for name, notation in FIVE.items()}
    looks = sum(forward_flops(own, *of_task) for own in networks.values())
    of_image = train_flops(networks["B"], *of_task) + looks
    images = 2 * (data["train_examples"] // 32 * 32)  # of whole batches
    more = entry["cost"]["train_flops"] - before["cost"]["train_flops"]
    assert more == pytest.approx(images * of_image)
    assert entry["cost"]["epochs"] == before["cost"]["epochs"] + 2
    assert entry["cost"]["inference_flops"] == forward_flops(networks["B"], *of_task)
    [member] = entry["members"].values()
    assert member["epochs"] == before["members"]["B"]["epochs"] + 2
    assert entry["stages"][-1]["needs"] == [*FIVE]
    assert "deep_ensembles" not in entry  # which a student is none of


def test_the_record_says_how_an_ensemble_was_distilled(distilled, unrendered_plots):
    [*_, how] = distilled.results["methods"]["mothernets"]["grown"]
    assert how["members"] == ["B_distilled"] and how["change"] == "distill B epochs 2"
    page = write_report(distilled.results, distilled.folder).read_text()
    assert "the ensemble of 5 members was distilled into one of them" in page


class Killed(BaseException):
    """An end at any moment, which nothing handles."""


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("three", {"add": ADDED}, "five"),
        ("five", {"distill": "B", "epochs": 2}, "distilled"),
    ],
)
def test_killed_while_it_copies_or_trains_it_goes_on(
    before, change, after, request, tmp_path, monkeypatch
):
    source, whole = (request.getfixturevalue(name) for name in (before, after))
    folder, kept = tmp_path / "grown", digests(source.folder)
    write = files.write_whole

    def ending(after):
        writes = itertools.count(1)

        def write_or_end(path, content):
            if path.is_relative_to(folder) and next(writes) > after:
                raise Killed
            write(path, content)

        return write_or_end

    for most in range(1, 90, 5):  # a later moment each time
        with monkeypatch.context() as patch:
            patch.setattr(files, "write_whole", ending(most))
            try:
                _, results = grow(source.folder, folder, **change)
                break
            except Killed:
                assert not (folder / "results.json").exists()
    else:
        raise AssertionError("it never came to an end")
    assert most > 8
    assert digests(source.folder) == kept
    expected = whole.results["methods"]
    assert without_clocks(results["methods"]) == without_clocks(expected)
    assert ensembles(folder) == ensembles(whole.folder)


def test_the_same_call_again_is_done(three, five):
    folder, results = grow(three.folder, add=ADDED)
    assert folder == five.folder and results == five.results


def test_a_grown_run_grows(five, tmp_path):
    settings = growing_run(five.folder, drop=["A"]).settings
    assert settings.grown == ("add D=mlp 6 7", "add E=mlp 8", "drop A")
    assert growing_run(five.folder, drop=["A"]).workdir.parent == five.folder.parent


BAD = {
    "nothing": ({}, "nothing is to change"),
    "a name twice": ({"add": {"A": "mlp 9"}}, "a name other than A"),
    "no network": ({"add": {"D": "mlp"}}, r"config.grown\[0\] is 'add D=mlp'"),
    "fewer replicas": ({"replicas": 1}, "expected 2 to"),
    "a stranger dropped": ({"drop": ["Z"]}, "one of the members, A, B, C"),
    "all dropped": ({"drop": [*THREE]}, "leave at least one"),
    "no epochs": ({"epochs": 0}, "expected 1 to"),
    "networks that are tied": ({"methods": ["treenets"], "epochs": 1}, "'treenets'"),
    "a stranger taught": ({"distill": "Z", "epochs": 1}, "one of the members, A, B, C"),
    "no teachers": (
        {"drop": ["A", "B"], "distill": "C", "epochs": 1},
        "several members, which teach it",
    ),
    "a student for no epochs": ({"distill": "A", "epochs": 0}, "expected 1 to"),
    "a student without epochs": ({"distill": "A"}, "epochs are missing"),
    "a student of tied networks": (
        {"methods": ["treenets"], "distill": "A", "epochs": 1},
        "'treenets', which cannot grow",
    ),
    "one text": ({"drop": "A"}, "a list of names"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_changed_is_told(three, case):
    changes, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        growing_run(three.folder, **changes)


def test_only_finished_runs_grow(three, tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        growing_run(tmp_path, epochs=1)
    files.write_json(tmp_path / "config.json", base_settings(THREE).to_json())
    with pytest.raises(ValueError, match="is not finished"):
        growing_run(tmp_path, epochs=1)
    with pytest.raises(ValueError, match="finished run itself"):
        growing_run(three.folder, epochs=1, workdir=three.folder)


def test_stages_that_are_gone_are_told(three, tmp_path):
    shutil.copytree(three.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/stages/mothernets-mothernet_1")
    with pytest.raises(ValueError, match="mothernets-mothernet_1 is gone"):
        growing_run(tmp_path / "run", epochs=1)


def test_a_member_that_was_left_out_cannot_teach(three, monkeypatch):
    methods = three.results["methods"]
    entry = {**methods["mothernets"], "left_out": {"A": "its loss is nan"}}
    results = {**three.results, "methods": {**methods, "mothernets": entry}}
    monkeypatch.setattr(run_folder, "find_results", lambda *_: results)
    with pytest.raises(ValueError, match="A was left out .* loss is nan, and cannot"):
        growing_run(three.folder, distill="B", epochs=1)
    growing_run(three.folder, drop=["A"], distill="B", epochs=1)


def test_bags_are_not_trained_on(tmp_path):
    with pytest.raises(ValueError, match="would draw another"):
        base_settings(THREE, ("bagging",), grown=("epochs 1",))
