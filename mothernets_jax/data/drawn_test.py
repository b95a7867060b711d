"""A test set where there is none: drawn from all examples, in an order fixed for good.

So no run trains on what another one is tested on.
"""

import numpy as np

from mothernets_jax.data.split_sizes import stratified_order
from mothernets_jax.utils.argument_errors import Argument, ArgumentError

TEST_FRACTION = 0.2


def check_test_fraction(fraction: float, where: str = "") -> None:
    """Refuses a share that no test set can have.

    Args:
        fraction: share of the examples to test on.
        where: words such as " in FOLDER", for the message.

    Raises:
        ValueError: it is not between 0 and 1.
    """
    if not 0.0 < fraction < 1.0:
        raise ArgumentError(
            Argument("test_fraction"),
            f"={fraction}, expected a fraction between 0 and 1: there is no test set"
            f"{where}, and 0.2 draws a fifth of the examples.",
        )


def draw_test(
    labels: np.ndarray, class_names: tuple[str, ...], fraction: float, where: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Divides examples into those that train and those that test, stratified by class.

    Args:
        labels: int [examples], indices into `class_names`.
        class_names: names of the classes.
        fraction: share of each class to test on, in (0, 1), to within one example; at
            least one of each.
        where: words such as " in FOLDER", for messages.

    Returns:
        int [training examples] and int [test examples], places in `labels`, ascending.

    Raises:
        ValueError: another fraction, or a class of which none is left to train on.
    """
    check_test_fraction(fraction, where)
    order = stratified_order(labels)
    num_test = max(round(fraction * len(labels)), len(class_names))
    test, train = np.sort(order[:num_test]), np.sort(order[num_test:])
    counts = np.bincount(labels, minlength=len(class_names))
    left = np.bincount(labels[train], minlength=len(class_names))
    for name, count, trained in zip(class_names, counts.tolist(), left, strict=True):
        if trained == 0:
            raise ArgumentError(
                f"class {name!r} has {count:,} example{'s' * (count != 1)}{where}, "
                "and ",
                Argument("test_fraction"),
                f"={fraction} leaves none to train on; expected at least two, one to "
                "train and one to test on. Add examples, lower the fraction, or remove "
                "the class.",
            )
    return train, test
