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
    random order: each that brings the drawn numbers of examples by class nearer to the
    fraction of all, as long as every class keeps an example that is not drawn.

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
    for group in order:
        after = drawn + counts[group]
        nearer = np.square(after - target).sum() < np.square(drawn - target).sum()
        if nearer and np.all((left > counts[group]) | (counts[group] == 0)):
            drawn, left = after, left - counts[group]
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
