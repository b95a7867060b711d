"""What a trained method is worth and what it cost: its entry in `results.json`."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from mothernets_jax import measures, metrics
from mothernets_jax.combine import COMBINATIONS
from mothernets_jax.compilation import Executables
from mothernets_jax.costs import forward_flops, num_params
from mothernets_jax.ensemble import Ensemble
from mothernets_jax.stages import EVALUATION_BATCH, Composition, Task

_SPLITS = ("test", "validation", "calibration", "ood")


class Predictions(NamedTuple):
    """Every member's logits on the parts of the data that no member trained on.

    Attributes:
        test: float32 [members, examples, classes].
        validation, calibration, ood: likewise, of the split, or of another data set's
            test images; without examples where there are none.
        seconds: that the evaluation took, without compilation.
    """

    test: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    ood: np.ndarray
    seconds: float


def predict_all(
    ensemble: Ensemble, task: Task, ood_images: np.ndarray, executables: Executables
) -> Predictions:
    """Evaluates every member.

    Args:
        ensemble: the trained members.
        task: with the images of the splits.
        ood_images: uint8 [examples, height, width, channels]; may be empty.
        executables: compiled programs, with a meter that stands at zero.
    """
    dataset = task.dataset
    started = time.perf_counter()
    test, validation, calibration, ood = (
        ensemble.member_logits(
            images, batch_size=EVALUATION_BATCH, executables=executables
        )
        for images in (
            dataset.test_images,
            dataset.validation_images,
            dataset.calibration_images,
            ood_images,
        )
    )
    seconds = time.perf_counter() - started - executables.waited
    return Predictions(test, validation, calibration, ood, seconds)


def unusable_members(ensemble: Ensemble, predictions: Predictions) -> dict[str, str]:
    """Members that predict something that is not finite, by name, and what of.

    Args:
        ensemble: the trained members.
        predictions: its own.
    """
    found = {}
    for split in _SPLITS:
        finite = np.isfinite(getattr(predictions, split)).all(axis=(1, 2))
        what = {"ood": "other data set’s"}.get(split, split)
        for name, fine in zip(ensemble.members, finite, strict=True):
            if not fine and name not in found:
                found[name] = f"its predictions of the {what} images are not finite"
    return found


def predictions_of(
    names: Collection[str], ensemble: Ensemble, predictions: Predictions
) -> Predictions:
    """The same predictions, of some of the ensemble's members alone.

    Args:
        names: of the members to keep.
        ensemble: that made them.
        predictions: its own.
    """
    kept = np.array([name in names for name in ensemble.members])
    logits = {split: getattr(predictions, split)[kept] for split in _SPLITS}
    return predictions._replace(**logits)


def summarise(
    ensemble: Ensemble,
    predictions: Predictions,
    task: Task,
    composition: Composition,
    records: Sequence[Mapping[str, Any]],
    executables: Executables,
    *,
    ood_name: str,
    prices: Mapping[str, float],
) -> dict[str, Any]:
    """Judges an ensemble's predictions and gathers its stages' costs.

    Args:
        ensemble: the trained members, calibrated where there is a split for it.
        predictions: its own.
        task: with the labels.
        composition: what the method trained.
        records: of its stages, in the order of their training.
        executables: those that the predictions were made with.
        ood_name: of the other data set; empty for none.
        prices: dollars an hour, by a part of a device's name.

    Returns:
        Plain values; those under `clocks` are the only ones that differ on a repeat.
    """
    labels, validation_labels = task.dataset.test_labels, task.dataset.validation_labels
    fitted = ensemble.weights, ensemble.temperatures
    validation, detection = {}, {}
    if len(validation_labels):
        validation = measures.of_combinations(
            predictions.validation, validation_labels, *fitted
        )
    averaged = COMBINATIONS["average"](predictions.test)
    if ood_name:
        others = COMBINATIONS["average"](predictions.ood)
        detection = {"name": ood_name, **measures.of_detection(averaged, others)}
    members = _describe_members(ensemble, predictions, task, records)
    return {
        "ensemble": measures.of_combinations(predictions.test, labels, *fitted),
        "validation": validation,
        "mean_member_error": float(np.mean([m["error"] for m in members.values()])),
        "members": members,
        "weights": {
            name: dict(zip(members, weights.tolist(), strict=True))
            for name, weights in ensemble.weights.items()
        },
        "diversity": measures.of_diversity(predictions.test, labels),
        "reliability": measures.of_reliability(
            averaged, labels, ensemble.temperatures.get("average")
        ),
        "ood": detection,
        "cost": {**_training_cost(records), **_size(ensemble, composition, task)},
        "clocks": _clocks(records, predictions.seconds, executables, task, prices),
        "anytime": _anytime(records, list(members), predictions.test, labels),
        "hatching": {k: v for record in records for k, v in record["checks"].items()},
        "stages": list(records),
    }


def summarise_failure(
    predictions: Predictions | None,
    task: Task,
    records: Sequence[Mapping[str, Any]],
    executables: Executables,
    *,
    prices: Mapping[str, float],
) -> dict[str, Any]:
    """What was spent on a method that has no member in the end.

    Args:
        predictions: of members that cannot be used; None where there was none.
        task: with the devices.
        records: of the stages, in the order of their training.
        executables: those that the predictions were made with.
        prices: dollars an hour, by a part of a device's name.

    Returns:
        The `cost`, `clocks` and `stages` of `summarise`.
    """
    seconds = predictions.seconds if predictions else 0.0
    return {
        "cost": _training_cost(records),
        "clocks": _clocks(records, seconds, executables, task, prices),
        "stages": list(records),
    }


def _training_cost(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of all stages, with what was trained in vain."""
    return {
        "train_flops": sum(record["train_flops"] for record in records),
        "epochs": sum(sum(record["epochs"].values()) for record in records),
        "images": sum(record["images"] for record in records),
    }


def _size(ensemble: Ensemble, composition: Composition, task: Task) -> dict[str, Any]:
    """Parameters of the ensemble, and FLOPs of its prediction of one image.

    What members share, a common trunk, counts once.
    """
    of_task = task.input_shape, task.num_classes
    architectures = [member.architecture for member in ensemble.members.values()]
    parameters = sum(num_params(a, *of_task) for a in architectures)
    flops = sum(forward_flops(a, *of_task) for a in architectures)
    for stage in composition.stages:
        branches = sum(name in ensemble.members for name in stage.members)
        if stage.branches_at and branches:
            shared, cut = branches - 1, stage.branches_at
            parameters -= shared * num_params(stage.architecture, *of_task, stop=cut)
            flops -= shared * forward_flops(stage.architecture, *of_task, stop=cut)
    return {"parameters": parameters, "inference_flops": flops}


def _clocks(
    records: Sequence[Mapping[str, Any]],
    eval_seconds: float,
    executables: Executables,
    task: Task,
    prices: Mapping[str, float],
) -> dict[str, float | None]:
    """Seconds, and what depends on the machine as they do: memory and money.

    Money is without compilation, whose programs methods share: the first would pay.
    """
    clocks = {
        "train_seconds": 0.0,
        "hatch_seconds": 0.0,
        "eval_seconds": eval_seconds,
        "compile_seconds": executables.seconds,
        "compile_wait_seconds": executables.waited,
    }
    for record in records:
        for clock in clocks.keys() & record["clocks"].keys():
            clocks[clock] += record["clocks"][clock]
    paid = ("train", "hatch", "eval")
    hours = sum(clocks[f"{name}_seconds"] for name in paid) / 3600
    memory = max(record["clocks"]["memory_bytes"] or 0 for record in records) or None
    price = price_of(task.devices[0].device_kind, prices)
    dollars = None if price is None else price * hours * jax.device_count()
    return {**clocks, "peak_memory_bytes": memory, "dollars": dollars}


def price_of(device: str, prices: Mapping[str, float]) -> float | None:
    """Dollars an hour, by the longest name that is a part of the device's.

    >>> price_of("NVIDIA H200", {"cpu": 0.1, "H200": 4.0})
    4.0
    """
    fitting = [name for name in prices if name.lower() in device.lower()]
    return prices[max(fitting, key=len)] if fitting else None


def _describe_members(
    ensemble: Ensemble,
    predictions: Predictions,
    task: Task,
    records: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    record_of = {name: record for record in records for name in record["members"]}
    dataset = task.dataset
    described = {}
    for i, (name, (architecture, _)) in enumerate(ensemble.members.items()):
        record = record_of[name]
        epochs = record["epochs"][name]
        flops_per_epoch = record["train_flops"] / sum(record["epochs"].values())
        validation_error = None
        if len(dataset.validation_labels):
            scores = predictions.validation[i]
            validation_error = metrics.error(scores, dataset.validation_labels)
        described[name] = {
            **measures.of_member(predictions.test[i], dataset.test_labels),
            "validation_error": validation_error,
            "architecture": str(architecture),
            "parameters": num_params(architecture, task.input_shape, task.num_classes),
            "train_flops": flops_per_epoch * epochs,
            "epochs": epochs,
        }
    return described


def _anytime(
    records: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    logits: np.ndarray,
    labels: np.ndarray,
) -> list[dict[str, Any]]:
    """The averaged ensemble's error after every stage that finished members.

    The last point has the FLOPs of all stages, those that were in vain too.
    """
    points, finished, flops = [], [], 0.0
    for record in records:
        flops += record["train_flops"]
        new = [names.index(name) for name in record["members"] if name in names]
        finished += new
        if new:
            error = metrics.error(COMBINATIONS["average"](logits[finished]), labels)
            points.append(
                {"members": len(finished), "train_flops": flops, "error": error}
            )
    points[-1]["train_flops"] = flops
    return points
