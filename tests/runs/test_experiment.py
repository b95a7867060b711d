"""A tiny run end to end: its results, its folder, its repetition and its resumption."""

import itertools
import json
import logging
import shutil
from functools import partial
from io import StringIO

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_runs import without_clocks
from PIL import Image
from rich.console import Console
from scipy.special import softmax
from scipy.stats import ttest_rel
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    roc_auc_score,
)

import mothernets_jax as mn
from configs.vgg_ensemble import get_config
from mothernets_jax import data
from mothernets_jax.growth import hatching
from mothernets_jax.methods import METHODS, read_settings
from mothernets_jax.metrics.calibration import calibrated_nll
from mothernets_jax.runs import experiment, stage_results
from mothernets_jax.runtime.compilation import ProgramStore

STORE = ProgramStore()  # one compilation of each program for all tests here
SCORES = {"error", "balanced_error", "nll", "brier", "ece"}
NETWORKS = {"A": "mlp 8; batch_norm", "B": "mlp 12 10; batch_norm"}
ALL_METHODS = {  # alike, so that programs of A are compiled once
    "methods": tuple(METHODS),
    "data.train_examples": 256,  # every epoch sees every image
    "data.crop_padding": 0,
    "train.class_weights": "balanced",
}


def settings_of(**overrides):
    config = get_config("digits")
    with config.unlocked():
        config.architectures = NETWORKS
        config.update_from_flattened_dict(
            {
                "replicas": 2,
                "data.train_examples": 300,
                "train.batch_size": 64,
                "train.epochs": 2,
                "hatch.epochs": 2,
                "hatch.noise": 0.0,
                **overrides,
            }
        )
    return read_settings(config)


def run(workdir, settings, store=STORE):
    return experiment.train_and_evaluate(
        settings,
        name="tiny",
        workdir=workdir,
        command="test",
        console=Console(file=StringIO()),
        store=store,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "tiny"
    return workdir, run(workdir, settings_of())


def test_results_hold_what_users_lean_on(finished):
    workdir, results = finished
    assert json.loads((workdir / "results.json").read_text()) == results
    described = results["data"]
    for method in ("mothernets", "full_data"):
        entry = results["methods"][method]
        assert set(entry["ensemble"]) == {"average", "vote", "oracle"}
        assert set(entry["ensemble"]["vote"]) == SCORES | {"ece_adaptive"}
        assert entry["validation"].keys() == entry["ensemble"].keys()
        assert entry["weights"] == entry["ood"] == {}
        assert sum(entry["reliability"]["count"]) == described["test_examples"]
        assert "calibrated" not in entry["reliability"]
        assert entry["risk_coverage"]["error"][-1] == pytest.approx(
            entry["ensemble"]["average"]["error"]
        )
        for wrong in entry["worst_images"]:
            assert wrong["label"] != wrong["predicted"]
        matrix = np.array(entry["diversity"]["disagreement_matrix"])
        assert matrix.shape == (4, 4) and matrix.sum() > 0
        assert set(entry["members"]) == {"A_1", "A_2", "B_1", "B_2"}
        assert {"train_seconds", "compile_seconds", "eval_seconds"} <= set(
            entry["clocks"]
        )
    for split in ("train", "validation", "test"):
        of_class = described["class_counts"][split]
        assert len(of_class) == 10 and sum(of_class) == described[f"{split}_examples"]
    assert described["test_images_in_train"] == 0  # the digits are all different
    recipes = results["plan"]["recipes"]["mothernets"]
    trained = [name for own in recipes for name in own["networks"]]
    assert trained == ["mothernet_1", "A_1", "A_2", "B_1", "B_2"]
    assert {own["epochs"] for own in recipes} == {2}
    checks = results["methods"]["mothernets"]["hatching"]
    assert set(checks) == {"A_1", "A_2", "B_1", "B_2"}
    assert all(c["relative_logit_difference"] < 1e-5 for c in checks.values())
    assert (workdir / "config.json").exists()
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2 * (1 + 4) + 2 * 4  # epochs of all networks of both methods


def test_flops_and_epochs_are_those_of_the_plan(finished):
    _, results = finished
    images = 300 // 64 * 64
    a, b = (
        6 * (64 * 8 + 8 * 10),  # 6 x multiply-adds, by hand
        6 * (64 * 12 + 12 * 10 + 10 * 10),
    )
    members = 2 * (a + b)
    cost = {name: m["cost"] for name, m in results["methods"].items()}
    # Kernels, scales and biases of norms, and the head's bias.
    parameters = 2 * (members // 12 + 2 * (8 + 12 + 10) + 2 * 10)
    assert cost["full_data"] == {
        "train_flops": 2 * images * members,
        "epochs": 8,
        "images": 8 * images,
        "parameters": parameters,
        "inference_flops": members / 3,
    }
    # The MotherNet is A.
    assert cost["mothernets"]["train_flops"] == 2 * images * (a + members)
    assert cost["mothernets"]["epochs"] == 10
    for method, entry in results["methods"].items():
        last = entry["anytime"][-1]
        assert last["train_flops"] == cost[method]["train_flops"]
        assert last["error"] == entry["ensemble"]["average"]["error"]


@pytest.mark.parametrize("method", ["mothernets", "full_data"])
def test_a_loaded_ensemble_repeats_the_errors_exactly(finished, method):
    workdir, results = finished
    dataset = data.load("digits")
    ensemble = mn.Ensemble.load(workdir, method)
    entry = results["methods"][method]
    for combine in ("average", "vote"):
        scores = ensemble.predict(dataset.test_images, combine=combine)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
        answers, labels = scores.argmax(axis=1), dataset.test_labels
        assert np.mean(answers != labels) == entry["ensemble"][combine]["error"]
        balanced = 1 - balanced_accuracy_score(labels, answers)
        found = entry["ensemble"][combine]["balanced_error"]
        assert found == pytest.approx(balanced, abs=1e-12)
        if combine == "average":
            matrix = confusion_matrix(labels, answers)
            assert entry["confusion"] == [
                [*pair, matrix[tuple(pair)]] for pair in np.argwhere(matrix).tolist()
            ]
            errors = 1 - matrix.diagonal() / matrix.sum(axis=1)
            assert list(entry["class_errors"]) == list(dataset.class_names)
            assert list(entry["class_errors"].values()) == pytest.approx(errors)
    logits = ensemble.member_logits(dataset.test_images)
    for member, scores in zip(ensemble.members, logits, strict=True):
        error = np.mean(scores.argmax(axis=1) != dataset.test_labels)
        assert error == entry["members"][member]["error"]


def test_members_differ(finished):
    workdir, _ = finished
    images = data.load("digits").test_images[:20]
    for method in ("mothernets", "full_data"):
        logits = mn.Ensemble.load(workdir, method).member_logits(images)
        for i in range(4):
            for j in range(i):
                assert np.abs(logits[i] - logits[j]).max() > 1e-3


def test_loading_names_what_there_is(finished, tmp_path):
    workdir, _ = finished
    with pytest.raises(ValueError, match="full_data, mothernets"):
        mn.Ensemble.load(workdir)
    with pytest.raises(ValueError, match="no ensemble of 'bagging'"):
        mn.Ensemble.load(workdir, "bagging")
    with pytest.raises(ValueError, match="no trained ensemble"):
        mn.Ensemble.load(tmp_path)


def test_a_finished_run_trains_nothing_again(finished, monkeypatch):
    workdir, results = finished
    monkeypatch.setattr(stage_results, "run_stage", None)
    assert run(workdir, settings_of()) == results


def test_only_what_is_missing_is_trained_again(finished, tmp_path, monkeypatch):
    workdir, results = finished
    again = tmp_path / "again"
    shutil.copytree(workdir, again)
    (again / "results.json").unlink()
    shutil.rmtree(again / "stages" / "full_data-B_1-B_2")
    ran = []
    run_stage = stage_results.run_stage

    def counted(stage, *args, **options):
        ran.append(stage.name)
        return run_stage(stage, *args, **options)

    monkeypatch.setattr(stage_results, "run_stage", counted)
    assert without_clocks(run(again, settings_of())) == without_clocks(results)
    assert ran == ["full_data-B_1-B_2"]


def test_an_interrupted_run_ends_in_the_same_results(finished, tmp_path, monkeypatch):
    _, results = finished
    workdir, run_stage, ran = tmp_path / "interrupted", stage_results.run_stage, []

    def interrupted(stage, *args, **options):
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(stage.name)
        return run_stage(stage, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(stage_results, "run_stage", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(workdir, settings_of())
    assert len(list((workdir / "stages").glob("*/record.json"))) == 2
    assert without_clocks(run(workdir, settings_of())) == without_clocks(results)


@pytest.mark.parametrize(
    ("strategy", "replicas"), [("loop", 1), ("loop", 2), ("vmap", 2)]
)
def test_replicas_share_their_programs(tmp_path, strategy, replicas):
    """A MotherNet and two architectures: three programs, however many replicas."""
    networks = {"A": "mlp 8 20; batch_norm", "B": "mlp 12 10; batch_norm"}
    settings = settings_of(
        methods=("mothernets",),
        architectures=networks,
        strategy=strategy,
        replicas=replicas,
    )
    store = ProgramStore()
    run(tmp_path / "run", settings, store)
    assert store.count("train_steps") == 1 + len(networks)
    assert store.count("hatch_member") == len(networks)
    assert store.count("forward") == 1 + len(networks)
    store.close()


@pytest.mark.parametrize("clusters", [1, 2])
def test_the_plan_names_every_mothernet(clusters):
    shown = StringIO()
    experiment.show_plan(settings_of(num_clusters=clusters), Console(file=shown))
    assert f"mothernet_{clusters}:" in shown.getvalue()
    assert f"mothernet_{clusters + 1}:" not in shown.getvalue()


def test_the_plan_says_what_of_a_budget_is_spent():
    """As many whole epochs of A and B together as 9 epochs of B pay for."""
    shown = StringIO()
    console = Console(file=shown, width=200)
    budget = {"budget.epochs": 9.0, "budget.reference": "B", "replicas": 1}
    settings = settings_of(methods=("full_data", "snapshot"), **budget)
    experiment.show_plan(settings, console)
    a, b = 8 * 64 + 8 * 10, 12 * 64 + 12 * 10 + 10 * 10
    epochs = 9 * b // (a + b)
    spent = f"{epochs * (a + b) / (9 * b):.0%} of the budget"
    assert f"training FLOPs, {spent}" in shown.getvalue()


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """A run with a calibration split, and noise for images of another kind."""
    folder = tmp_path_factory.mktemp("noise")
    noise = np.random.default_rng(0).integers(0, 256, (9, 8, 8), np.uint8)
    for number, image in enumerate(noise):
        path = folder / ("train" if number == 0 else "test") / "noise" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    overrides = {
        "methods": ("full_data",),
        "combine": "super_learner",
        "data.calibration_fraction": 0.1,
        "data.ood_name": "folder",
        "data.ood_dir": str(folder),
    }
    workdir = tmp_path_factory.mktemp("run") / "calibrated"
    return workdir, run(workdir, settings_of(**overrides)), noise[1:, ..., None]


def test_weights_and_temperatures_are_fitted_on_the_calibration_split(calibrated):
    workdir, results, _ = calibrated
    dataset = data.load("digits", calibration_fraction=0.1)
    assert results["data"]["calibration_examples"] == len(dataset.calibration_labels)
    ensemble = mn.Ensemble.load(workdir)
    logits = ensemble.member_logits(dataset.calibration_images, batch_size=512)
    expected = ensemble.calibrate(logits, dataset.calibration_labels)
    entry = results["methods"]["full_data"]
    assert entry["weights"] == {
        combine: dict(zip(ensemble.members, weights.tolist(), strict=True))
        for combine, weights in expected.weights.items()
    }
    for combine, temperature in expected.temperatures.items():
        figures = entry["ensemble"][combine]
        assert figures["temperature"] == temperature
        for found, predict in [
            (figures, ensemble.predict),
            (figures["calibrated"], partial(ensemble.predict, calibrated=True)),
        ]:
            scores = predict(dataset.test_images, combine=combine).astype(np.float64)
            scores /= scores.sum(axis=1, keepdims=True)
            loss = log_loss(dataset.test_labels, scores)
            assert found["nll"] == pytest.approx(loss, rel=1e-4)
            accuracy = accuracy_score(dataset.test_labels, scores.argmax(axis=1))
            assert figures["error"] == pytest.approx(1 - accuracy, abs=1e-12)
    assert set(entry["members"]["A_1"]) >= SCORES
    counts = entry["reliability"]["calibrated"]["count"]
    assert sum(counts) == len(dataset.test_labels)


@pytest.mark.parametrize("split", ["finished", "calibrated"])
def test_an_ensemble_is_worth_so_many_networks(split, request):
    """Of full data's networks, by the mean over all subsets of them."""
    workdir, results, *_ = request.getfixturevalue(split)
    held_out = split == "calibrated"
    dataset = data.load("digits", calibration_fraction=0.1 if held_out else 0.0)
    labels, others = dataset.test_labels, dataset.calibration_labels

    def averaged(images, method):
        ensemble = mn.Ensemble.load(workdir, method)
        logits = ensemble.member_logits(images, batch_size=512)
        return softmax(logits.astype(np.float64), axis=-1)

    networks = averaged(dataset.test_images, "full_data")
    if held_out:
        known = averaged(dataset.calibration_images, "full_data")
    curve = []
    for size in range(1, 5):
        nlls = []
        for own in map(list, itertools.combinations(range(4), size)):
            fitted = (known[own].mean(axis=0), others) if held_out else None
            nlls.append(calibrated_nll(networks[own].mean(axis=0), labels, fitted))
        curve.append(np.mean(nlls))
    entry = results["methods"]["full_data"]
    assert entry["deep_ensembles"]["nll"] == pytest.approx(curve, abs=1e-5)
    assert entry["deep_ensembles"]["subsets"] == [4, 6, 4, 1]
    for method in results["methods"]:
        found = results["methods"][method]["deep_ensemble_equivalent"]
        of = "the calibration split" if held_out else "halves of the test split"
        assert found["temperature"] == of
        if not held_out:
            own = averaged(dataset.test_images, method).mean(axis=0)
            nll = calibrated_nll(own, labels)
            assert found["nll"] == pytest.approx(nll, abs=1e-5)
        value, nll = found["networks"]["value"], found["nll"]
        assert found["networks"]["of"] == 4
        if isinstance(value, float):
            there = np.interp(value, [1, 2, 3, 4], entry["deep_ensembles"]["nll"])
            assert there == pytest.approx(nll, abs=1e-9)
        else:
            assert value == ("below 1" if nll > curve[0] else "more than 4")
    calibrated_figures = entry["ensemble"]["average"].get("calibrated")
    if held_out:
        own = entry["deep_ensemble_equivalent"]["nll"]
        assert own == calibrated_figures["nll"] == entry["deep_ensembles"]["nll"][-1]


@pytest.mark.parametrize("split", ["finished", "calibrated"])
def test_an_ensemble_measures_what_its_run_has(split, request):
    workdir, results, *noise = request.getfixturevalue(split)
    held_out = split == "calibrated"
    dataset = data.load("digits", calibration_fraction=0.1 if held_out else 0.0)
    entry = results["methods"]["full_data"]
    found = mn.Ensemble.load(workdir, "full_data").evaluate(
        dataset.test_images,
        [dataset.class_names[label] for label in dataset.test_labels],
        ood_images=noise[0] if noise else None,
    )
    check_within(found, entry)
    beside = {"validation", "cost", "clocks", "anytime", "hatching", "stages"}
    beside |= {"deep_ensembles", "left_out", "worst_images"}
    assert entry.keys() - found.keys() == beside


def check_within(found, expected):
    """All that is found is expected, its numbers to rounding of other batches' sums."""
    if isinstance(found, dict):
        assert found.keys() <= expected.keys()
        for name, own in found.items():
            check_within(own, expected[name])
    elif isinstance(found, list):
        for own, other in zip(found, expected, strict=True):
            check_within(own, other)
    elif isinstance(found, float):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-7)
    else:
        assert found == expected


def test_methods_are_paired_on_the_test_images(finished):
    workdir, results = finished
    labels = data.load("digits").test_labels
    images = data.load("digits").test_images
    wrong, losses = [], []
    for method in ("mothernets", "full_data"):
        scores = mn.Ensemble.load(workdir, method).predict(images).astype(np.float64)
        wrong.append(scores.argmax(axis=1) != labels)
        losses.append(-np.log(scores[np.arange(len(labels)), labels]))
    (pair,) = results["paired"]
    assert (pair["first"], pair["second"]) == ("mothernets", "full_data")
    gap = wrong[0].mean() - wrong[1].mean()
    assert pair["error"]["difference"] == pytest.approx(gap, abs=1e-12)
    assert pair["error"]["low"] < gap < pair["error"]["high"]
    interval = ttest_rel(*losses).confidence_interval(0.95)
    found = pair["nll"]["low"], pair["nll"]["high"]
    assert found == pytest.approx((interval.low, interval.high), abs=1e-5)


def test_other_images_are_told_apart_by_their_doubt(calibrated):
    workdir, results, noise = calibrated
    ensemble = mn.Ensemble.load(workdir)
    inside = data.load("digits").test_images
    logits = ensemble.member_logits(np.concatenate([inside, noise]))
    mean = softmax(logits.astype(np.float64), axis=-1).mean(axis=0)
    scores = np.sort(mean, axis=1)[:, :-1].sum(axis=1)
    truth = [0] * len(inside) + [1] * len(noise)
    found = results["methods"]["full_data"]["ood"]
    assert found["name"] == "folder"
    expected = roc_auc_score(truth, scores)
    assert found["auroc_max_probability"] == pytest.approx(expected, rel=1e-6)
    assert set(found) == {"name", "auroc_max_probability", "auroc_entropy"}


def test_another_experiments_folder_is_refused(finished):
    workdir, _ = finished
    with pytest.raises(
        ValueError, match=r"config.hatch.noise is 0.0 there and 0.5 her"
    ):
        run(workdir, settings_of(**{"hatch.noise": 0.5}))


def test_a_member_that_lost_its_function_stops_the_run(tmp_path, monkeypatch):
    draw_shares = hatching.draw_shares

    def without_shares(*args):
        return {k: jnp.ones_like(v) for k, v in draw_shares(*args).items()}

    monkeypatch.setattr(hatching, "draw_shares", without_shares)
    # Networks that no other test here has compiled, with their shares, already.
    networks = {"A": "mlp 7; batch_norm", "B": "mlp 11 10; batch_norm"}
    settings = settings_of(methods=("mothernets",), architectures=networks)
    with pytest.raises(RuntimeError, match="does not compute its MotherNet's function"):
        run(tmp_path, settings)


def test_without_validation_and_with_parted_replicas(tmp_path):
    settings = settings_of(
        **{
            "methods": ("mothernets",),
            "data.validation_fraction": 0.0,
            "num_clusters": 3,
        }
    )
    results = run(tmp_path, settings)
    entry = results["methods"]["mothernets"]
    assert entry["validation"] == {}
    assert all(m["validation_error"] is None for m in entry["members"].values())
    clusters = [
        {member["name"] for member in cluster["members"]}
        for cluster in results["plan"]["clusters"]
    ]
    assert len(clusters) == 3
    pairs = {"A_1", "A_2"}, {"B_1", "B_2"}
    assert any(not any(pair <= found for found in clusters) for pair in pairs)
    assert entry["members"].keys() == set.union(*pairs)


def test_a_report_is_written(finished, tmp_path):
    workdir, _ = finished
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    console = Console(file=StringIO(), width=120)
    experiment.run(
        settings_of(), name="tiny", workdir=copy, command="test", console=console
    )
    assert "MotherNets" in console.file.getvalue()
    page = (copy / "report.html").read_text()
    assert "http://" not in page
    assert "A_1" in page


def test_without_a_budget_each_method_has_its_own_end(tmp_path):
    """A rate of 0 changes nothing, so the first of four epochs is the best one.

    Cycles have their length, and FGE's last network is in the middle of its own.
    """
    settings = settings_of(
        **{
            **ALL_METHODS,
            "architectures": {"A": "mlp 8 8"},  # without statistics, which would change
            "train.learning_rate": 0.0,
            "train.epochs": 9,
            "train.stop": "plateau",
            "train.patience_epochs": 3,
            "hatch.learning_rate": 0.0,
            "hatch.epochs": 9,
            "snapshot.cycle_epochs": 5,
            "fge.cycle_epochs": 2,
            "prune_and_tune.epochs": 5,
        }
    )
    methods = run(tmp_path, settings)["methods"]
    assert {name: entry["cost"]["epochs"] for name, entry in methods.items()} == {
        "mothernets": 3 * 4,
        "full_data": 2 * 4,
        "bagging": 2 * 4,
        "distillation": 3 * 4,
        "treenets": 2 * 4,
        "snapshot": 2 * 5,
        "fge": 9 + 1 + 2,
        "swa": 9,
        "star": 3 * 4,
        "prune_and_tune": 9 + 2 * 5,
    }
    full_data = methods["full_data"]
    assert [member["epochs"] for member in full_data["members"].values()] == [4, 4]
    flops = 256 * 8 * 6 * (64 * 8 + 8 * 8 + 8 * 10)
    assert full_data["cost"]["train_flops"] == flops


def test_all_methods_at_one_budget(tmp_path):
    """Each trains to the end, costs what is counted, and saves what it evaluated."""
    settings = settings_of(
        **{
            **ALL_METHODS,
            "replicas": 1,
            "budget.epochs": 16.0,
            "budget.reference": "B",
            "fge.cycle_epochs": 2,
            "prices": {"cpu": 0.5},
        }
    )
    results = run(tmp_path, settings)
    images, b = 256, 6 * (64 * 12 + 12 * 10 + 10 * 10)
    dataset = data.load("digits")
    for name, entry in results["methods"].items():
        cost, clocks = entry["cost"], entry["clocks"]
        assert 0.5 * 16 * images * b < cost["train_flops"] <= 16 * images * b, name
        assert cost["train_flops"] == entry["anytime"][-1]["train_flops"]
        assert cost["images"] == cost["epochs"] * images
        assert clocks["peak_memory_bytes"] > 256 * 64  # the images alone
        paid = ("train", "hatch", "eval")
        seconds = sum(clocks[f"{clock}_seconds"] for clock in paid)
        dollars = 0.5 * seconds / 3600 * jax.device_count()
        assert clocks["dollars"] == pytest.approx(dollars)
        ensemble = mn.Ensemble.load(tmp_path, name)
        assert list(ensemble.members) == list(entry["members"])
        error = np.mean(
            ensemble.predict(dataset.test_images).argmax(1) != dataset.test_labels
        )
        assert error == entry["ensemble"]["average"]["error"]
        assert error < 0.8, name  # something was learned
    recipes = results["plan"]["recipes"]
    own = {n for n, found in recipes.items() if found[-1]["schedule"] == "own"}
    assert own == {"fge", "swa"}  # whose rates are no schedule of settings
    methods = results["methods"]
    # The first layer and its normalisation are both branches' and count once.
    branches = methods["treenets"]["members"].values()
    trunk = {NETWORKS["A"]: 64 * 8 + 16, NETWORKS["B"]: 64 * 12 + 24}
    (shared,) = {trunk[member["architecture"]] for member in branches}
    size = sum(member["parameters"] for member in branches) - shared
    assert methods["treenets"]["cost"]["parameters"] == size


def test_another_seed_is_another_run(finished, tmp_path):
    """The control of the comparisons above."""
    _, results = finished
    other = run(tmp_path, settings_of(seed=1, methods=("full_data",)))
    assert without_clocks(other["methods"]["full_data"]) != without_clocks(
        results["methods"]["full_data"]
    )


def test_a_damaged_stage_is_named_and_trained_again(finished, tmp_path, caplog):
    workdir, results = finished
    shutil.copytree(workdir, tmp_path, dirs_exist_ok=True)
    (tmp_path / "results.json").unlink()
    folder = tmp_path / "stages" / "full_data-A_1-A_2"
    (folder / "variables" / "_METADATA").write_bytes(b"")
    with caplog.at_level(logging.WARNING, logger="mothernets_jax"):
        again = run(tmp_path, settings_of())
    assert f"{folder}/variables cannot be restored (its file _METADATA" in caplog.text
    assert "stage full_data-A_1-A_2 is trained again" in caplog.text
    assert without_clocks(again) == without_clocks(results)


def test_a_mistake_claims_no_folder(tmp_path):
    with pytest.raises(ValueError, match="batch_size is 9999"):
        run(tmp_path / "new", settings_of(**{"train.batch_size": 9999}))
    assert not (tmp_path / "new").exists()
