"""How a data set's images are spread over its classes, in sentences.

They are the same in the plan, in the log and in reports, and there are none where
nothing needs saying.
"""

import math
from collections.abc import Mapping, Sequence

from mothernets_jax.metrics.class_errors import distinct_names, majority_error
from mothernets_jax.utils.messages import short_repr

# Classes are called unequal where the largest has so many times the images of the
# smallest, and more than these beyond it: a stratified split rounds.
IMBALANCE_RATIO = 1.5
ROUNDED_IMAGES = 2
_MOST_NAMED = 5  # classes in a sentence

Counts = Mapping[str, Sequence[int]]  # images of each class, by split


def is_imbalanced(counts: Counts) -> bool:
    """Whether an error over all images may hide a small class's.

    Args:
        counts: images of each class in `train` and in `test`; empty where they are not
            known, as in the results of an older version.
    """
    return any(_unequal(counts.get(split, ())) for split in ("train", "test"))


def class_remarks(class_names: Sequence[str], counts: Counts) -> list[str]:
    """What a reader of an error should know of the classes; nothing where all is well.

    Args:
        class_names: one a class.
        counts: images of each class in the splits `train`, `validation` and `test`;
            empty where they are not known.

    Returns:
        A sentence each for classes of unequal size, for classes without test images,
        and for classes without validation images where there is a validation split.
    """
    names = [short_repr(name) for name in distinct_names(class_names)]
    remarks = [_imbalance(names, counts)] if is_imbalanced(counts) else []
    for split in ("test", "validation"):
        of_class = counts.get(split, ())
        missing = [n for n, count in zip(names, of_class, strict=False) if not count]
        if missing and any(of_class):
            remarks.append(
                f"No {split} image is of class {_listed(missing)}: "
                f"{'a' if split == 'validation' else 'the'} {split} error says nothing "
                f"of {'it' if len(missing) == 1 else 'them'}."
            )
    return remarks


def _unequal(counts: Sequence[int]) -> bool:
    if not any(counts):
        return False
    largest, smallest = max(counts), min(counts)
    rounding = largest - smallest <= ROUNDED_IMAGES
    return largest >= IMBALANCE_RATIO * smallest and not rounding


def _imbalance(names: Sequence[str], counts: Counts) -> str:
    """For example "Classes: 'cat' has 94.0% of the 5,000 training images, ..."."""
    train, test = counts["train"], counts["test"]
    split, of_class = "training", train
    if not _unequal(train):
        split, of_class = "test", test
    total = sum(of_class)
    largest, smallest = (
        choose(range(len(of_class)), key=of_class.__getitem__) for choose in (max, min)
    )
    answer = names[max(range(len(train)), key=train.__getitem__)]
    few = of_class[smallest]
    return (
        f"Classes: {names[largest]} has {_percent(of_class[largest] / total)} of the "
        f"{total:,} {split} images, {names[smallest]} {_percent(few / total)} "
        f"({few:,}); always answering {answer} errs on "
        f"{_percent(majority_error(train, test))} of the test set."
    )


def _percent(share: float) -> str:
    """One decimal, or more where else it would be rounded to 0% or to 100%.

    >>> _percent(0.94), _percent(0.00042), _percent(0.99996), _percent(1.0)
    ('94.0%', '0.04%', '99.996%', '100.0%')
    """
    near = 100 * min(share, 1 - share)
    decimals = 1 if near < 1e-9 else max(1, -math.floor(math.log10(near)))
    return f"{100 * share:.{decimals}f}%"


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many there are beside them."""
    rest = len(names) - _MOST_NAMED
    more = f" and {rest:,} more" if rest > 0 else ""
    return ", ".join(names[:_MOST_NAMED]) + more
