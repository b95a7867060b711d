"""The form of a run's `results.json` and `config.json`, whoever has written them.

`runs/results.py` and `runs/experiment.py` write what is read here. What reports compute
with or draw is required, and in ranges in which they can; what earlier versions did not
write is optional; all else is not looked at, and not read.
"""

from typing import Any

from mothernets_jax.architectures.checks import MOST_CLASSES, MOST_MEMBERS
from mothernets_jax.metrics.class_errors import distinct_names
from mothernets_jax.report import columns
from mothernets_jax.report.schema import (
    base64_text,
    boolean,
    by_name,
    either,
    fields,
    listing,
    nullable,
    number,
    same_length,
    text,
    whole,
)

_MOST_METHODS, _MOST_STAGES, _MOST_EPOCHS = 50, 10_000, 1_000_000
_MOST_DRAWN = 2 * MOST_MEMBERS  # MotherNets and members in the picture of the plan
# A new column of a table is checked without a line here.
_COLUMNS = {
    *columns.worth_columns(unequal_classes=True),
    *columns.terminal_columns(unequal_classes=False),
    *columns.COSTS,
    *columns.DIFFERENCES,
    *columns.DETECTION,
} - {columns.NETWORKS}  # which are counted: no figure

_error, _share = number(0, 1), number(0, 1)
_figure = nullable(number(-1e30, 1e30))
_cost = number(0, 1e30)
_count = whole(0, 2**53)
_name, _notation, _words = text(300), text(100_000), text(100_000)

_scores = {
    name: _figure
    for name in ("nll", "brier", "ece", "ece_adaptive", "temperature", "balanced_error")
}
_combination = fields(
    {}, {"error": _error, **_scores, "calibrated": fields({}, _scores)}
)
_combinations = by_name(_combination, _MOST_METHODS, _name)
_averaged = fields({"average": fields({"error": _error})})
_nothing = fields({})
_clocks = by_name(_figure, 100, _name)

_bins = {
    "confidence": listing(nullable(_share), 1000, 1),
    "accuracy": listing(nullable(_share), 1000, 1),
    "count": listing(_count, 1000, 1),
}
_member = fields(
    {
        "error": _error,
        "validation_error": nullable(_error),
        "architecture": _notation,
        "parameters": _count,
        "train_flops": _cost,
        "epochs": _count,
    },
    _scores,
)
_history = fields(
    {
        name: listing(nullable(_error), _MOST_EPOCHS)
        for name in ("train_error", "validation_error")
    }
)
_stage = fields(
    {
        "name": _name,
        "members": listing(_name, MOST_MEMBERS),
        "train_flops": _cost,
        "clocks": fields({"train_seconds": _cost, "hatch_seconds": _cost}),
        "history": by_name(_history, MOST_MEMBERS, _name),
    },
    {"retried": listing(_name, MOST_MEMBERS)},
)
_curve = listing(number(-1e30, 1e30), MOST_MEMBERS)
_networks = either(number(0, MOST_MEMBERS), text(100))
_left_out = by_name(_words, 2 * MOST_MEMBERS, _name)
_total = {"train_flops": _cost}
_totals = {name: _figure for name in ("images", "inference_flops")}

_method = fields(
    {
        "ensemble": _combinations,
        "validation": _combinations,
        "mean_member_error": _error,
        "members": by_name(_member, MOST_MEMBERS, _name),
        "cost": fields({**_total, "epochs": _cost, "parameters": _cost}, _totals),
        "clocks": _clocks,
        "anytime": listing(
            fields({"members": _count, "train_flops": _cost, "error": _error}),
            MOST_MEMBERS,
        ),
        "hatching": by_name(
            fields({"relative_logit_difference": _cost}), MOST_MEMBERS, _name
        ),
        "stages": listing(_stage, _MOST_STAGES),
    },
    {
        "diversity": fields(
            {},
            {
                "disagreement_matrix": listing(
                    listing(_share, MOST_MEMBERS), MOST_MEMBERS
                ),
                "disagreement": _figure,
                "covariance": _figure,
                "mutual_information": _figure,
            },
        ),
        "ood": fields({}, {"auroc_max_probability": _figure, "auroc_entropy": _figure}),
        "risk_coverage": fields(
            {
                "coverage": listing(_share, 1000, 1),
                "error": listing(_error, 1000, 1),
                "aurc": _error,
            }
        ),
        "worst_images": listing(
            fields(
                {
                    "image": _count,
                    "label": _count,
                    "predicted": _count,
                    "probability": _share,
                    "png": base64_text(2**17),
                }
            ),
            100,
        ),
        "class_errors": by_name(nullable(_error), MOST_CLASSES, text(10_000)),
        "confusion": listing(listing(_count, 3, 3), 2**22),
        "left_out": _left_out,
        "grown": listing(fields({"how": _words}), _MOST_STAGES),
    },
)
_difference = fields(
    {name: number(-1e9, 1e9) for name in ("difference", "low", "high")}
)
_data = fields(
    {
        "name": _words,
        "train_examples": _count,
        "validation_examples": _count,
        "test_examples": whole(1, 2**53),
        "input_shape": listing(whole(1, 2**31), 3, 3),
        "class_names": listing(text(5_000), MOST_CLASSES, 1),
    },
    {
        "streamed": boolean,
        "notes": listing(_words, 10_000),
        "class_counts": fields(
            {name: listing(_count, MOST_CLASSES) for name in ("train", "test")},
            {
                name: listing(_count, MOST_CLASSES)
                for name in ("validation", "calibration")
            },
        ),
        "majority_error": _error,
        "test_images_in_train": nullable(_count),
    },
)
_recipe = fields(
    {
        "networks": listing(_name, _MOST_STAGES, 1),
        "epochs": _count,
        "batch_size": _count,
        "learning_rate": _cost,
        "weight_decay": _cost,
        "label_smoothing": _share,
        "schedule": _name,
        "optimizer": _name,
        "average": _name,
        "stop": _name,
    }
)
_recipes = listing(_recipe, _MOST_STAGES)
_variation = fields(
    {
        "crop": _name,
        "crop_padding": _count,
        "flip": _name,
        "augment": _words,
        "noise": _cost,
    }
)
_planned = {
    "name": _name,
    "architecture": _notation,
    "parameters": whole(1, 2**53),
}
_planned_member = fields(
    {**_planned, "inherited_share": _share}
    | {
        name: _count
        for name in ("widened_layers", "inserted_layers", "enlarged_filters")
    }
)
_cluster = fields({**_planned, "members": listing(_planned_member, MOST_MEMBERS, 1)})
_results = fields(
    {
        "name": _name,
        "provenance": by_name(either(_words, _figure), 1000, _name),
        "data": _data,
        "methods": by_name(_method, _MOST_METHODS, _name),
    },
    {
        "clocks": fields({"finished": _name, "seconds": _cost}),
        "plan": fields(
            {},
            {
                "clusters": listing(_cluster, MOST_MEMBERS),
                "apart": listing(_words, _MOST_STAGES),
                "recipes": by_name(_recipes, _MOST_METHODS, _name),
                "variation": _variation,
            },
        ),
        "failed": by_name(
            fields({"left_out": _left_out, "cost": fields(_total), "clocks": _clocks}),
            _MOST_METHODS,
            _name,
        ),
        "paired": listing(
            fields(
                {"first": _name, "second": _name, "error": _difference},
                {"nll": _difference},
            ),
            _MOST_METHODS**2,
        ),
    },
)
_settings = fields(
    {"seed": whole(-(2**63), 2**63), "methods": listing(_name, _MOST_METHODS)},
    {"architectures": by_name(_notation, 10_000, _name), "data": _nothing},
)


def check_settings(settings: Any) -> None:
    """Checks the content of a `config.json` for what reports read of it.

    Raises:
        ValueError: a value is missing, or none that a run has; names it.
    """
    _settings(settings, "config")


def check_results(results: Any) -> None:
    """Checks the content of a `results.json` for what reports read of it.

    Raises:
        ValueError: a value is missing, or none that a run writes; names it.
    """
    _results(results, "results")
    methods, data = results["methods"], results["data"]
    if not methods:
        raise ValueError("results.methods is empty: expected a method's figures")
    counts = data.get("class_counts")
    if counts is not None:
        split = {n: own for n, own in counts.items() if n in ("train", "test")}
        same_length("results.data.class_counts", classes=data["class_names"], **split)
        if not sum(counts["test"]):
            raise ValueError("results.data.class_counts.test has no image")
    clusters = results.get("plan", {}).get("clusters", [])
    drawn = sum(1 + len(cluster["members"]) for cluster in clusters)
    if drawn > _MOST_DRAWN:
        raise ValueError(f"results.plan has {drawn:,} networks, above {_MOST_DRAWN}")
    for name, method in methods.items():
        place = f"results.methods.{name}"
        _check_figures(method, place)
        _check_predictions(method, place)
        _check_classes(method, place, data["class_names"], counted=counts is not None)
        _check_equivalent(method, place)
    failed = results.get("failed", {})
    for name, method in [*methods.items(), *failed.items()]:
        for column in _COLUMNS:
            found = columns.figure(method, column.path)
            _figure(found, f"results.methods.{name}.{column.path}")
    for name, method in failed.items():
        if not method["left_out"]:
            raise ValueError(f"results.failed.{name}.left_out is empty")
    for pair in results.get("paired", ()):
        for side in ("first", "second"):
            if pair[side] not in methods:
                raise ValueError(f"results.paired has {pair[side]!r}, no method here")


def _check_figures(method: dict[str, Any], place: str) -> None:
    """Checks what a method's stages, members and errors say together."""
    _averaged(method["ensemble"], f"{place}.ensemble")
    if method["validation"]:
        _averaged(method["validation"], f"{place}.validation")
    if not method["members"]:
        raise ValueError(f"{place}.members is empty")
    stages = [
        stage
        for stage in method["stages"]
        if not method["members"].keys().isdisjoint(stage["members"])
    ]
    same_length(place, anytime=method["anytime"], stages_of_members=stages)
    scored = [*method["members"].values(), method["ensemble"]["average"]]
    for record in scored:
        if "nll" in record and (record["nll"] is None or record.get("ece") is None):
            raise ValueError(f"{place} has an NLL or ECE that is no number")


def _check_predictions(method: dict[str, Any], place: str) -> None:
    """Checks the disagreements of members, and the bins of reliability diagrams."""
    matrix = method.get("diversity", {}).get("disagreement_matrix")
    if matrix is not None:
        rows = {f"row_{number}": row for number, row in enumerate(matrix)}
        same_length(
            f"{place}.diversity", members=method["members"], rows=matrix, **rows
        )
    if method.get("ood"):
        fields({"name": _words})(method["ood"], f"{place}.ood")
    if curve := method.get("risk_coverage"):
        own = {name: curve[name] for name in ("coverage", "error")}
        same_length(f"{place}.risk_coverage", **own)
        if own["coverage"] != sorted(own["coverage"]) or own["coverage"][-1] != 1:
            raise ValueError(f"{place}.risk_coverage has no coverage rising to 1")
    bins = method.get("reliability", {})
    _nothing(bins, f"{place}.reliability")
    if not bins:
        return
    average = method["ensemble"]["average"]
    for own, where in ((bins, place), (bins.get("calibrated"), f"{place}.calibrated")):
        if own is None:
            continue
        fields(_bins)(own, f"{where}.reliability")
        same_length(where, **{name: own[name] for name in _bins})
        for values in zip(*(own[name] for name in _bins), strict=True):
            if values[2] and None in values:
                raise ValueError(f"{where}.reliability has a full bin without figures")
    if average.get("ece") is None:
        raise ValueError(f"{place}.ensemble.average lacks ece")
    if "calibrated" in average and average["calibrated"].get("ece") is None:
        raise ValueError(f"{place}.ensemble.average.calibrated lacks ece")


def _check_classes(
    method: dict[str, Any], place: str, class_names: list[str], *, counted: bool
) -> None:
    """Checks errors of classes, and confusions, against the classes that there are."""
    errors = method.get("class_errors")
    names = set(distinct_names(class_names)) if counted else set()
    if errors and errors.keys() != names:
        raise ValueError(f"{place}.class_errors are of other classes")
    for true, predicted, _ in method.get("confusion", ()):
        if max(true, predicted) >= len(class_names):
            raise ValueError(f"{place}.confusion has a class that there is not")
    for own in method.get("worst_images", ()):
        if max(own["label"], own["predicted"]) >= len(class_names):
            raise ValueError(f"{place}.worst_images has a class that there is not")


def _check_equivalent(method: dict[str, Any], place: str) -> None:
    """Checks how many independent networks the ensemble is said to be worth."""
    if "deep_ensemble_equivalent" in method:
        where, own = f"{place}.deep_ensemble_equivalent", {"nll": number(-1e30, 1e30)}
        bounds = {name: _networks for name in ("value", "low", "high")}
        found = {**bounds, "of": whole(1, MOST_MEMBERS)}
        optional = {"temperature": _words, "networks": fields(found)}
        if method["deep_ensemble_equivalent"] != {}:
            fields(own, optional)(method["deep_ensemble_equivalent"], where)
    curves = method.get("deep_ensembles", {})
    if curves != {}:
        where = f"{place}.deep_ensembles"
        fields({"nll": _curve, "deviation": _curve})(curves, where)
        same_length(where, nll=curves["nll"], deviation=curves["deviation"])
        if not curves["nll"]:
            raise ValueError(f"{where}.nll is empty")
