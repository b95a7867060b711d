"""An ensemble as a folder in the layout of model hubs, and back."""

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from mothernets_jax.ensembles import hub_folder
from mothernets_jax.ensembles.assessment import Assessment
from mothernets_jax.ensembles.record import EnsembleRecord
from mothernets_jax.models.variables import Variables
from mothernets_jax.storage.paths import as_path


class HubExport(Assessment):
    """The part of an `Ensemble` that writes it in the layout of hubs, and reads it."""

    @classmethod
    @abc.abstractmethod
    def of_record(
        cls, record: EnsembleRecord, variables: Mapping[str, Variables]
    ) -> Self:
        """Makes an ensemble of its record and its members' variables by name."""

    @property
    def record(self) -> EnsembleRecord:
        """All that the ensemble has but its variables."""
        members = self.members.items()
        return EnsembleRecord(
            {name: member.architecture for name, member in members},
            self.mean.tolist(),
            self.std.tolist(),
            self.class_names,
            self.input_shape,
            {name: weights.tolist() for name, weights in self.weights.items()},
            self.temperatures,
            self.preparation,
            self.input_dtype.name,
        )

    def export_safetensors(
        self,
        path: str | Path,
        *,
        license: str | None = None,
        combine: str = "average",
        calibrated: bool = False,
        training_data: Mapping[str, Any] | None = None,
        figures: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes a folder in the layout of model hubs; `from_safetensors` reads it.

        It holds `model.safetensors`, `config.json` and a model card, `README.md`. An
        exported ensemble that is there is replaced, its card, too.

        Args:
            path: path of a folder for this ensemble alone, which is made if missing;
                `~` is the home folder. Its name is the title of the card.
            license: identifier of the license, such as "apache-2.0"; None for none.
            combine: how the card advises to combine members, as for `predict`.
            calibrated: whether it advises to rescale by the fitted temperature.
            training_data: description of the data of the training, as `data` in a run's
                `data.json`; None where it is not known.
            figures: measures on test examples, as `evaluate` returns them; None for
                none.

        Raises:
            ValueError: the package `safetensors` is missing, an argument is not what is
                expected, the ensemble could not be loaded again, or the folder is a
                link or holds anything else. Nothing is written then.
            OSError: the ensemble could not be written.
        """
        folder = as_path(path)
        config = hub_folder.config_of(
            self.record,
            combine=combine,
            calibrated=calibrated,
            license=license,
            training_data=training_data,
            figures=figures,
        )
        members = self.members.items()
        hub_folder.write(folder, config, {n: own.variables for n, own in members})

    @classmethod
    def from_safetensors(cls, path: str | Path) -> Self:
        """Loads an ensemble that `export_safetensors` has written.

        Predictions, weights and temperatures are those of the exported one, bit for
        bit. Whatever the files hold is checked; nothing of it is unpickled or run.

        Args:
            path: path of the folder, or of a copy of it; `~` is the home folder.

        Raises:
            ValueError: the package `safetensors` is missing; or there is no exported
                ensemble, or one that is damaged or cannot be one, or with links or
                files that do not belong there.
            OSError: a file cannot be read.
        """
        return cls.of_record(*hub_folder.read(as_path(path)))
