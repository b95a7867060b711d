"""Figures and costs of a trained method: its entry in `results.json`."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from mothernets_jax.architectures.costs import forward_flops, num_params
from mothernets_jax.ensembles import summary
from mothernets_jax.ensembles.combine import COMBINATIONS
from mothernets_jax.ensembles.deep_ensembles import averaged_nll, deep_ensembles
from mothernets_jax.ensembles.ensemble import Ensemble
from mothernets_jax.metrics import classification
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.stage import MethodPlan
from mothernets_jax.stages.task import Task

_SPLITS = ("test", "validation", "calibration", "ood")


class Predictions(NamedTuple):
    """Every member's logits on the parts of the data that no member trained on.

    Attributes:
        test: logits of the test split, float32 [members, examples, classes].
        validation, calibration: logits of these splits, of the same form; without
            examples if there is no such split.
        ood: logits of another data set's test images, of the same form; without
            examples if no other data set is named.
        seconds: seconds that the evaluation took, without compilation.
    """

    test: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    ood: np.ndarray
    seconds: float


def predict_all(
    ensemble: Ensemble, task: Task, ood_images: np.ndarray, executables: Executables
) -> Predictions:
    """Predicts the test, validation and calibration splits and `ood_images`.

    Args:
        ensemble: the trained members.
        task: the task with the images of all splits.
        ood_images: another data set's test images, uint8 [examples, height, width,
            channels]; may have no examples.
        executables: compiled programs, whose meter stands at zero seconds.
    """
    dataset = task.dataset
    started = time.perf_counter()
    test, validation, calibration, ood = (
        ensemble.member_logits(
            images,
            batch_size=task.evaluation_batch,
            smallest_batch=task.evaluation_batch,
            executables=executables,
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
    """Finds members with predictions that are not finite.

    Args:
        ensemble: the trained members.
        predictions: the ensemble's predictions.

    Returns:
        Reasons why members are unusable, by name; empty if all can be used.
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
    """Predictions of only some of the ensemble's members.

    Args:
        names: names of the members to keep.
        ensemble: the ensemble that made the predictions.
        predictions: the predictions of all its members.
    """
    kept = np.array([name in names for name in ensemble.members])
    logits = {split: getattr(predictions, split)[kept] for split in _SPLITS}
    return predictions._replace(**logits)


def summarise(
    ensemble: Ensemble,
    predictions: Predictions,
    task: Task,
    composition: MethodPlan,
    records: Sequence[Mapping[str, Any]],
    executables: Executables,
    *,
    ood_name: str,
    prices: Mapping[str, float],
) -> dict[str, Any]:
    """Judges an ensemble's predictions and gathers its stages' costs.

    Args:
        ensemble: the trained members, calibrated if there is a split for it.
        predictions: the ensemble's predictions.
        task: the task with the labels and devices.
        composition: the method's members and stages.
        records: records of the method's stages, in the order of their training.
        executables: the programs that made the predictions.
        ood_name: name of the other data set; empty for none.
        prices: dollars an hour for one device, by a part of its name.

    Returns:
        Plain values; those under `clocks` are the only ones that differ on a repeat.
    """
    labels, validation_labels = task.dataset.test_labels, task.dataset.validation_labels
    fitted = ensemble.weights, ensemble.temperatures
    validation, detection = {}, {}
    if len(validation_labels):
        validation = summary.combination_metrics(
            predictions.validation, validation_labels, *fitted
        )
    if ood_name:
        inside, outside = map(
            COMBINATIONS["average"], (predictions.test, predictions.ood)
        )
        detection = {"name": ood_name, **summary.detection_metrics(inside, outside)}
    names, class_names = list(ensemble.members), task.dataset.class_names
    figures = summary.ensemble_metrics(
        predictions.test, labels, names, class_names, *fitted
    )
    others = _describe_members(ensemble, predictions, task, composition, records)
    return {
        "ensemble": figures["ensemble"],
        "validation": validation,
        **figures,
        "members": {n: own | others[n] for n, own in figures["members"].items()},
        "ood": detection,
        "cost": {**_training_cost(records), **_size(ensemble, composition, task)},
        "clocks": _clocks(records, predictions.seconds, executables, task, prices),
        "anytime": _anytime(records, names, predictions.test, labels),
        "hatching": {k: v for record in records for k, v in record["checks"].items()},
        "stages": list(records),
        **({"grown": list(composition.grown)} if composition.grown else {}),
    }


def deep_ensemble_figures(
    predictions: Predictions, task: Task, *, independent: bool
) -> dict[str, Any]:
    """Judges an ensemble at its best temperature, as deep ensembles are compared.

    Args:
        predictions: the ensemble's predictions.
        task: the task with the labels.
        independent: whether its members were trained independently, each from scratch
            on all data, and so make up deep ensembles.

    Returns:
        `deep_ensemble_equivalent`, with the averaged ensemble's calibrated `nll` and
        what its `temperature` was fitted on; for independent members also
        `deep_ensembles`, the same NLL of ensembles of 1, 2, ... of them.
    """
    dataset, held_out = task.dataset, None
    if len(dataset.calibration_labels):
        held_out = predictions.calibration, dataset.calibration_labels
    judged = predictions.test, dataset.test_labels, held_out
    of = "halves of the test split" if held_out is None else "the calibration split"
    nll = averaged_nll(*judged)
    found = {"deep_ensemble_equivalent": {"nll": nll, "temperature": of}}
    if independent:
        return {**found, "deep_ensembles": deep_ensembles(*judged)._asdict()}
    return found


def summarise_failure(
    predictions: Predictions | None,
    task: Task,
    records: Sequence[Mapping[str, Any]],
    executables: Executables,
    *,
    prices: Mapping[str, float],
) -> dict[str, Any]:
    """Gathers the costs of a method that has no member in the end.

    Args:
        predictions: predictions of members that cannot be used; None if no member
            was trained.
        task: the task with the devices.
        records: records of the method's stages, in the order of their training.
        executables: the programs that made the predictions.
        prices: dollars an hour for one device, by a part of its name.

    Returns:
        The entries `cost`, `clocks` and `stages` as in `summarise`; `cost` without the
        ensemble's size.
    """
    seconds = predictions.seconds if predictions else 0.0
    return {
        "cost": _training_cost(records),
        "clocks": _clocks(records, seconds, executables, task, prices),
        "stages": list(records),
    }


def _training_cost(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """FLOPs, epochs and images of all stages, those trained in vain included."""
    return {
        "train_flops": sum(record["train_flops"] for record in records),
        "epochs": sum(sum(record["epochs"].values()) for record in records),
        "images": sum(record["images"] for record in records),
    }


def _size(ensemble: Ensemble, composition: MethodPlan, task: Task) -> dict[str, Any]:
    """Parameters of the ensemble, and FLOPs of its prediction for one image.

    A trunk that members share counts once.
    """
    of_task = task.input_shape, task.num_classes
    architectures = [member.architecture for member in ensemble.members.values()]
    parameters = sum(num_params(a, *of_task) for a in architectures)
    flops = sum(forward_flops(a, *of_task) for a in architectures)
    for stage in composition.stages:
        branches = sum(name in ensemble.members for name in stage.members)
        cut = stage.spec.coupling.shared_operations
        if cut and branches:
            shared = branches - 1
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
    """Seconds, bytes and dollars spent, which depend on the machine.

    The dollars leave out compilation: methods share its programs, and the first would
    pay for all.
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
    """Dollars an hour for one device; None if no price fits.

    Of the names that are a part of the device's, the longest decides.

    >>> price_of("NVIDIA H200", {"cpu": 0.1, "H200": 4.0})
    4.0
    """
    fitting = [name for name in prices if name.lower() in device.lower()]
    return prices[max(fitting, key=len)] if fitting else None


def _describe_members(
    ensemble: Ensemble,
    predictions: Predictions,
    task: Task,
    composition: MethodPlan,
    records: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """What is told of each member beside the measures of its predictions."""
    record_of = {name: record for record in records for name in record["members"]}
    dataset = task.dataset
    described = {}
    for i, (name, (architecture, _)) in enumerate(ensemble.members.items()):
        epochs, flops, network = 0, 0.0, name
        while network:  # and what it goes on from
            record = record_of[network]
            epochs += record["epochs"][network]
            of_epoch = record["train_flops"] / sum(record["epochs"].values())
            flops += of_epoch * record["epochs"][network]
            network = composition.continues.get(network, "")
        validation_error = None
        if len(dataset.validation_labels):
            scores = predictions.validation[i]
            validation_error = classification.error(scores, dataset.validation_labels)
        described[name] = {
            "validation_error": validation_error,
            "architecture": str(architecture),
            "parameters": num_params(architecture, task.input_shape, task.num_classes),
            "train_flops": flops,
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

    The last point has the FLOPs of all stages, those trained in vain included.
    """
    points, finished, flops = [], [], 0.0
    for record in records:
        flops += record["train_flops"]
        new = [names.index(name) for name in record["members"] if name in names]
        finished += new
        if new:
            error = classification.error(
                COMBINATIONS["average"](logits[finished]), labels
            )
            points.append(
                {"members": len(finished), "train_flops": flops, "error": error}
            )
    points[-1]["train_flops"] = flops
    return points
