"""A trained ensemble: predict, calibrate, save, load."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import is_whole
from mothernets_jax.ensembles import saving
from mothernets_jax.ensembles.combine import COMBINATIONS, NAMES, combined
from mothernets_jax.ensembles.places import as_path, check_free, find
from mothernets_jax.ensembles.prediction import predict_logits
from mothernets_jax.ensembles.record import EnsembleRecord
from mothernets_jax.ensembles.weighting import FITS
from mothernets_jax.metrics.calibration import fit_temperature, rescale
from mothernets_jax.metrics.probabilities import rounded
from mothernets_jax.models.variables import Variables
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.utils.messages import short_repr

_LARGEST_BATCH = 1_000_000


class Member(NamedTuple):
    """One network of an ensemble.

    Attributes:
        architecture: architecture of the network.
        variables: the network's `{"params": ..., "batch_stats": ...}`.
    """

    architecture: Architecture
    variables: Variables


class Ensemble:
    """Trained members and the normalisation that they expect.

    Attributes:
        members: the trained networks, by name.
        mean: mean of the training split, float32 [channels], in pixel units.
        std: standard deviation of the training split, float32 [channels], in pixel
            units.
        class_names: names of the classes, in the order of the predictions' columns.
        input_shape: (height, width, channels) of one image.
        weights: float64 [members] of each learned combination, by its name; empty until
            they are fitted, by `calibrate`.
        temperatures: temperature of each combination, by its name; empty until they are
            fitted, by `calibrate`.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        *,
        mean: np.ndarray,
        std: np.ndarray,
        class_names: tuple[str, ...],
        input_shape: tuple[int, int, int],
        weights: Mapping[str, np.ndarray] | None = None,
        temperatures: Mapping[str, float] | None = None,
    ):
        _check_statistics(members, mean, std, input_shape)
        self.members = dict(members)
        self.mean = np.asarray(mean, np.float32)
        self.std = np.asarray(std, np.float32)
        self.class_names = tuple(class_names)
        height, width, channels = map(int, input_shape)
        self.input_shape: tuple[int, int, int] = (height, width, channels)
        self.weights = {
            name: np.asarray(own, np.float64) for name, own in (weights or {}).items()
        }
        self.temperatures = {
            name: float(own) for name, own in (temperatures or {}).items()
        }
        self._executables = Executables()

    def predict(
        self,
        images: np.ndarray,
        *,
        combine: str = "average",
        calibrated: bool = False,
        batch_size: int = 512,
    ) -> np.ndarray:
        """Predicts probabilities (or shares of votes) of raw images.

        Args:
            images: uint8 [batch, height, width, channels], as in the data set;
                normalisation is part of the ensemble.
            combine: the `"average"` of the members' probabilities or their `"vote"`; by
                fitted weights: `"weighted"`, `"greedy"` or `"super_learner"`.
            calibrated: whether to rescale by the temperature that was fitted for this
                combination.
            batch_size: number of images at a time. The last batch is filled up to the
                next power of two, and a batch of each size is compiled when it is first
                met.

        Returns:
            float32 [batch, classes], rows summing to 1. Where one probability has been
            rounded to 1, the sum of the others tells how much it is below.

        Raises:
            ValueError: images of another shape or dtype, an unknown combination, or
                one whose weights or temperature were not fitted; or a member's logits
                are not finite.
        """
        if combine not in NAMES:
            raise ValueError(
                f"combine is {short_repr(combine)}: expected one of {', '.join(NAMES)}"
            )
        how_to_fit = (
            "train with calibration_fraction=0.1, say, or fit on images "
            "of your own, as in ensemble.calibrate(ensemble.member_logits(images), "
            "labels)"
        )
        if combine not in COMBINATIONS and combine not in self.weights:
            raise ValueError(
                f"combine is {short_repr(combine)}, whose weights were not fitted: "
                f"{how_to_fit}"
            )
        if calibrated and combine not in self.temperatures:
            raise ValueError(
                f"calibrated is True, but {short_repr(combine)} has no fitted "
                f"temperature: {how_to_fit}"
            )
        logits = self.member_logits(images, batch_size=batch_size)
        for name, own in zip(self.members, logits, strict=True):
            if not np.isfinite(own).all():
                raise ValueError(
                    f"the member {name} answers some of these images with numbers that "
                    "are not finite: leave that member out"
                )
        scores = combined(combine, logits, self.weights)
        if calibrated:
            scores = rescale(scores, self.temperatures[combine])
        return rounded(scores)

    def calibrate(self, logits: np.ndarray, labels: np.ndarray) -> "Ensemble":
        """Fits the weights of learned combinations and every combination's temperature.

        Args:
            logits: floats [members, examples, classes], as `member_logits` returns
                them, of images that trained no member and will test none.
            labels: int [examples], indices of the true classes in `class_names`.

        Returns:
            A new ensemble of the same members, with `weights` and `temperatures`.

        Raises:
            ValueError: logits of other members or classes, no example, logits that are
                not finite, or labels that are no class.
        """
        logits, labels = np.asarray(logits), np.asarray(labels)
        _check_examples(logits, labels, len(self.members), len(self.class_names))
        weights = {name: fit(logits, labels) for name, fit in FITS.items()}
        return Ensemble(
            self.members,
            mean=self.mean,
            std=self.std,
            class_names=self.class_names,
            input_shape=self.input_shape,
            weights=weights,
            temperatures={
                name: fit_temperature(combined(name, logits, weights), labels)
                for name in NAMES
            },
        )

    def member_logits(
        self,
        images: np.ndarray,
        *,
        batch_size: int = 512,
        smallest_batch: int = 1,
        executables: Executables | None = None,
    ) -> np.ndarray:
        """Computes every member's logits.

        Images beyond the last full batch are filled up to the next power of two. Each
        of these sizes is compiled when it is first met; between sizes a logit differs
        by rounding, in float32 on CPUs by less than 1e-5 of the largest logit.

        Args:
            images: uint8 [batch, height, width, channels].
            batch_size: number of images at a time.
            smallest_batch: number of images that the last batch is filled up to at
                least. With `batch_size`, one program serves any number of images, and a
                few images take as long as a full batch.
            executables: compiled programs to share; None for the ensemble's own.

        Returns:
            float32 [members, batch, classes].

        Raises:
            ValueError: images of another shape or dtype, or a batch size that is not a
                whole number in range.
        """
        if not is_whole(batch_size) or not 1 <= batch_size <= _LARGEST_BATCH:
            raise ValueError(
                f"batch_size is {short_repr(batch_size)}: expected a whole number from "
                f"1 to {_LARGEST_BATCH:,}"
            )
        if not is_whole(smallest_batch) or not 1 <= smallest_batch <= batch_size:
            raise ValueError(
                f"smallest_batch is {short_repr(smallest_batch)}: expected a whole "
                f"number from 1 to batch_size, which is {batch_size:,}"
            )
        try:
            images = np.asarray(images)
        except ValueError:  # lists in lists of several lengths
            images = np.empty((), object)
        if images.dtype != np.uint8 or images.shape[1:] != self.input_shape:
            holes = images.dtype.kind == "f" and not np.isfinite(images).all()
            values = ", some of them no finite numbers" if holes else ""
            raise ValueError(
                f"images are {images.dtype} of shape {images.shape}{values}: "
                "expected uint8 of shape (batch, "
                f"{', '.join(map(str, self.input_shape))}), raw pixels as in the data "
                "set"
            )
        if not len(images):
            return np.zeros((len(self.members), 0, len(self.class_names)), np.float32)
        logits = [
            predict_logits(
                member.architecture,
                member.variables,
                images,
                self.mean,
                self.std,
                batch_size=batch_size,
                smallest_batch=smallest_batch,
                executables=executables or self._executables,
            )
            for member in self.members.values()
        ]
        return np.stack(logits)

    def save(self, path: str | Path) -> None:
        """Saves everything that `predict` needs; `load` takes the same path.

        A saved ensemble that is there is replaced. It is removed first, so that an
        interrupted save leaves none there, never a mixture of two.

        Args:
            path: path of a folder for this ensemble alone, which is made if missing, as
                are those above it; `~` is the home folder.

        Raises:
            ValueError: the path is a link or a file, or a folder that holds anything
                but a saved ensemble; or the ensemble could not be loaded again, as a
                member's name is no name, or its variables are not its architecture's.
                Nothing is written or deleted then.
            OSError: the ensemble could not be written.
        """
        folder = as_path(path)
        check_free(folder)
        write_ensemble(folder, self)

    @classmethod
    def load(cls, path: str | Path, method: str | None = None) -> "Ensemble":
        """Loads an ensemble that a run has trained, or that `save` has written.

        Predictions, weights and temperatures are those of the saved one, bit for bit.

        Args:
            path: path of a run's folder, or the one that `save` was given; `~` is the
                home folder.
            method: name of the method, for a run's folder with ensembles of several
                methods; None where there is only one, and for an ensemble's own folder.

        Raises:
            ValueError: there is no ensemble, none of that method, or several and no
                method is named; or the ensemble is damaged or cannot be one.
            OSError: a file cannot be read.
        """
        record, variables = saving.read(find(path, method))
        return cls(
            {n: Member(a, variables[n]) for n, a in record.members.items()},
            mean=np.asarray(record.mean),
            std=np.asarray(record.std),
            class_names=record.class_names,
            input_shape=record.input_shape,
            weights={n: np.asarray(w) for n, w in record.weights.items()},
            temperatures=record.temperatures,
        )

    @property
    def num_params(self) -> int:
        """Number of trainable parameters of all members together."""
        params = [member.variables["params"] for member in self.members.values()]
        return sum(leaf.size for leaf in jax.tree.leaves(params))


def write_ensemble(folder: Path, ensemble: Ensemble) -> None:
    """Saves an ensemble in a folder that belongs to it alone.

    What a save has left there is replaced, whole or damaged. `Ensemble.save` first
    checks that there is nothing else.

    Args:
        folder: folder of this ensemble alone, which is made if missing, as are those
            above it.
        ensemble: the ensemble to save.

    Raises:
        ValueError: the ensemble could not be loaded again.
        OSError: the ensemble could not be written.
    """
    members = ensemble.members.items()
    record = EnsembleRecord(
        {name: member.architecture for name, member in members},
        ensemble.mean.tolist(),
        ensemble.std.tolist(),
        ensemble.class_names,
        ensemble.input_shape,
        {name: weights.tolist() for name, weights in ensemble.weights.items()},
        ensemble.temperatures,
    )
    variables = {name: member.variables for name, member in members}
    saving.write(folder, record, variables)


def _check_statistics(
    members: Mapping[str, Member],
    mean: np.ndarray,
    std: np.ndarray,
    input_shape: tuple[int, int, int],
) -> None:
    """Refuses an ensemble without members, and a mean or std that cannot be used."""
    if not members:
        raise ValueError("an ensemble has at least one member: found none")
    mean, std = np.asarray(mean), np.asarray(std)
    shape = (input_shape[-1],)
    fits = mean.shape == std.shape == shape and np.isfinite([mean, std]).all()
    if not fits or (std <= 0).any():
        raise ValueError(
            f"mean is {short_repr(mean.tolist())} and std is "
            f"{short_repr(std.tolist())}: expected {shape[0]} finite numbers each, one "
            "a channel, and each std above 0"
        )


def _check_examples(
    logits: np.ndarray, labels: np.ndarray, members: int, classes: int
) -> None:
    """Refuses logits and labels on which no weights and temperatures can be fitted."""
    shape = members, len(labels) if labels.ndim == 1 else 0, classes
    if logits.shape != shape or not shape[1] or logits.dtype.kind != "f":
        raise ValueError(
            f"logits are {logits.dtype} of shape {logits.shape} and labels of shape "
            f"{labels.shape}: expected floats of shape ({members} members, examples, "
            f"{classes} classes), as of member_logits, and one label an example"
        )
    if not np.isfinite(logits).all():
        raise ValueError(
            "logits hold values that are no finite numbers: a member's training must "
            "have failed. Leave it out of the ensemble"
        )
    if labels.dtype.kind not in "iu" or not ((labels >= 0) & (labels < classes)).all():
        raise ValueError(
            f"labels are {labels.dtype} from {labels.min()} to {labels.max()}: "
            f"expected whole numbers from 0 to {classes - 1}, columns of predictions"
        )
