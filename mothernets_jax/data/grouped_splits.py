"""Groups of examples that stay together when a data set is divided.

Images of one patient, or frames of one film, are alike: with some of them in training
and some in the test set, the test error would say how well they were learned by heart.
"""

import numpy as np

from mothernets_jax.utils.argument_errors import Argument, ArgumentError

_SEED = 20181112  # fixed, as that of `split_sizes`


def draw_groups(
    labels: np.ndarray, groups: np.ndarray, fraction: float, *, purpose: str
) -> np.ndarray:
    """Draws whole groups that make up about a fraction of the examples of each class.

    Groups are taken from the largest to the smallest, equally large ones in a fixed
    random order: first each that brings the drawn numbers of examples by class nearer
    to the fraction of all; then, as these may all have been rounded down, each that
    brings their sum nearer and no class to more than its share, rounded up. Every class
    keeps an example that is not drawn.

    Args:
        labels: int [examples], the class of each.
        groups: values [examples]; examples of equal values are one group.
        fraction: share of the examples to draw, in (0, 1).
        purpose: name of the part that is drawn, for the message.

    Returns:
        bool [examples], True for those that are drawn.

    Raises:
        ValueError: no group can be drawn.
    """
    names, of_example = np.unique(groups, return_inverse=True)
    of_example = of_example.reshape(-1)
    counts = np.zeros((len(names), labels.max() + 1), np.int64)
    np.add.at(counts, (of_example, labels), 1)
    target = fraction * counts.sum(axis=0)
    shuffled = np.random.RandomState(_SEED).permutation(len(names))
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    drawn, taken = np.zeros_like(target), np.zeros(len(names), np.bool_)
    left = counts.sum(axis=0)
    for is_nearer in (_by_class, _in_sum):
        for group in order:
            own = counts[group]
            keeps = np.all((left > own) | (own == 0))
            if not taken[group] and keeps and is_nearer(drawn, own, target):
                drawn, left = drawn + own, left - own
                taken[group] = True
    if not taken.any():
        raise ArgumentError(
            Argument("groups"),
            f" has {len(names):,} groups of up to {counts.sum(axis=1).max():,} of "
            f"{len(labels):,} examples, of which none can be kept for {purpose} "
            f"(about {fraction:.0%} is wanted, and every class must keep examples to "
            f"train on): give more and smaller groups, another ",
            Argument(f"{purpose}_fraction"),
            f", or a {purpose} set of your own",
        )
    return taken[of_example]


def _by_class(drawn: np.ndarray, own: np.ndarray, target: np.ndarray) -> bool:
    """Tells whether a group brings the numbers by class nearer to their targets."""
    before, after = (np.square(n - target).sum() for n in (drawn, drawn + own))
    return bool(after < before)


def _in_sum(drawn: np.ndarray, own: np.ndarray, target: np.ndarray) -> bool:
    """Tells whether a group brings their sum nearer, and none beyond its target."""
    lacking = target.sum() - drawn.sum()
    fits = np.all((drawn + own <= np.ceil(target)) | (own == 0))
    return bool(fits and abs(lacking - own.sum()) < abs(lacking))
