"""Outcomes of methods: an ensemble and its figures, or the reasons for having none.

A member that diverged, needs one that did, or predicts something that is not finite is
left out, and the others go on without it. A method whose every member is left out has
failed; a run in which every method has failed ends with an error.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.config.settings import Settings
from mothernets_jax.data.statistics import class_counts
from mothernets_jax.ensembles.combine import COMBINATIONS
from mothernets_jax.ensembles.deep_ensembles import with_equivalent
from mothernets_jax.ensembles.ensemble import Ensemble, Member, write_ensemble
from mothernets_jax.ensembles.image_scores import (
    image_scores,
    paired_differences,
    read_scores,
    scores_path,
    write_scores,
)
from mothernets_jax.ensembles.places import ENSEMBLES_FOLDER
from mothernets_jax.ensembles.record import failure_to_json
from mothernets_jax.metrics.class_balance import is_imbalanced
from mothernets_jax.runs.results import (
    Predictions,
    deep_ensemble_figures,
    predict_all,
    predictions_of,
    summarise,
    summarise_failure,
    unusable_members,
)
from mothernets_jax.runs.scheduler import Trained
from mothernets_jax.runs.worst_images import worst_images
from mothernets_jax.runtime import multihost
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.stages.context import RunContext
from mothernets_jax.stages.stage import MethodPlan
from mothernets_jax.stages.task import Task
from mothernets_jax.storage import checkpoints
from mothernets_jax.utils.messages import in_short

# The method that trains every network independently, from scratch on all data.
_INDEPENDENT = "full_data"


class Outcomes(NamedTuple):
    """Sections of `results.json` on the methods that succeeded and those that failed.

    Attributes:
        methods: entries of the methods that have an ensemble, by method.
        failed: entries of the methods that have none, by method: the reasons why
            members were `left_out`, and the costs.
        paired: differences between the methods on the same test images, from
            `image_scores.paired_differences`.
    """

    methods: dict[str, dict[str, Any]]
    failed: dict[str, dict[str, Any]]
    paired: Sequence[dict[str, Any]] = ()

    def add(self, method: str, entry: dict[str, Any], combine: str, task: Task) -> str:
        """Files a method's entry under `methods` or `failed`.

        Args:
            method: the method's name.
            entry: the method's entry, from `evaluate_method`.
            combine: name of the combination of members whose error is told.
            task: the task with the data set, whose classes may differ in size.

        Returns:
            One line that tells the method's error, or why it has no member.
        """
        if "ensemble" not in entry:
            self.failed[method] = entry
            return f"{method} has no member: {in_short(entry['left_out'])}"
        self.methods[method] = entry
        return f"{method}: {_errors_in_words(entry['ensemble'][combine], task)}"

    def compared(self, workdir: Path) -> "Outcomes":
        """The outcomes, with all that takes several methods to tell.

        Args:
            workdir: the run's folder, in which each method's scores are.
        """
        found = {name: read_scores(workdir, name) for name in self.methods}
        scores = {name: own for name, own in found.items() if own is not None}
        reference = self.methods.get(_INDEPENDENT, {}).get("deep_ensembles", {})
        methods = {n: with_equivalent(m, reference) for n, m in self.methods.items()}
        return self._replace(methods=methods, paired=paired_differences(scores))

    def check_any(self) -> None:
        """Raises ValueError if every method has failed."""
        if self.methods:
            return
        reasons = {name: in_short(e["left_out"]) for name, e in self.failed.items()}
        raise ValueError(
            f"no network of any method could be trained ({in_short(reasons)}): lower "
            "config.train.learning_rate or change the networks, and choose another "
            "--workdir. What was trained is kept"
        )


def _errors_in_words(figures: Mapping[str, Any], task: Task) -> str:
    """An ensemble's test error, with the balanced error if class sizes differ much."""
    text = f"ensemble error {figures['error']:.2%} on the test set"
    if is_imbalanced(class_counts(task.dataset)):
        text += f", {figures['balanced_error']:.2%} as the mean over its classes"
    return text


def evaluate_method(
    method: str,
    composition: MethodPlan,
    trained: Trained,
    task: Task,
    settings: Settings,
    context: RunContext,
    ood_images: np.ndarray,
) -> dict[str, Any]:
    """Evaluates a method and saves its ensemble, or the reasons for having none.

    Args:
        method: the method's name, which names the ensemble's folder.
        composition: the method's members and stages.
        trained: the states and records that the method's stages left.
        task: the task with the images and labels of all splits.
        settings: the run's settings.
        context: the folder, strategy, progress and the like that all stages of the
            run share.
        ood_images: another data set's test images, uint8 [examples, height, width,
            channels]; may have no examples.

    Returns:
        The method's entry in `results.json`: the values of `results.summarise`, or of
        `results.summarise_failure` if no member is left, and the reasons why members
        were `left_out`, by name.
    """
    assert context.workdir is not None
    workdir = context.workdir
    return multihost.run_on_host0(
        lambda: _evaluate(
            method, composition, trained, task, settings, context, ood_images, workdir
        )
    )


def _evaluate(
    method: str,
    composition: MethodPlan,
    trained: Trained,
    task: Task,
    settings: Settings,
    context: RunContext,
    ood_images: np.ndarray,
    workdir: Path,
) -> dict[str, Any]:
    folder = workdir / ENSEMBLES_FOLDER / method
    executables, interruption = Executables(context.store), context.interruption
    of_costs = {"executables": executables, "prices": settings.prices}
    ensemble, predictions, unusable = _usable(
        composition, trained, task, ood_images, executables
    )
    left_out = {n: r for n, r in trained.left_out.items() if n in composition.members}
    left_out |= unusable
    if ensemble is None or predictions is None:
        with interruption.shielded():
            context.guard(folder)
            checkpoints.save(folder, {}, failure_to_json(left_out))
        context.saved()
        figures = summarise_failure(predictions, task, trained.records, **of_costs)
        return {**figures, "left_out": left_out}
    labels = task.dataset.calibration_labels
    if len(labels):
        ensemble = ensemble.calibrate(predictions.calibration, labels)
    averaged = COMBINATIONS["average"](predictions.test)
    of_test = averaged, task.dataset.test_labels
    scores = image_scores(*of_test)
    with interruption.shielded():
        context.guard(folder)
        write_ensemble(folder, ensemble)
        context.guard(scores_path(workdir, method))
        write_scores(workdir, method, scores)
    context.saved()
    figures = summarise(
        ensemble,
        predictions,
        task,
        composition,
        trained.records,
        ood_name=settings.data.ood_name,
        **of_costs,
    )
    taught = any(stage.spec.loss.references for stage in composition.stages)
    independent = method == _INDEPENDENT and not taught
    figures |= deep_ensemble_figures(predictions, task, independent=independent)
    worst = worst_images(*of_test, task.dataset.test_images)
    return {**figures, "worst_images": worst, "left_out": left_out}


def _usable(
    composition: MethodPlan,
    trained: Trained,
    task: Task,
    ood_images: np.ndarray,
    executables: Executables,
) -> tuple[Ensemble | None, Predictions | None, dict[str, str]]:
    """Keeps the members whose predictions are finite.

    Returns:
        The ensemble of these members, None without any; its predictions, or those of
        the unusable members if it is None, or None if no member was trained; and the
        reasons why trained members are unusable, by name.
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
    names: Collection[str], composition: MethodPlan, trained: Trained, task: Task
) -> Ensemble:
    """Ensemble of the named members, out of all networks that a method trained."""
    dataset = task.dataset
    return Ensemble(
        {
            name: Member(composition.members[name], trained.states[name].predictor)
            for name in names
        },
        mean=dataset.mean,
        std=dataset.std,
        class_names=dataset.class_names,
        input_shape=dataset.input_shape,
        preparation=dataset.preparation,
        input_dtype=dataset.input_dtype,
    )
