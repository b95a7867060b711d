"""The 1797 handwritten digits that ship with scikit-learn: no download, no files."""

import numpy as np

from mothernets_jax.data.dataset import Arrays
from mothernets_jax.data.drawn_test import TEST_FRACTION
from mothernets_jax.utils.argument_errors import Argument, ArgumentError, Assignment

# Folds must be the same in every run: they divide training from test images.
_FOLD_SEED = 20181112


def load_digits_fold(fold: int, test_fraction: float = TEST_FRACTION) -> Arrays:
    """Loads the digits with one of several stratified folds as the test set.

    With 1797 images a single test set of 360 is coarse (one image is 0.28%); the
    folds together test on every image once. With a test fraction above a half it is
    the other way round: one fold trains, and all others test.

    Args:
        fold: number of the fold that is the test set, or trains, from 0 on.
        test_fraction: share of the images that test: 1 / n, or 1 - 1 / n, of n folds.

    Returns:
        Images uint8 [examples, 8, 8, 1] and labels int32 [examples], to train and to
        test on; class_names are "0" to "9".

    Raises:
        ValueError: there is no such fold, or no number of folds for the fraction.
    """
    # Imported here: scikit-learn takes a second or two, which other data need not pay.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold

    # float64 [examples, 64] in grey levels 0..16, int64 [examples].
    levels, labels = load_digits(return_X_y=True)
    images = np.rint(levels * (255.0 / 16.0)).astype(np.uint8).reshape(-1, 8, 8, 1)
    labels = labels.astype(np.int32)

    num_folds = _number_of_folds(test_fraction, int(np.bincount(labels).min()))
    if not 0 <= fold < num_folds:
        raise ArgumentError(
            Argument("fold"),
            f"={fold}, expected 0 to {num_folds - 1}: the digits are divided into "
            f"{num_folds} folds. Set e.g. ",
            Assignment("fold"),
            "=0.",
        )
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=_FOLD_SEED)
    train, test = list(folds.split(images, labels))[fold]
    if test_fraction > 0.5:
        train, test = test, train
    class_names = tuple("0123456789")
    return Arrays(images[train], labels[train], images[test], labels[test], class_names)


def _number_of_folds(test_fraction: float, most: int) -> int:
    """Number of folds of which one, or all but one, are the fraction of all images.

    Raises:
        ValueError: no number of folds, from 2 to `most`, makes such a fraction.
    """
    smaller = min(test_fraction, 1 - test_fraction)
    folds = round(1 / smaller) if smaller * most > 0.5 else 0
    if not (2 <= folds <= most and abs(smaller * folds - 1) < 0.02):
        raise ArgumentError(
            Argument("test_fraction"),
            f"={test_fraction:g}, but the digits are divided into folds of one size: "
            f"expected 1 / n, or 1 - 1 / n, for n folds, 2 to {most}. Set e.g. ",
            Assignment("test_fraction"),
            "=0.2, or 0.75 to train on a quarter.",
        )
    return folds
