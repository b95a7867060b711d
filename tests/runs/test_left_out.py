"""A run in which networks fail: they are left out, and all the others go on.

Some begin with NaN, so that they diverge, and do so again at the lower rate. Of some,
the weights are so large after training, though finite, that their logits are not.
"""

import json
import math
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_runs import Page, without_clocks
from rich.console import Console

import mothernets_jax as mn
from configs.vgg_ensemble import get_config
from mothernets_jax import data
from mothernets_jax.config.settings import Recipe
from mothernets_jax.methods import hatched_start, read_settings
from mothernets_jax.report import comparison_page, run_page
from mothernets_jax.report.columns import with_shares
from mothernets_jax.report.compare import compare
from mothernets_jax.report.finished_runs import Run
from mothernets_jax.report.plots.curves import curves_of
from mothernets_jax.report.plots.series import anytime_points
from mothernets_jax.report.tables import comparison_table
from mothernets_jax.runs import experiment, stage_results
from mothernets_jax.runs.load_task import load_task
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.stages.task import step_spec
from mothernets_jax.storage import checkpoints
from mothernets_jax.training.member_step import new_state
from mothernets_jax.training.optim import SGD

STORE = ProgramStore()  # one compilation of each program for all tests here
DIVERGES = {
    "mothernets-mothernet_1",
    "full_data-B",
    "distillation-teacher",
    "treenets-A",
    "fge-A_cycle_2",
}
OVERFLOWS = {"bagging-A"}
METHODS_RUN = ("mothernets", "full_data", "bagging", "distillation", "treenets", "fge")
IN_VAIN = "in epoch 1 its training loss is nan, at 0.1 of the learning rate too"


def settings_of(**overrides):
    config = get_config("digits")
    with config.unlocked():
        config.architectures = {"A": "mlp 6", "B": "mlp 8"}
        config.update_from_flattened_dict(
            {
                "methods": METHODS_RUN,
                "replicas": 1,
                "num_clusters": 2,
                "data.train_examples": 256,
                "data.calibration_fraction": 0.1,
                "data.validation_fraction": 0.0,  # nothing tells before the test
                "train.batch_size": 128,
                "train.epochs": 2,
                "hatch.epochs": 1,
                "hatch.noise": 0.0,
                "hatch.warmup_epochs": 0.0,
                "fge.cycle_epochs": 2,
                **overrides,
            }
        )
    return read_settings(config)


def run(workdir, settings):
    return experiment.train_and_evaluate(
        settings,
        name="tiny",
        workdir=workdir,
        console=Console(quiet=True),
        store=STORE,
    )


def with_head(state, change):
    """A state whose head's kernel and bias are changed."""
    head = jax.tree.map(change, state.params["head"])
    return state._replace(params={**state.params, "head": head})


def failing(diverges, overflows):
    """`stage_results.run_stage`, in which stages of these names fail."""
    run_stage = stage_results.run_stage

    def run_or_fail(stage, *args, **options):
        def start(*given):
            begun = stage.start(*given)
            broken = {
                name: with_head(state, lambda leaf: leaf * jnp.nan)
                for name, state in begun.states.items()
            }
            return begun._replace(states=broken)

        failing = stage._replace(start=start) if stage.name in diverges else stage
        result = run_stage(failing, *args, **options)
        if stage.name not in overflows:
            return result
        broken = {
            name: with_head(state, lambda leaf: jnp.sign(leaf) * 3e38)
            for name, state in result.states.items()
        }
        return result._replace(states=broken)

    return run_or_fail


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of six methods, each with networks that fail."""
    workdir = tmp_path_factory.mktemp("run") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage_results, "run_stage", failing(DIVERGES, OVERFLOWS))
        return workdir, run(workdir, settings_of())


def test_only_what_failed_and_what_needs_it_is_left_out(finished):
    _, results = finished
    kept = {name: [*entry["members"]] for name, entry in results["methods"].items()}
    left_out = {
        name: entry["left_out"]
        for section in ("methods", "failed")
        for name, entry in results[section].items()
    }
    assert kept == {
        "mothernets": ["B"],
        "full_data": ["A"],
        "bagging": ["B"],
        "fge": ["A_cycle_1"],
    }
    assert left_out == {
        "mothernets": {"A": f"it needs mothernet_1, which was left out: {IN_VAIN}"},
        "full_data": {"B": IN_VAIN},
        "bagging": {"A": "its predictions of the test images are not finite"},
        "fge": {"A_cycle_2": IN_VAIN},
        "distillation": dict.fromkeys(
            "AB", f"it needs teacher, which was left out: {IN_VAIN}"
        ),
        "treenets": {"A_branch_1": IN_VAIN, "A_branch_2": IN_VAIN},
    }
    assert list(results["failed"]) == ["distillation", "treenets"]


def test_figures_are_of_those_that_are_left_and_costs_of_all(finished):
    workdir, results = finished
    dataset = data.load("digits", validation_fraction=0.0, calibration_fraction=0.1)
    entry = results["methods"]["bagging"]
    for weights in entry["weights"].values():
        assert weights == {"B": 1.0}
    scores = mn.Ensemble.load(workdir, "bagging").predict(dataset.test_images)
    wrong = np.mean(scores.argmax(axis=1) != dataset.test_labels)
    assert entry["ensemble"]["average"]["error"] == wrong
    # Images, epochs, 6 x multiply-adds. The teacher is B, and diverged twice.
    flops = {"A": 64 * 6 + 6 * 10, "B": 64 * 8 + 8 * 10}
    flops = {name: 6 * 256 * each for name, each in flops.items()}
    assert entry["cost"]["train_flops"] == 2 * sum(flops.values())
    assert results["failed"]["distillation"]["cost"] == {
        "train_flops": 2 * flops["B"],
        "epochs": 2,
        "images": 2 * 256,
    }
    # What the second cycle cost in vain counts, to the last point of the curve: 2
    # epochs before the cycles, 1 to the middle of the first, 2 tries from there.
    fge = results["methods"]["fge"]
    assert [point["train_flops"] for point in fge["anytime"]] == [5 * flops["A"]]
    (point,) = anytime_points(fge)
    clocks = [stage["clocks"] for stage in fge["stages"]]
    assert point["seconds"] == sum(c["train_seconds"] for c in clocks)


def test_results_are_json_for_every_reader(finished):
    workdir, _ = finished

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    texts = [(workdir / "results.json").read_text()]
    texts += (workdir / "metrics.jsonl").read_text().splitlines()
    for text in texts:
        json.loads(text, parse_constant=refuse)


def test_nothing_is_trained_again(finished, tmp_path, monkeypatch):
    """Neither in a finished run, nor where only what each stage has left is there."""
    workdir, results = finished
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    monkeypatch.setattr(stage_results, "run_stage", None)
    assert run(copy, settings_of()) == results
    (copy / "results.json").unlink()
    shutil.rmtree(copy / "ensembles")
    again = run(copy, settings_of())
    assert without_clocks(again) == without_clocks(results)


def test_a_damaged_record_of_nothing_is_made_again(finished, tmp_path, caplog):
    workdir, results = finished
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    (copy / "results.json").unlink()
    folder = copy / "stages" / "treenets-A"
    assert [path.name for path in folder.iterdir()] == ["record.json"]
    content = (folder / "record.json").read_bytes()
    (folder / "record.json").write_bytes(content.replace(b"nan", b"inf", 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage_results, "run_stage", failing(DIVERGES, OVERFLOWS))
        again = run(copy, settings_of())
    assert "The stage treenets-A is trained again" in caplog.text
    assert without_clocks(again) == without_clocks(results)


def test_loading_says_why_there_is_no_ensemble(finished):
    workdir, _ = finished
    with pytest.raises(ValueError, match="none of its members could be trained.*loss"):
        mn.Ensemble.load(workdir, "treenets")
    with pytest.raises(ValueError, match="bagging, fge, full_data, mothernets: n"):
        mn.Ensemble.load(workdir)
    with pytest.raises(ValueError, match="no ensemble of 'other'"):
        mn.Ensemble.load(workdir, "other")


def test_the_one_ensemble_that_there_is_needs_no_name(finished, tmp_path):
    workdir, _ = finished
    for method in ("fge", "treenets"):
        shutil.copytree(workdir / "ensembles" / method, tmp_path / "ensembles" / method)
    assert [*mn.Ensemble.load(tmp_path).members] == ["A_cycle_1"]


def test_the_report_shows_who_failed(finished):
    _, results = finished
    page = Page(run_page._page(results, {}, Path("run")))
    failed = (
        "TreeNets has no ensemble, as none of its networks could be trained "
        f"(A_branch_1: {IN_VAIN}; and 1 more)."
    )
    assert failed in page.text
    assert f"Full data: B was left out of the ensemble, as {IN_VAIN}." in page.text
    rows = {row[""]: row for row in page.tables[0][1:]}
    assert rows["TreeNets"]["average error"] == "–"
    assert rows["TreeNets"]["train FLOPs"] != "–"
    table = comparison_table(results)
    names, errors = ([*map(str, table.columns[i].cells)] for i in (0, 1))
    assert names[-2:] == ["Distillation", "TreeNets"]
    assert errors[-2:] == ["–", "–"] and "–" not in errors[:-2]


def test_costs_are_not_held_against_full_data_that_failed(finished):
    _, results = finished
    methods = results["methods"]
    assert "share_of_full_data" in with_shares(methods)["fge"]["cost"]
    failed = methods | {"full_data": results["failed"]["treenets"]}
    assert "share_of_full_data" not in with_shares(failed)["fge"]["cost"]


def test_networks_that_were_left_out_are_no_mothernets_in_the_plot(finished):
    """Of each curve, whether it is drawn as what was trained before the members."""
    _, results = finished
    entry = results["methods"]["full_data"]
    history = {"train_error": [0.5], "validation_error": [None], "train_loss": [1.0]}
    stages = [{**stage, "history": {}} for stage in entry["stages"]]
    stages[0]["history"] = {"A": history, "B": history, "other": history}
    curves = curves_of({**entry, "stages": stages}, [], "training error")
    assert {c.name: c.shared for c in curves} == {"A": False, "B": False, "other": True}


def test_a_comparison_says_what_is_missing(finished):
    _, results = finished
    runs = [
        Run(
            f"seed{seed}",
            settings_of().to_json() | {"seed": seed},
            {**results, "failed": {name: results["failed"][name] for name in failed}},
        )
        for seed, failed in ((0, ["treenets"]), (1, []))
    ]
    compared = compare(runs)
    assert [run["failed"] for run in compared["runs"]] == [["treenets"], []]
    rows = comparison_page.rows_of(compared)
    text = Page(comparison_page._page(compared, rows, {}, {})).text
    assert "seed0 (seed 0) has no ensemble of TreeNets, as none of" in text
    assert "(seed 1) has no" not in text


def test_a_run_without_any_ensemble_ends_with_one_message(tmp_path, monkeypatch):
    settings = settings_of(methods=("treenets", "full_data"))
    diverges = {"treenets-A", "full_data-A", "full_data-B"}
    said = (
        r"no network of any method could be trained \(treenets: A_branch_1: in epoch 1 "
        r".*; and 1 more\): lower config.train.learning_rate"
    )
    with monkeypatch.context() as patch:
        patch.setattr(stage_results, "run_stage", failing(diverges, set()))
        with pytest.raises(ValueError, match=said):
            run(tmp_path, settings)
    monkeypatch.setattr(stage_results, "run_stage", None)  # nothing is trained again
    with pytest.raises(ValueError, match=said):
        run(tmp_path, settings)
    for method in settings.methods:
        assert checkpoints.is_finished(tmp_path / "ensembles" / method)
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("size", "tolerance", "expected"),
    [
        (0.0, hatched_start.TOLERANCE, None),  # logits of nothing but zeros are some
        (1.0, hatched_start.TOLERANCE, None),
        (math.inf, hatched_start.TOLERANCE, "not finite"),
        (1e20, -1.0, "as large as "),  # what rounding may do to such
    ],
)
def test_hatching_from_a_mothernet_that_overflows(
    size, tolerance, expected, monkeypatch
):
    settings = settings_of(methods=("mothernets",))
    task = load_task(settings)
    mother, member = mn.mlp((6,)), mn.mlp((8,))
    variables = mn.init(mother, jax.random.key(0), task.input_shape, task.num_classes)
    state = with_head(new_state(variables, SGD()), lambda leaf: leaf * min(size, 3e38))
    if math.isinf(size):
        state = with_head(state, lambda leaf: jnp.full_like(leaf, 3e38))
    monkeypatch.setattr(hatched_start, "TOLERANCE", tolerance)
    begun = hatched_start.start_hatched(
        "mothernets",
        task,
        settings,
        hatched_start.Parent("mothernet_1", mother, {}),
        step_spec(task, member, recipe=Recipe()),
        ("B",),
        {"mothernet_1": state},
        Executables(STORE),
    )
    assert begun.states.keys() == {"B"}
    if expected is None:
        assert begun.left_out == {}
        assert begun.checks["B"]["relative_logit_difference"] < 1e-5
    else:
        assert begun.checks == {}
        assert f"mothernet_1, are {expected}" in begun.left_out["B"]
