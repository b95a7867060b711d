"""A cascade: members are asked from the cheapest on, until the answer is sure enough.

The answer of the first k members is the mean of their probabilities, rescaled by a
temperature of its own. An image is answered where the likeliest class leads the second
by a threshold, of which each k has its own; the others go on to the next member. After
the last member the answer is the whole ensemble's.

Axes: [members, examples, classes] logits, [examples, classes] probabilities.

References: Wang, Kondratyuk, Christiansen, Kitani, Movshovitz-Attias, Eban, Wisdom of
Committees: An Overlooked Approach to Faster and More Accurate Models. ICLR 2022 (with
one threshold, on the highest probability; see docs/predicting.md for both).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.architectures.costs import forward_flops
from mothernets_jax.ensembles import checks
from mothernets_jax.ensembles.cascade_thresholds import fit_thresholds
from mothernets_jax.ensembles.combine import average
from mothernets_jax.ensembles.ensemble import Ensemble
from mothernets_jax.ensembles.labels import label_indices
from mothernets_jax.ensembles.prediction import predict_logits
from mothernets_jax.metrics.calibration import fit_temperature, rescale
from mothernets_jax.metrics.probabilities import rounded
from mothernets_jax.runtime.compilation import Executables
from mothernets_jax.utils.messages import short_repr


class CascadePrediction(NamedTuple):
    """What a cascade predicts, and what it spent.

    Attributes:
        probabilities: float32 [examples, classes], rows summing to 1.
        asked: int [examples], the number of members that were asked.
        flops: float64 [examples], FLOPs of the passes of these members.
    """

    probabilities: np.ndarray
    asked: np.ndarray
    flops: np.ndarray


class Cascade:
    """An ensemble that asks as many of its members as an image needs.

    Attributes:
        ensemble: the ensemble.
        order: names of its members, the cheapest first.
        flops: float64 [members], FLOPs of one image's pass of each member, in `order`.
        temperatures: temperature of the mean of the first 1, 2, ... members.
        thresholds: lead, 0 to 1, of the likeliest class over the second from which on
            the first 1, 2, ... members suffice, for all but the last; infinity where
            they never do.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        *,
        temperatures: Sequence[float],
        thresholds: Sequence[float],
    ) -> None:
        """Makes a cascade of numbers that `fit_cascade` has found.

        Args:
            ensemble: the ensemble.
            temperatures: one temperature for each number of members asked.
            thresholds: one lead for each number of members but all.

        Raises:
            ValueError: not one temperature a member and a threshold for all but the
                last, or one that is out of range.
        """
        self.ensemble = ensemble
        costs = _costs(ensemble)
        self.order = tuple(costs)
        self.flops = np.array([*costs.values()])
        self.temperatures = tuple(float(own) for own in temperatures)
        self.thresholds = tuple(float(own) for own in thresholds)
        if len(self.temperatures) != len(costs) or not all(
            0 < own < np.inf for own in self.temperatures
        ):
            raise ValueError(
                f"temperatures are {short_repr(self.temperatures)}: expected "
                f"{len(costs)} numbers above 0, one for each number of members"
            )
        if len(self.thresholds) != len(costs) - 1 or not all(
            own >= 0 for own in self.thresholds
        ):
            raise ValueError(
                f"thresholds are {short_repr(self.thresholds)}: expected "
                f"{len(costs) - 1} numbers from 0 on, one for each number of members "
                "but all"
            )
        self._executables = Executables()

    def predict(
        self, images: np.ndarray, *, batch_size: int = 512
    ) -> CascadePrediction:
        """Predicts calibrated probabilities of raw images.

        Images that go on to the next member are put together again, in as few batches
        as may be, the last filled up to the next power of two. FLOPs are those of the
        images, without the filling.

        Args:
            images: as for `Ensemble.predict`.
            batch_size: number of images at a time.

        Returns:
            The probabilities, and for each image the number of members asked and FLOPs.

        Raises:
            ValueError: images or a batch size that `Ensemble.predict` refuses, or a
                member's logits are not finite.
        """
        own = self.ensemble
        checks.check_batch_size(batch_size)
        images = checks.checked_images(images, own.input_shape, own.input_dtype)
        count, classes = len(images), len(own.class_names)
        probabilities = np.zeros((count, classes), np.float32)
        asked = np.zeros(count, np.int64)
        waiting = np.arange(count)  # images that no answer is sure enough for
        logits = np.zeros((0, count, classes), np.float32)
        for place, name in enumerate(self.order):
            if not len(waiting):
                break
            found = self._logits(name, images[waiting], batch_size)
            logits = np.concatenate([logits, found[None]])
            asked[waiting] += 1
            answers = rescale(average(logits), self.temperatures[place])
            probabilities[waiting] = rounded(answers)
            if place < len(self.thresholds):
                goes_on = _leads(answers) < self.thresholds[place]
                waiting, logits = waiting[goes_on], logits[:, goes_on]
        spent = np.concatenate([[0.0], np.cumsum(self.flops)])
        return CascadePrediction(probabilities, asked, spent[asked])

    def _logits(self, name: str, images: np.ndarray, batch_size: int) -> np.ndarray:
        """A member's finite logits, float32 [examples, classes]."""
        own = self.ensemble
        logits = predict_logits(
            *own.members[name],
            images,
            own.mean,
            own.std,
            batch_size=batch_size,
            executables=self._executables,
        )
        checks.check_finite([name], logits[None])
        return logits


def fit_cascade(
    ensemble: Ensemble, logits: np.ndarray, labels: Any, *, accuracy_loss: float = 0.001
) -> Cascade:
    """Fits a cascade's temperatures and thresholds on images that trained no member.

    On these images the cascade loses no more accuracy than is stated, by the labels as
    well as by the whole ensemble's calibrated probabilities, and is the cheapest such
    one that is found: see `cascade_thresholds`.

    Args:
        ensemble: the ensemble.
        logits: floats [members, examples, classes], as `ensemble.member_logits` returns
            them, of images that trained no member and will test none, such as the
            calibration split.
        labels: the true classes [examples], as indices in `class_names` or by name.
        accuracy_loss: share of the images, 0 to 1, by which the cascade may be right
            less often than the whole ensemble.

    Returns:
        The cascade.

    Raises:
        ValueError: logits of other members or classes, no example, labels that are no
            class, or a loss out of range.

    >>> import jax
    >>> import mothernets_jax as mn
    >>> network = mn.parse("mlp 4")
    >>> members = {
    ...     name: (network, mn.init(network, jax.random.key(seed), (2, 2, 1), 2))
    ...     for seed, name in enumerate("AB")
    ... }
    >>> ensemble = mn.Ensemble(members, mean=100.0, std=50.0, input_shape=(2, 2, 1))
    >>> images = np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1)
    >>> logits = ensemble.member_logits(images)
    >>> cascade = mn.fit_cascade(ensemble, logits, [0, 1, 0, 1], accuracy_loss=1.0)
    >>> cascade.predict(images).asked
    array([1, 1, 1, 1])
    """
    is_number = isinstance(accuracy_loss, int | float)
    if not is_number or not 0 <= accuracy_loss <= 1:
        raise ValueError(
            f"accuracy_loss is {short_repr(accuracy_loss)}: expected a share of the "
            "images, 0 to 1, such as 0.001 for a tenth of a point"
        )
    logits, labels = np.asarray(logits), label_indices(labels, ensemble.class_names)
    classes = len(ensemble.class_names)
    checks.check_examples(logits, labels, len(ensemble.members), classes)
    places = {name: place for place, name in enumerate(ensemble.members)}
    costs = _costs(ensemble)
    ordered = logits[[places[name] for name in costs]]
    means = [average(ordered[:count]) for count in range(1, len(ordered) + 1)]
    temperatures = [fit_temperature(own, labels) for own in means]
    answers = [rescale(own, t) for own, t in zip(means, temperatures, strict=True)]
    given = np.stack([own.argmax(axis=1) for own in answers])
    expected = np.take_along_axis(answers[-1].T, given, axis=0)
    right = (given == labels).astype(int)
    thresholds = fit_thresholds(
        np.stack([_leads(own) for own in answers]),
        expected[-1] - expected,
        right[-1] - right,
        np.cumsum([*costs.values()]),
        accuracy_loss,
    )
    return Cascade(ensemble, temperatures=temperatures, thresholds=thresholds.tolist())


def _leads(probabilities: np.ndarray) -> np.ndarray:
    """By how much, [examples], the likeliest class leads the second; 1 if alone."""
    if probabilities.shape[1] == 1:
        return np.ones(len(probabilities))
    second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return first - second


def _costs(ensemble: Ensemble) -> Mapping[str, float]:
    """FLOPs of one image's pass of each member by name, the cheapest first."""
    shape, classes = ensemble.input_shape, len(ensemble.class_names)
    costs = {
        name: forward_flops(member.architecture, shape, classes)
        for name, member in ensemble.members.items()
    }
    return dict(sorted(costs.items(), key=lambda own: own[1]))
