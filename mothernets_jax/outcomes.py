"""What came of a method: its ensemble and figures, or why it has none.

A member that diverged, needs one that did, or predicts something that is not finite is
left out, and the others go on without it. A method whose every member is left out has
failed; a run in which every method has failed ends with an error.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax import checkpoints, hosts
from mothernets_jax.compilation import Executables
from mothernets_jax.ensemble import ENSEMBLES_FOLDER, Ensemble, Member
from mothernets_jax.ensemble_record import failure_to_json
from mothernets_jax.execution import Execution, Trained
from mothernets_jax.results import (
    Predictions,
    predict_all,
    predictions_of,
    summarise,
    summarise_failure,
    unusable_members,
)
from mothernets_jax.settings import Settings
from mothernets_jax.stages import Composition, Task
from mothernets_jax.wording import in_short


class Outcomes(NamedTuple):
    """Two sections of `results.json`.

    Attributes:
        methods: by method that has an ensemble, its entry.
        failed: by method that has none, why its members were `left_out`, and what
            was spent on it.
    """

    methods: dict[str, dict[str, Any]]
    failed: dict[str, dict[str, Any]]

    def add(self, method: str, entry: dict[str, Any], combine: str) -> str:
        """Files a method's entry where it belongs; returns its news in a line.

        Args:
            method: its name.
            entry: as `evaluate_method` returns it.
            combine: the combination whose error is told.
        """
        if "ensemble" not in entry:
            self.failed[method] = entry
            return f"{method} has no member: {in_short(entry['left_out'])}"
        self.methods[method] = entry
        error = entry["ensemble"][combine]["error"]
        return f"{method}: ensemble error {error:.2%} on the test set"

    def check_any(self) -> None:
        """Raises ValueError where every method has failed."""
        if self.methods:
            return
        reasons = {name: in_short(e["left_out"]) for name, e in self.failed.items()}
        raise ValueError(
            f"no network of any method could be trained ({in_short(reasons)}): lower "
            "config.train.learning_rate or change the networks, and choose another "
            "--workdir. What was trained is kept"
        )


def evaluate_method(
    method: str,
    composition: Composition,
    trained: Trained,
    task: Task,
    settings: Settings,
    execution: Execution,
    ood_images: np.ndarray,
) -> dict[str, Any]:
    """A method's entry in `results.json`; saves its ensemble, or why there is none.

    Args:
        method: its name.
        composition: what it was to train.
        trained: what came of its stages.
        task: with the images and labels of the splits.
        settings: of the run.
        execution: of the stages.
        ood_images: uint8 [examples, height, width, channels]; may be empty.

    Returns:
        As `results.summarise`, with the reasons why members were `left_out`; of a
        method without members, as `results.summarise_failure`, with the same.
    """
    folder = execution.workdir / ENSEMBLES_FOLDER / method
    return hosts.on_first(
        lambda: _evaluate(
            composition, trained, task, settings, execution, ood_images, folder
        )
    )


def _evaluate(
    composition: Composition,
    trained: Trained,
    task: Task,
    settings: Settings,
    execution: Execution,
    ood_images: np.ndarray,
    folder: Path,
) -> dict[str, Any]:
    executables, interruption = Executables(execution.store), execution.interruption
    of_costs = {"executables": executables, "prices": settings.prices}
    ensemble, predictions, unusable = _usable(
        composition, trained, task, ood_images, executables
    )
    left_out = {n: r for n, r in trained.left_out.items() if n in composition.members}
    left_out |= unusable
    if ensemble is None or predictions is None:
        with interruption.shielded():
            checkpoints.save(folder, {}, failure_to_json(left_out))
        figures = summarise_failure(predictions, task, trained.records, **of_costs)
        return {**figures, "left_out": left_out}
    labels = task.dataset.calibration_labels
    if len(labels):
        ensemble = ensemble.calibrate(predictions.calibration, labels)
    with interruption.shielded():
        ensemble.save(folder)
    figures = summarise(
        ensemble,
        predictions,
        task,
        composition,
        trained.records,
        ood_name=settings.data.ood_name,
        **of_costs,
    )
    return {**figures, "left_out": left_out}


def _usable(
    composition: Composition,
    trained: Trained,
    task: Task,
    ood_images: np.ndarray,
    executables: Executables,
) -> tuple[Ensemble | None, Predictions | None, dict[str, str]]:
    """The ensemble of those whose predictions are finite, these, and why others miss.

    Without such members there is no ensemble; without any, no predictions either.
    """
    names = [name for name in composition.members if name in trained.states]
    if not names:
        return None, None, {}
    ensemble = _ensemble(names, composition, trained, task)
    predictions = predict_all(ensemble, task, ood_images, executables)
    unusable = unusable_members(ensemble, predictions)
    if not unusable:
        return ensemble, predictions, {}
    kept = [name for name in names if name not in unusable]
    if not kept:
        return None, predictions, unusable
    predictions = predictions_of(kept, ensemble, predictions)
    return _ensemble(kept, composition, trained, task), predictions, unusable


def _ensemble(
    names: Collection[str], composition: Composition, trained: Trained, task: Task
) -> Ensemble:
    """Some of a method's members, out of all networks that it trained."""
    dataset = task.dataset
    return Ensemble(
        {
            name: Member(composition.members[name], trained.states[name].variables)
            for name in names
        },
        mean=dataset.mean,
        std=dataset.std,
        class_names=dataset.class_names,
        input_shape=dataset.input_shape,
    )
