"""Sentences on how a data set's images are spread over its classes.

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
# Share of the test images that would have to be of other classes for the training
# images' mixture, from which on a remark says so, beside what chance makes of it.
MIXED_OTHERWISE = 0.1
_MOST_NAMED = 5  # classes in a sentence

Counts = Mapping[str, Sequence[int]]  # images of each class, by split


def is_imbalanced(counts: Counts) -> bool:
    """Tells whether an error over all images may hide that of a small class.

    Args:
        counts: number of images of each class, keyed by split (`train` and `test`);
            empty where they are not known, as in the results of an older version.
    """
    return any(_unequal(counts.get(split, ())) for split in ("train", "test"))


def class_remarks(class_names: Sequence[str], counts: Counts) -> list[str]:
    """Remarks on the classes that a reader of an error needs; none where all is well.

    Args:
        class_names: one name for each class.
        counts: number of images of each class, keyed by split (`train`, `validation`
            and `test`); empty where they are not known.

    Returns:
        One sentence each on classes of unequal size, on a test set in which they are
        mixed otherwise than in training, on classes without test images, and on classes
        without validation images where there is a validation split.
    """
    names = [short_repr(name) for name in distinct_names(class_names)]
    remarks = [_imbalance(names, counts)] if is_imbalanced(counts) else []
    if mixture := _mixture(names, counts):
        remarks.append(mixture)
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
    """One sentence: "Classes: 'cat' has 94.0% of the 5,000 training images, ..."."""
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


def _mixture(names: Sequence[str], counts: Counts) -> str:
    """A sentence on a test set mixed otherwise than the training images, or none."""
    train, test = counts.get("train", ()), counts.get("test", ())
    if not any(train) or not any(test):
        return ""
    of_train, of_test = (
        [count / sum(of_class) for count in of_class] for of_class in (train, test)
    )
    more = [after - before for before, after in zip(of_train, of_test, strict=True)]
    # The total variation distance, whose mean in random samples is below half of this.
    by_chance = math.sqrt(len(test) / sum(test))
    if sum(abs(gap) for gap in more) / 2 <= MIXED_OTHERWISE + by_chance:
        return ""
    gained = max(range(len(more)), key=more.__getitem__)
    return (
        f"The test images are mixed otherwise: {names[gained]} is "
        f"{_percent(of_train[gained])} of the training and {_percent(of_test[gained])} "
        "of the test images. Probabilities learned from the one mislead on the other."
    )


def _percent(share: float) -> str:
    """A percentage with one decimal, or with more where that would round to 0% or 100%.

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
