"""`mn.MotherNetsClassifier`: an ensemble behind scikit-learn's interface.

The only file that imports scikit-learn's estimators: `import mothernets_jax` does not
load it.
"""

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from mothernets_jax.api import train
from mothernets_jax.architectures import Architecture
from mothernets_jax.data.public import Dataset
from mothernets_jax.ensembles.archive import from_bytes, to_bytes
from mothernets_jax.ensembles.combine import COMBINATIONS
from mothernets_jax.ensembles.ensemble import Ensemble
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.stages.amounts import fitting_batch
from mothernets_jax.utils.messages import short_repr

# The largest batch that is chosen, the smallest, and the fewest steps an epoch.
_LARGEST_BATCH, _SMALLEST_BATCH, _STEPS = 32, 8, 4
# On small tables better calibrated than SGD: benchmarks/results/tabular_defaults.json.
_OPTIMIZER = {"optimizer": "adamw", "weight_decay": 0.01}
# Hatched members train for this share of the MotherNets' epochs.
_HATCHED_SHARE = 0.4
# All predictions are of batches of one size, so that no row depends on the others.
_PREDICTION_BATCH = 256
_SHAPES = 4  # whose programs are kept


class MotherNetsClassifier(ClassifierMixin, BaseEstimator):
    """An ensemble of neural networks, trained by MotherNets, as a classifier.

    Works in `Pipeline`, `cross_val_score`, `GridSearchCV` and under joblib, and can be
    pickled: the networks are in the pickle as the files that `Ensemble.save` writes.

    Features are standardised inside and held as float32: a feature that varies by less
    than a millionth of its mean needs a `StandardScaler` before. Sample weights are not
    supported; `settings={"train.class_weights": "balanced"}` makes classes count alike.

    Attributes:
        classes_: the different labels, sorted, [classes].
        n_features_in_: number of features.
        feature_names_in_: names of the features, where X has any, [features].
        ensemble_: the trained `Ensemble`, and, with `workdir`, a `TrainedEnsemble`
            with the run's `report()`.
        validation_score_: accuracy on the examples that were held out.

    >>> from sklearn.datasets import load_iris
    >>> classifier = MotherNetsClassifier(random_state=0)
    >>> classifier.fit(*load_iris(return_X_y=True))  # doctest: +SKIP
    """

    def __init__(
        self,
        members: Mapping[str, Architecture | str] | None = None,
        *,
        epochs: int = 50,
        learning_rate: float = 0.003,
        batch_size: int | None = None,
        num_clusters: int | None = None,
        budget: str | float | None = None,
        augment: Callable | str | None = None,
        image_shape: tuple[int, int, int] | None = None,
        validation_fraction: float = 0.1,
        settings: Mapping[str, Any] | None = None,
        random_state: Any = None,
        workdir: str | Path | None = None,
        verbose: bool = False,
    ):
        """Keeps the parameters; `fit` checks them.

        Args:
            members: the networks of the ensemble, by name, as architectures or their
                notations; None for five multilayer perceptrons, or V5 at a quarter of
                its width for images.
            epochs: epochs of the MotherNets; the hatched members train for two fifths
                of these.
            learning_rate: largest learning rate of AdamW, of both.
            batch_size: examples in a step; None for a power of two from 8 to 32, the
                larger the more examples there are.
            num_clusters: number of MotherNets; None for the fewest that there can be.
            budget: what a fit may cost in place of epochs, such as "2min"; see
                `mothernets_jax.train`.
            augment: how examples are varied in training, such as "mixup"; or a pure
                function (key, images) -> images.
            image_shape: (height, width, channels) where each row of X is an image, of
                uint8 or floats; None for features.
            validation_fraction: share of the examples that train nothing, stratified:
                the run is judged by them. The same ones of the same data.
            settings: further settings, as `mothernets_jax.train` takes them; these
                overrule the arguments above.
            random_state: seed, an int from 0 to 2**32 - 1, a `RandomState` to draw it
                from, or None to draw it from NumPy's global one.
            workdir: folder to keep the run in, for a single fit: a fit on other data is
                refused there. None for a temporary one, which is deleted.
            verbose: whether to show progress.
        """
        self.members = members
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.num_clusters = num_clusters
        self.budget = budget
        self.augment = augment
        self.image_shape = image_shape
        self.validation_fraction = validation_fraction
        self.settings = settings
        self.random_state = random_state
        self.workdir = workdir
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Trains the ensemble.

        Args:
            X: numbers [examples, features]; with `image_shape`, flattened images.
            y: labels [examples], numbers or texts.

        Raises:
            ValueError: data or parameters that cannot be used.
        """
        X, y = validate_data(self, X, y)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        dataset = self._dataset(X, indices)
        settings = {
            "seed": self._seed(),
            "num_clusters": self.num_clusters,
            # Chosen by no clock, so that equal fits are equal to the bit.
            "strategy": "loop",
            **self._recipe(len(dataset.train_labels)),
            **(self.settings or {}),
        }
        with tempfile.TemporaryDirectory() as scratch:
            trained = train(
                dataset,
                members=self.members,
                budget=self.budget,
                settings=settings,
                workdir=Path(scratch, "run") if self.workdir is None else self.workdir,
                augment=self.augment,
                progress=bool(self.verbose),
                report=self.workdir is not None,
                store=_store(dataset.train_images.shape),
            )
        method = trained.results["methods"][trained.method]
        self.validation_score_ = 1.0 - method["ensemble"]["average"]["error"]
        self.ensemble_ = trained if self.workdir is not None else _alone(trained)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predicts the probability of each class.

        Args:
            X: as for `fit`.

        Returns:
            float64 [examples, classes], in the order of `classes_`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        logits = self.ensemble_.member_logits(
            self._inputs(X),
            batch_size=_PREDICTION_BATCH,
            smallest_batch=_PREDICTION_BATCH,
        )
        return COMBINATIONS["average"](logits)

    def predict(self, X: Any) -> np.ndarray:
        """Predicts the likeliest class.

        Args:
            X: as for `fit`.

        Returns:
            Labels [examples], of the kind that `fit` was given.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def __getstate__(self) -> dict[str, Any]:
        """The parameters and attributes, the ensemble as bytes."""
        inherited: Any = super().__getstate__()
        state: dict[str, Any] = dict(inherited)
        if "ensemble_" in state:
            state["ensemble_"] = to_bytes(state["ensemble_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes what `__getstate__` has returned; the ensemble's bytes are checked."""
        state = dict(state)
        if "ensemble_" in state:
            state["ensemble_"] = from_bytes(state["ensemble_"])
        super().__setstate__(state)

    def _dataset(self, X: np.ndarray, indices: np.ndarray) -> Dataset:
        """The examples, divided into those that train and those held out."""
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class, {short_repr(self.classes_.tolist()[0])}: expected "
                "at least two to tell apart"
            )
        if len(indices) <= len(self.classes_):
            raise ValueError(
                f"X has {len(indices)} examples of {len(self.classes_)} classes: "
                "expected more examples than classes, as one at least is held out"
            )
        if not 0.0 < self.validation_fraction < 1.0:
            raise ValueError(
                f"validation_fraction is {short_repr(self.validation_fraction)}: "
                "expected a number between 0 and 1, such as 0.1"
            )
        most = (len(indices) - len(self.classes_)) / len(indices)
        return Dataset.from_arrays(
            self._inputs(X),
            indices,
            class_names=tuple(map(str, self.classes_.tolist())),
            test_fraction=min(max(self.validation_fraction, 1 / len(indices)), most),
            validation_fraction=0.0,
        )

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        """X as features or images."""
        if self.image_shape is None:
            return X
        if np.prod(self.image_shape) != X.shape[1]:
            raise ValueError(
                f"image_shape is {short_repr(self.image_shape)}, and X has "
                f"{X.shape[1]:,} features: expected height * width * channels of them"
            )
        images = X.reshape(len(X), *self.image_shape)
        return images if images.dtype == np.uint8 else images.astype(np.float32)

    def _recipe(self, examples: int) -> dict[str, Any]:
        """Settings of the training."""
        batch_size = self.batch_size
        if batch_size is None:
            batch_size = fitting_batch(
                examples, steps=_STEPS, largest=_LARGEST_BATCH, smallest=_SMALLEST_BATCH
            )
        hatched = {}
        if isinstance(self.epochs, int):
            hatched["epochs"] = max(1, round(_HATCHED_SHARE * self.epochs))
        rate = self.learning_rate
        return {
            "train": {
                "epochs": self.epochs,
                "batch_size": batch_size,
                "learning_rate": rate,
                **_OPTIMIZER,
            },
            "hatch": {"learning_rate": rate, **hatched},
        }

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))


@functools.lru_cache(maxsize=_SHAPES)
def _store(shape: tuple[int, ...]) -> ProgramStore:
    """The programs of fits on data of one shape, which share them."""
    del shape
    return ProgramStore()


def _alone(trained: Ensemble) -> Ensemble:
    """An ensemble without its run, whose folder is gone."""
    return Ensemble(
        trained.members,
        mean=trained.mean,
        std=trained.std,
        class_names=trained.class_names,
        input_shape=trained.input_shape,
        weights=trained.weights,
        temperatures=trained.temperatures,
        input_dtype=trained.input_dtype,
    )
