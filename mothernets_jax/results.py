"""What a trained method is worth and what it cost: its entry in `results.json`."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mothernets_jax import metrics
from mothernets_jax.architectures import Architecture
from mothernets_jax.combine import COMBINATIONS, oracle_error
from mothernets_jax.compilation import Executables
from mothernets_jax.costs import num_params
from mothernets_jax.ensemble import Ensemble
from mothernets_jax.stages import EVALUATION_BATCH, Task


def summarise(
    ensemble: Ensemble,
    task: Task,
    records: Sequence[Mapping[str, Any]],
    executables: Executables,
) -> dict[str, Any]:
    """Evaluates an ensemble and gathers its stages' costs.

    Args:
        ensemble: the trained members.
        task: with the validation and the test images.
        records: of the method's stages, in the order of their training.
        executables: compiled programs, with a meter that stands at zero.

    Returns:
        Plain values; those under `clocks` are the only ones that differ on a repeat.
    """
    dataset = task.dataset
    members = {name: m.architecture for name, m in ensemble.members.items()}
    started = time.perf_counter()
    logits, validation_logits = (
        ensemble.member_logits(
            images, batch_size=EVALUATION_BATCH, executables=executables
        )
        for images in (dataset.test_images, dataset.validation_images)
    )
    eval_seconds = time.perf_counter() - started - executables.waited

    errors = [metrics.error(scores, dataset.test_labels) for scores in logits]
    validation, validation_errors = {}, [None] * len(members)
    if len(dataset.validation_labels):
        labels = dataset.validation_labels
        validation = _combined_errors(validation_logits, labels)
        validation_errors = [metrics.error(s, labels) for s in validation_logits]
    clocks = {
        "train_seconds": 0.0,
        "hatch_seconds": 0.0,
        "eval_seconds": eval_seconds,
        "compile_seconds": executables.seconds,
        "compile_wait_seconds": executables.waited,
    }
    for record in records:
        for clock, seconds in record["clocks"].items():
            clocks[clock] += seconds
    return {
        "ensemble": _combined_errors(logits, dataset.test_labels),
        "validation": validation,
        "mean_member_error": float(np.mean(errors)),
        "members": _describe_members(members, task, records, errors, validation_errors),
        "cost": {
            "train_flops": sum(record["train_flops"] for record in records),
            "epochs": sum(sum(record["epochs"].values()) for record in records),
        },
        "clocks": clocks,
        "anytime": _anytime(records, list(members), logits, dataset.test_labels),
        "hatching": {k: v for record in records for k, v in record["checks"].items()},
        "stages": list(records),
    }


def _combined_errors(
    logits: np.ndarray, labels: np.ndarray
) -> dict[str, dict[str, float]]:
    """The ensemble's error by every combination, and the oracle's."""
    errors = {
        name: {"error": metrics.error(combine(logits), labels)}
        for name, combine in COMBINATIONS.items()
    }
    return {**errors, "oracle": {"error": oracle_error(logits, labels)}}


def _describe_members(
    members: Mapping[str, Architecture],
    task: Task,
    records: Sequence[Mapping[str, Any]],
    errors: Sequence[float],
    validation_errors: Sequence[float | None],
) -> dict[str, Any]:
    record_of = {name: record for record in records for name in record["members"]}
    described = {}
    for (name, architecture), error, validation_error in zip(
        members.items(), errors, validation_errors, strict=True
    ):
        record = record_of[name]
        epochs = record["epochs"][name]
        flops_per_epoch = record["train_flops"] / sum(record["epochs"].values())
        described[name] = {
            "error": error,
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
    """The averaged ensemble's error after every stage that finished members."""
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
    return points
