"""Sizes and order of the parts into which a training set is divided."""

from typing import NamedTuple

import numpy as np

from mothernets_jax.utils.argument_errors import Argument, ArgumentError

# Which images validate and calibrate is fixed for good: a run that could draw its own
# (from its seed, say) might train a member on images that another one is validated on.
_SPLIT_SEED = 20181112


class SplitSizes(NamedTuple):
    """Numbers of the training images that train, calibrate and validate."""

    train: int
    calibration: int
    validation: int


def count_examples(
    total: int,
    *,
    num_classes: int,
    validation_fraction: float,
    calibration_fraction: float,
    train_examples: int | None,
) -> SplitSizes:
    """Numbers of `total` training images that train, calibrate and validate."""
    validation = _count_kept(total, "validation", validation_fraction)
    calibration = _count_kept(total, "calibration", calibration_fraction)
    available = total - validation - calibration
    if available < num_classes:
        fractions = {
            "validation_fraction": validation_fraction,
            "calibration_fraction": calibration_fraction,
        }
        given: list[str] = []
        for name, value in fractions.items():
            if value:
                given += [" and ", Argument(name), f"={value}"]
        raise ArgumentError(
            *(given[1:] or ["keeping none"]),
            f" leaves {max(available, 0)} of {total} images "
            f"to train on, expected at least one for each of {num_classes} classes. "
            "Give a smaller fraction or add images.",
        )
    if train_examples is None:
        train_examples = available
    if not num_classes <= train_examples <= available:
        kept = f"{validation} of {total} are kept for validation"
        if calibration:
            kept += f", {calibration} for calibration"
        raise ArgumentError(
            Argument("train_examples"),
            f"={train_examples}, but there are {available} training "
            f"images in {num_classes} classes ({kept}). Give {num_classes} to "
            f"{available}, or leave it out to train on all of them.",
        )
    return SplitSizes(train_examples, calibration, validation)


def _count_kept(total: int, purpose: str, fraction: float) -> int:
    """Number of `total` training images that are kept for this purpose."""
    argument = Argument(f"{purpose}_fraction")
    if not 0.0 <= fraction < 1.0:
        raise ArgumentError(
            argument,
            f"={fraction}, expected a fraction from 0 (keep none) "
            "up to, not including, 1; 0.1 keeps a tenth of the training images.",
        )
    count = round(fraction * total)
    if fraction > 0.0 and count == 0:
        raise ArgumentError(
            argument,
            f"={fraction} of {total} training images leaves "
            f"{purpose} empty. Give at least {1 / total:.2g}, or 0 to do without.",
        )
    return count


def stratified_order(labels: np.ndarray) -> np.ndarray:
    """A fixed ordering of all examples; each beginning is stratified by class.

    The k-th of a class's m examples, in random order, is placed at k/m. Cutting at
    t then takes ceil(t * m) of each class: its share to within one image, and never
    none, as the first of every class stands at 0.

    Args:
        labels: int [examples], the class of each.

    Returns:
        int [examples], a permutation of the examples.
    """
    # RandomState's stream is frozen by NumPy (NEP 19); a Generator's may change with
    # a release, and a run resumed after it would train on its validation images.
    shuffled = np.random.RandomState(_SPLIT_SEED).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels[shuffled] == label)
        place[of_class] = np.arange(len(of_class)) / len(of_class)
    return shuffled[np.argsort(place, kind="stable")]
