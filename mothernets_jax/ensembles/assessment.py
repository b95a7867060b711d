"""What is asked of an ensemble beside its predictions: doubt, measures, files."""

import abc
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from mothernets_jax.data.preparation import Preparation
from mothernets_jax.ensembles import checks, files_prediction
from mothernets_jax.ensembles.checks import Member
from mothernets_jax.ensembles.combine import combined
from mothernets_jax.ensembles.evaluation import evaluation
from mothernets_jax.ensembles.labels import label_indices
from mothernets_jax.metrics import uncertainty
from mothernets_jax.metrics.calibration import rescale
from mothernets_jax.metrics.probabilities import rounded


class Assessment(abc.ABC):
    """The part of an `Ensemble` that works on what `member_logits` returns.

    Attributes:
        members, mean, std, class_names, input_shape, input_dtype, weights,
            temperatures, preparation: see `Ensemble`.
    """

    members: dict[str, Member]
    mean: np.ndarray
    std: np.ndarray
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    input_dtype: np.dtype
    weights: dict[str, np.ndarray]
    temperatures: dict[str, float]
    preparation: Preparation | None

    @abc.abstractmethod
    def member_logits(self, images: np.ndarray, *, batch_size: int = 512) -> np.ndarray:
        """Computes every member's logits, float32 [members, batch, classes]."""

    def uncertainty(
        self, images: np.ndarray, *, batch_size: int = 512
    ) -> uncertainty.Uncertainty:
        """Measures how uncertain the averaged ensemble is about each image, and why.

        Temperatures have no say: they are fitted for combinations, not for members.

        Args:
            images: uint8 [batch, height, width, channels], as for `predict`.
            batch_size: number of images at a time.

        Returns:
            `entropy`, `member_entropy`, `mutual_information` (all in nats),
            `disagreement` and `spread`, float64 [batch] each: see
            `metrics.uncertainty.Uncertainty`.

        Raises:
            ValueError: images of another shape or dtype, or a member's logits are not
                finite.
        """
        logits = self._finite_logits(images, batch_size)
        predicted = self._scores(logits, "average", False).argmax(axis=1)
        return uncertainty.uncertainty(logits, predicted)

    def evaluate(
        self,
        images: np.ndarray,
        labels: Any,
        *,
        ood_images: np.ndarray | None = None,
        batch_size: int = 512,
    ) -> dict[str, Any]:
        """Measures what the ensemble and its members predict for labelled images.

        Args:
            images: uint8 [batch, height, width, channels], at least one.
            labels: the true classes [batch], as indices in `class_names` or as names.
            ood_images: images of another kind, of the same form, that are to be told
                from these; None for none.
            batch_size: number of images at a time.

        Returns:
            Plain values, named and computed as in a run's `results.json`: see
            `ensembles.evaluation`. `["ensemble"]["average"]["error"]` is the error.

        Raises:
            ValueError: no images or such as `predict` refuses, or labels that are no
                classes or not one an image.
        """
        classes = label_indices(labels, self.class_names)
        logits = self._finite_logits(images, batch_size)
        outside = ood_images
        if outside is not None:
            outside = self._finite_logits(outside, batch_size)
        return evaluation(
            logits,
            classes,
            {name: member.architecture for name, member in self.members.items()},
            self.class_names,
            self.input_shape,
            self.weights,
            self.temperatures,
            outside,
        )

    def predict_files(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        combine: str = "average",
        calibrated: bool = False,
        batch_size: int = 512,
        resize: str | None = None,
    ) -> files_prediction.FilePredictions:
        """Predicts image files, which are decoded, turned and resized as in training.

        Files that cannot be read are listed with the reason, in `failed`. No more than
        a few batches of images are in memory at a time.

        Args:
            paths: paths of image files, or of folders, whose images at any depth are
                taken; a single one, or several. `~` is the home folder.
            combine: how members are combined, as for `predict`.
            calibrated: whether to rescale probabilities, as for `predict`; measures of
                uncertainty are those of `uncertainty` all the same.
            batch_size: number of images at a time.
            resize: `crop`, `pad` or `stretch`, by which files become squares, for an
                ensemble that was not trained on files; None for all others.

        Returns:
            An object with a row for each file: `rows`, `failed` and `write_csv`.

        Raises:
            ValueError: a path that is neither text nor a `Path`, a combination that
                `predict` refuses, or a `resize` that is missing or one too many.
        """
        checks.check_combination(
            combine,
            calibrated=calibrated,
            weights=self.weights,
            temperatures=self.temperatures,
        )
        checks.check_batch_size(batch_size)

        def judge(images: np.ndarray) -> tuple[np.ndarray, uncertainty.Uncertainty]:
            logits = self._finite_logits(images, batch_size)
            scores = self._scores(logits, combine, calibrated)
            return scores, uncertainty.uncertainty(logits, scores.argmax(axis=1))

        return files_prediction.predict_files(
            paths,
            judge,
            preparation=files_prediction.preparation_of(
                self.preparation, self.input_shape, resize
            ),
            input_shape=self.input_shape,
            class_names=self.class_names,
            batch_size=batch_size,
        )

    def _finite_logits(self, images: np.ndarray, batch_size: int) -> np.ndarray:
        logits = self.member_logits(images, batch_size=batch_size)
        checks.check_finite(self.members, logits)
        return logits

    def _scores(self, logits: np.ndarray, combine: str, calibrated: bool) -> np.ndarray:
        """Predictions float32 [batch, classes] of logits [members, batch, classes]."""
        scores = combined(combine, logits, self.weights)
        if calibrated:
            scores = rescale(scores, self.temperatures[combine])
        return rounded(scores)
