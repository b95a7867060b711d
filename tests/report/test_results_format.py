"""What reports read is what runs write; all else is refused before it is drawn."""

import copy
import json
from pathlib import Path

import pytest
from fake_runs import RECIPE, add_predictions, fake_results

from mothernets_jax.report.results_format import check_results, check_settings

BEFORE = Path(__file__).parents[1] / "fixtures" / "before_folders" / "mlp"

VARIATION = {"crop": "shift", "crop_padding": 1, "flip": "none", "augment": ""}
VARIATION |= {"noise": 0.01}


def whole_results():
    """A run's results with every section that a version has written."""
    results = add_predictions(fake_results(replicas=1))
    results["data"] |= {"streamed": False, "notes": ["a note"], "majority_error": 0.9}
    counts = {"train": [125] * 9 + [132], "test": [180] * 9 + [177]}
    results["data"] |= {"class_counts": counts, "test_images_in_train": None}
    results["plan"]["apart"] = ["a sentence"]
    results["plan"] |= {"recipes": {"mothernets": [RECIPE]}, "variation": VARIATION}
    results["clocks"] = {"finished": "2026-11-28T09:00:00+00:00", "seconds": 61.5}
    interval = {"difference": 0.01, "low": -0.01, "high": 0.03}
    pair = {"first": "mothernets", "second": "full_data", "error": interval}
    results["paired"] = [{**pair, "nll": dict(interval)}]
    failure = {"left_out": {"V13": "its loss is nan"}, "cost": {"train_flops": 1e9}}
    results["failed"] = {"fge": {**failure, "clocks": {"train_seconds": 1.5}}}
    for method in results["methods"].values():
        networks = {"value": 2.5, "low": "below 1", "high": 3.0, "of": 5}
        worth = {"nll": 0.25, "temperature": "halves", "networks": networks}
        method["deep_ensemble_equivalent"] = worth
        method["deep_ensembles"] = {"nll": [0.3, 0.2], "deviation": [0.1, 0.0]}
        method["class_errors"] = {str(name): 0.02 for name in range(10)}
        method["confusion"] = [[0, 0, 170], [0, 1, 10]]
        method["ood"] = {"name": "noise", "auroc_entropy": 0.5}
        method["left_out"] = {"V13_9": "it diverged"}
        wrong = {"image": 3, "label": 0, "predicted": 9, "probability": 0.9}
        method["worst_images"] = [{**wrong, "png": "iVBORw0KGgo="}]
        method["stages"][0]["retried"] = ["V13_1"]
    return json.loads(json.dumps(results))


def test_every_version_s_results_pass():
    check_results(json.loads(json.dumps(fake_results())))  # as of the first ones
    check_results(json.loads((BEFORE / "results.json").read_text()))
    check_settings(json.loads((BEFORE / "config.json").read_text()))
    check_results(whole_results())


def change(results, path, value):
    *groups, last = path.split(".")
    for name in groups:
        results = results[int(name) if name.isdigit() else name]
    results[int(last) if last.isdigit() else last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", 5),
        ("provenance", None),
        ("data.input_shape", ["<script>alert(1)</script>", 1, 1]),
        ("data.input_shape", [8, 8]),
        ("data.test_examples", 0),
        ("data.class_names", []),
        ("data.class_names", ["a", "b"]),
        ("data.class_counts", {"train": [1], "test": [1]}),
        ("data.class_counts", {"train": [0] * 10, "test": [0] * 10}),
        ("methods", {}),
        ("methods", []),
        ("methods.full_data", {}),
        ("methods.full_data.ensemble", {}),
        ("methods.full_data.ensemble.average.error", 1e308),
        ("methods.full_data.ensemble.average.calibrated", {"nll": 1}),
        ("methods.full_data.validation", {"vote": {"error": 0.1}}),
        ("methods.full_data.members", {}),
        ("methods.full_data.members.V13_1", None),
        ("methods.full_data.members.V13_1.parameters", -1),
        ("methods.full_data.cost", {}),
        ("methods.full_data.clocks", None),
        ("methods.full_data.cost.share_of_full_data", "half"),
        ("failed.fge.cost", {"train_flops": 1, "epochs": "many"}),
        ("methods.full_data.anytime", [{"members": 1, "train_flops": 1, "error": 0}]),
        ("methods.full_data.anytime", []),
        ("methods.full_data.stages", []),
        ("methods.full_data.stages.0.history", {"V13_1": {"train_error": [0.1]}}),
        ("methods.full_data.stages.0.clocks", {}),
        ("methods.mothernets.hatching", {"V13_1": {}}),
        ("methods.mothernets.worst_images.0.png", 'x" onerror="alert(1)'),
        ("methods.mothernets.worst_images.0.label", 10),
        ("methods.mothernets.risk_coverage.coverage", [0.5, 0.8, 0.9, 0.95, 0.9]),
        ("methods.mothernets.risk_coverage.error", [0.0, 0.1]),
        ("plan.recipes.mothernets.0.learning_rate", "0.1"),
        ("plan.variation.augment", None),
        ("clocks.seconds", "61 s"),
        ("methods.full_data.reliability", []),
        ("methods.full_data.reliability.count", [1]),
        ("methods.full_data.reliability.count", [1, 2, 6]),
        ("methods.full_data.reliability.calibrated", {}),
        ("methods.full_data.diversity.disagreement_matrix", [[0.5]]),
        ("methods.full_data.diversity.disagreement_matrix", [[0.5]] * 5),
        ("methods.full_data.ood", {"auroc_entropy": 0.5}),
        ("methods.full_data.class_errors", {"x": 0.1}),
        ("methods.full_data.confusion", [[0, 10, 1]]),
        ("methods.full_data.confusion", [[0, 1]]),
        ("methods.full_data.deep_ensemble_equivalent", {"nll": "x"}),
        ("methods.full_data.deep_ensembles", {"nll": [0.3], "deviation": []}),
        ("methods.full_data.deep_ensembles", {"nll": [], "deviation": []}),
        ("plan", []),
        ("plan.clusters.0.members", []),
        ("plan.clusters.0.parameters", 0),
        ("failed.fge.left_out", {}),
        ("failed.fge", None),
        ("paired.0.first", "unknown"),
        ("paired.0.error", {}),
    ],
)
def test_what_no_run_writes_is_refused(path, value):
    results = whole_results()
    change(results, path, value)
    with pytest.raises(ValueError) as refused:
        check_results(results)
    message = str(refused.value)
    assert message.startswith("results") and "\n" not in message
    assert len(message) < 400


def test_a_picture_of_thousands_of_networks_is_refused():
    results = whole_results()
    cluster = results["plan"]["clusters"][0]
    cluster["members"] = cluster["members"][:1] * 250
    results["plan"]["clusters"] = [copy.copy(cluster) for _ in range(3)]
    with pytest.raises(ValueError, match="has 753 networks, above 500"):
        check_results(results)


@pytest.mark.parametrize("value", [[], {}, {"seed": "0", "methods": []}, {"seed": 0}])
def test_settings_that_no_run_has_are_refused(value):
    with pytest.raises(ValueError, match="^config"):
        check_settings(value)
