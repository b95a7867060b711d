"""A trained ensemble: predict, judge, calibrate, save, load, export."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.checks import check_task, is_whole
from mothernets_jax.data.preparation import Preparation, check_preparation
from mothernets_jax.ensembles import checks, saving
from mothernets_jax.ensembles.checks import Member
from mothernets_jax.ensembles.combine import NAMES, combined
from mothernets_jax.ensembles.exporting import export
from mothernets_jax.ensembles.hub_export import HubExport
from mothernets_jax.ensembles.labels import label_indices
from mothernets_jax.ensembles.places import check_free, find
from mothernets_jax.ensembles.prediction import predict_logits
from mothernets_jax.ensembles.record import EnsembleRecord
from mothernets_jax.ensembles.weighting import FITS
from mothernets_jax.metrics.calibration import fit_temperature
from mothernets_jax.metrics.probabilities import member_probabilities
from mothernets_jax.models.variables import Variables
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.storage.paths import as_path
from mothernets_jax.utils.messages import short_repr

__all__ = ["Ensemble", "Member", "write_ensemble"]


class Ensemble(HubExport):
    """Trained members and the normalisation that they expect.

    Attributes:
        members: the trained networks, by name.
        mean: mean of the training split, float32 [channels], in pixel units.
        std: standard deviation of the training split, float32 [channels], in pixel
            units.
        class_names: names of the classes, in the order of the predictions' columns.
        input_shape: (height, width, channels) of one image; (1, 1, features) where
            inputs are features.
        input_dtype: dtype of inputs, uint8 or float32.
        weights: float64 [members] of each learned combination, by its name; empty until
            they are fitted, by `calibrate`.
        temperatures: temperature of each combination, by its name; empty until they are
            fitted, by `calibrate`.
        preparation: how images that trained the members were made of files; None where
            that is not known.
    """

    def __init__(
        self,
        members: Mapping[str, Member | tuple[Architecture, Variables]],
        *,
        mean: np.ndarray | float,
        std: np.ndarray | float,
        class_names: Sequence[str] | None = None,
        input_shape: tuple[int, int, int],
        weights: Mapping[str, np.ndarray] | None = None,
        temperatures: Mapping[str, float] | None = None,
        preparation: Preparation | None = None,
        input_dtype: Any = np.uint8,
    ):
        """Makes an ensemble of trained networks, whatever has trained them.

        Args:
            members: the networks by name, `Member`s or pairs (architecture, variables).
            mean: mean of the training images, in pixel units, [channels], or one number
                for all channels.
            std: standard deviation of the training images, likewise.
            class_names: names of the classes, in the order of the networks' outputs;
                None for "0", "1", ...
            input_shape: (height, width, channels) of one image.
            weights: [members] of each learned combination, by its name.
            temperatures: temperature of each combination, by its name.
            preparation: how the training images were made of files; None for others.
            input_dtype: dtype of inputs, uint8 or float32.

        Raises:
            ValueError: no member, variables that do not fit its architecture or the
                number of classes, or statistics with which no image can be normalised.
        """
        self.members = checks.checked_members(members)
        self.class_names = checks.checked_class_names(class_names, self.members)
        check_task(input_shape, len(self.class_names))
        height, width, channels = map(int, input_shape)
        self.input_shape: tuple[int, int, int] = (height, width, channels)
        self.mean, self.std = checks.checked_statistics(mean, std, channels)
        if preparation is not None:
            check_preparation(preparation, self.input_shape)
        self.preparation = preparation
        self.input_dtype = checks.checked_dtype(input_dtype)
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
        members: bool = False,
    ) -> np.ndarray:
        """Predicts probabilities (or shares of votes) of raw images.

        Args:
            images: uint8 or floats [batch, height, width, channels], as in the data
                set, or its features [batch, features]; normalisation is part of the
                ensemble.
            combine: the `"average"` of the members' probabilities or their `"vote"`; by
                fitted weights: `"weighted"`, `"greedy"` or `"super_learner"`.
            calibrated: whether to rescale by the temperature that was fitted for this
                combination.
            batch_size: number of images at a time. The last batch is filled up to the
                next power of two, and a batch of each size is compiled when it is first
                met.
            members: whether to return what every member predicts by itself, instead of
                their combination. It has neither weights nor a temperature, which are
                fitted for combinations: `combine` and `calibrated` are to be left out.

        Returns:
            float32 [batch, classes], or [members, batch, classes] of the members in
            their order, rows summing to 1. Where one probability has been
            rounded to 1, the sum of the others tells how much it is below.

        Raises:
            ValueError: images of another shape or dtype, an unknown combination, or
                one whose weights or temperature were not fitted, or beside `members`;
                or a member's logits are not finite.
        """
        checks.check_combination(
            combine,
            calibrated=calibrated,
            weights=self.weights,
            temperatures=self.temperatures,
        )
        if members and (calibrated or combine != "average"):
            raise ValueError(
                "members is True, which gives the members' own probabilities, and "
                f"combine is {short_repr(combine)} and calibrated {calibrated}, which "
                "are of their combination: leave these two out"
            )
        logits = self._finite_logits(images, batch_size)
        if members:
            return member_probabilities(logits)
        return self._scores(logits, combine, calibrated)

    def calibrate(self, logits: np.ndarray, labels: Any) -> "Ensemble":
        """Fits the weights of learned combinations and every combination's temperature.

        Args:
            logits: floats [members, examples, classes], as `member_logits` returns
                them, of images that trained no member and will test none.
            labels: the true classes [examples], as indices in `class_names` or by name.

        Returns:
            A new ensemble of the same members, with `weights` and `temperatures`.

        Raises:
            ValueError: logits of other members or classes, no example, logits that are
                not finite, or labels that are no class.
        """
        logits, labels = np.asarray(logits), label_indices(labels, self.class_names)
        checks.check_examples(logits, labels, len(self.members), len(self.class_names))
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
            preparation=self.preparation,
            input_dtype=self.input_dtype,
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
            images: as for `predict`.
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
        checks.check_batch_size(batch_size)
        if not is_whole(smallest_batch) or not 1 <= smallest_batch <= batch_size:
            raise ValueError(
                f"smallest_batch is {short_repr(smallest_batch)}: expected a whole "
                f"number from 1 to batch_size, which is {batch_size:,}"
            )
        images = checks.checked_images(images, self.input_shape, self.input_dtype)
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
    def load(cls, path: str | Path, method: str | None = None) -> Self:
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
        return cls.of_record(*saving.read(find(path, method)))

    @classmethod
    def of_record(
        cls, record: EnsembleRecord, variables: Mapping[str, Variables]
    ) -> Self:
        """Makes an ensemble of its parts.

        Args:
            record: all that the ensemble has but its variables.
            variables: each member's `{"params": ..., "batch_stats": ...}`, by name.
        """
        return cls(
            {n: Member(a, variables[n]) for n, a in record.members.items()},
            mean=np.asarray(record.mean),
            std=np.asarray(record.std),
            class_names=record.class_names,
            input_shape=record.input_shape,
            weights={n: np.asarray(w) for n, w in record.weights.items()},
            temperatures=record.temperatures,
            preparation=record.preparation,
            input_dtype=record.input_dtype,
        )

    def export(
        self,
        path: str | Path,
        *,
        combine: str | None = None,
        calibrated: bool | None = None,
    ) -> None:
        """Writes one file from which programs without this library predict.

        A name that ends in `.onnx` makes an ONNX file, which takes what `predict` takes
        (of features, float32 [batch, features]) and returns what it returns, to some
        1e-6: see docs/exporting.md. A file that this has written before is replaced.

        Args:
            path: path of the file; `~` is the home folder.
            combine: how members are combined, as for `predict`; None for their average.
            calibrated: whether to rescale by the temperature that was fitted for this
                combination; None not to.

        Raises:
            ValueError: another ending, a combination that `predict` refuses, something
                else at this path, an ensemble that exceeds the format, or the extra
                `export` is not installed.
            OSError: the file could not be written.
        """
        export(self, path, combine=combine, calibrated=calibrated)

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
    variables = {name: member.variables for name, member in members}
    saving.write(folder, ensemble.record, variables)
