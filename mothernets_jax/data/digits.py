"""The 1797 handwritten digits that ship with scikit-learn: no download, no files."""

import numpy as np

from mothernets_jax.data.dataset import Arrays
from mothernets_jax.utils.argument_errors import Argument, ArgumentError, Assignment

# Folds must be the same in every run: they divide training from test images.
_FOLD_SEED = 20181112


def load_digits_fold(fold: int, num_folds: int = 5) -> Arrays:
    """Loads the digits with one of `num_folds` stratified folds as the test set.

    With 1797 images a single test set of 360 is coarse (one image is 0.28%); the
    folds together test on every image once.

    Args:
        fold: number of the fold that is the test set, from 0 to `num_folds` - 1.
        num_folds: number of folds that the images are divided into.

    Returns:
        Images uint8 [examples, 8, 8, 1] and labels int32 [examples], to train and to
        test on; class_names are "0" to "9".

    Raises:
        ValueError: there is no such fold, or there are more folds than images of a
            digit.
    """
    # Imported here: scikit-learn takes a second or two, which other data need not pay.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold

    # float64 [examples, 64] in grey levels 0..16, int64 [examples].
    levels, labels = load_digits(return_X_y=True)
    images = np.rint(levels * (255.0 / 16.0)).astype(np.uint8).reshape(-1, 8, 8, 1)
    labels = labels.astype(np.int32)

    most_folds = int(np.bincount(labels).min())
    if not 2 <= num_folds <= most_folds:
        raise ValueError(
            f"num_folds={num_folds}, expected 2 to {most_folds} (the number of images "
            "of the rarest digit)."
        )
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
    class_names = tuple("0123456789")
    return Arrays(images[train], labels[train], images[test], labels[test], class_names)
