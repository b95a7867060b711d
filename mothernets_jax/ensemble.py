"""A trained ensemble: predict, calibrate, save, load."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mothernets_jax import checkpoints
from mothernets_jax.architectures import Architecture
from mothernets_jax.arguments import is_whole
from mothernets_jax.calibration import fit_temperature, rescale
from mothernets_jax.combine import COMBINATIONS, NAMES, combined
from mothernets_jax.compilation import Executables
from mothernets_jax.ensemble_record import EnsembleRecord, from_json, is_failure
from mothernets_jax.evaluation import predict_logits
from mothernets_jax.models import Variables, abstract_variables
from mothernets_jax.weighting import FITS
from mothernets_jax.wording import shown

ENSEMBLES_FOLDER = "ensembles"
_LARGEST_BATCH = 1_000_000


class Member(NamedTuple):
    """One network of an ensemble."""

    architecture: Architecture
    variables: Variables


class Ensemble:
    """Trained members and the normalisation that they expect.

    Attributes:
        members: by name.
        mean: float32 [channels], pixel units, of the training split.
        std: float32 [channels], pixel units, of the training split.
        class_names: in the order of the predictions' columns.
        input_shape: (height, width, channels) of one image.
        weights: float64 [members] of each learned combination, by its name; empty until
            they are fitted, by `calibrate`.
        temperatures: of each combination, by its name; likewise.
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
        self.input_shape: tuple[int, int, int] = input_shape
        self.weights = {n: np.asarray(w) for n, w in (weights or {}).items()}
        self.temperatures = dict(temperatures or {})
        self._executables = Executables()

    def predict(
        self,
        images: np.ndarray,
        *,
        combine: str = "average",
        calibrated: bool = False,
        batch_size: int = 512,
    ) -> np.ndarray:
        """The ensemble's probabilities (or shares of votes) for raw images.

        Args:
            images: uint8 [batch, height, width, channels], as in the data set;
                normalisation is part of the ensemble.
            combine: `"average"` of the members' probabilities or their `"vote"`; by
                fitted weights: `"weighted"`, `"greedy"` or `"super_learner"`.
            calibrated: at the temperature that was fitted for this combination.
            batch_size: images at a time.

        Returns:
            float32 [batch, classes], rows summing to 1.

        Raises:
            ValueError: images of another shape or dtype, an unknown combination, or
                one whose weights or temperature were not fitted.
        """
        if combine not in NAMES:
            raise ValueError(
                f"combine is {shown(combine)}: expected one of {', '.join(NAMES)}"
            )
        how_to_fit = (
            "train with --config.data.calibration_fraction=0.1, say, or fit on images "
            "of your own, as in ensemble.calibrate(ensemble.member_logits(images), "
            "labels)"
        )
        if combine not in COMBINATIONS and combine not in self.weights:
            raise ValueError(
                f"combine is {shown(combine)}, whose weights were not fitted: "
                f"{how_to_fit}"
            )
        if calibrated and combine not in self.temperatures:
            raise ValueError(
                f"calibrated is True, but {shown(combine)} has no fitted temperature: "
                f"{how_to_fit}"
            )
        logits = self.member_logits(images, batch_size=batch_size)
        scores = combined(combine, logits, self.weights)
        return rescale(scores, self.temperatures[combine]) if calibrated else scores

    def calibrate(self, logits: np.ndarray, labels: np.ndarray) -> "Ensemble":
        """Fits the weights of learned combinations, and every one's temperature.

        Args:
            logits: [members, examples, classes], as of `member_logits`, of images that
                trained no member and will test none.
            labels: int [examples], columns of the predictions.

        Returns:
            The same members with `weights` and `temperatures`.

        Raises:
            ValueError: logits of other members or classes, no example, numbers that
                are not finite, or labels that are no class.
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
        executables: Executables | None = None,
    ) -> np.ndarray:
        """Every member's logits.

        Args:
            images: uint8 [batch, height, width, channels].
            batch_size: images at a time.
            executables: compiled programs to share; by default the ensemble's own.

        Returns:
            float32 [members, batch, classes].

        Raises:
            ValueError: images of another shape or dtype.
        """
        if not is_whole(batch_size) or not 1 <= batch_size <= _LARGEST_BATCH:
            raise ValueError(
                f"batch_size is {shown(batch_size)}: expected a whole number from 1 to "
                f"{_LARGEST_BATCH:,}"
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
                executables=executables or self._executables,
            )
            for member in self.members.values()
        ]
        return np.stack(logits)

    def save(self, folder: Path) -> None:
        """Saves everything that `predict` needs."""
        record = EnsembleRecord(
            {name: member.architecture for name, member in self.members.items()},
            self.mean.tolist(),
            self.std.tolist(),
            self.class_names,
            self.input_shape,
            {name: weights.tolist() for name, weights in self.weights.items()},
            self.temperatures,
        )
        variables = {name: member.variables for name, member in self.members.items()}
        checkpoints.save(folder, variables, record.to_json())

    @classmethod
    def load(cls, workdir: str | Path, method: str | None = None) -> "Ensemble":
        """Loads an ensemble that a run has trained.

        Args:
            workdir: the run's folder.
            method: which of its ensembles; None where it holds one method.

        Raises:
            ValueError: no such run or method, several methods and none named, a method
                none of whose members could be trained, or an ensemble that is damaged
                or cannot be one.
            OSError: a file cannot be read.
        """
        if not isinstance(workdir, str | Path):
            raise ValueError(
                f"workdir is {shown(workdir)}: expected the path of a run's folder"
            )
        folder = Path(workdir) / ENSEMBLES_FOLDER
        records = {
            path.name: checkpoints.read_record(path)
            for path in (folder.iterdir() if folder.is_dir() else ())
        }
        saved = sorted(name for name, record in records.items() if record is not None)
        # Methods that have no member are named only where nothing else is there.
        finished = [name for name in saved if not is_failure(records[name])] or saved
        if not finished:
            raise ValueError(
                f"{workdir} holds no trained ensemble: expected a run's folder, in "
                f"which {ENSEMBLES_FOLDER}/ has one for each method"
            )
        if method is None and len(finished) > 1:
            raise ValueError(
                f"{workdir} holds the ensembles of {', '.join(finished)}: name one, as "
                f"in Ensemble.load(workdir, {finished[0]!r})"
            )
        if method is not None and method not in saved:
            raise ValueError(
                f"{workdir} holds no ensemble of {shown(method)}: found "
                f"{', '.join(finished)}"
            )
        return cls._restore(folder / (method or finished[0]))

    @classmethod
    def _restore(cls, folder: Path) -> "Ensemble":
        try:
            record = from_json(checkpoints.read_record(folder))
            saved = checkpoints.saved_shapes(folder)
            _check_members(saved, record.sizes())
        except checkpoints.DamagedError:
            raise
        except ValueError as error:
            raise ValueError(f"{folder} is not a saved ensemble: {error}") from None
        classes = len(record.class_names)
        template = {
            name: abstract_variables(member, record.input_shape, classes)
            for name, member in record.members.items()
        }
        checkpoints.compare(folder, saved, template)
        variables = checkpoints.read(folder, template)
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
        """Trainable parameters of all members."""
        params = [member.variables["params"] for member in self.members.values()]
        return sum(leaf.size for leaf in jax.tree.leaves(params))


def _check_members(saved: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Refuses members of other names and sizes than are saved, at no expense."""
    found = {
        name: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(own["params"]))
        for name, own in saved.items()
        if isinstance(own, dict) and "params" in own
    }
    if found != sizes:
        raise ValueError(
            f"parameters of its members are {shown(found)} there, and {shown(sizes)} "
            "by their architectures"
        )


def _check_statistics(
    members: Mapping[str, Member],
    mean: np.ndarray,
    std: np.ndarray,
    input_shape: tuple[int, int, int],
) -> None:
    """Refuses an ensemble of nobody, and a normalisation that divides by nothing."""
    if not members:
        raise ValueError("an ensemble has at least one member: found none")
    mean, std = np.asarray(mean), np.asarray(std)
    shape = (input_shape[-1],)
    fits = mean.shape == std.shape == shape and np.isfinite([mean, std]).all()
    if not fits or (std <= 0).any():
        raise ValueError(
            f"mean is {shown(mean.tolist())} and std is {shown(std.tolist())}: "
            f"expected {shape[0]} finite numbers each, one a channel, and each std "
            "above 0"
        )


def _check_examples(
    logits: np.ndarray, labels: np.ndarray, members: int, classes: int
) -> None:
    """Refuses what no weights and temperatures can be fitted on."""
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
