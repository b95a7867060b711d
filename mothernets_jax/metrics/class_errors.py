"""Errors class by class, which a mean over all images hides where classes differ.

Axes: [examples] labels and predictions, [examples, classes] scores; a confusion is
int64 [entries, 3], rows of (true class, predicted class, number of examples) for the
pairs that occur only: a thousand classes have a million pairs, most of them empty.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np


def balanced_error(wrong: np.ndarray, labels: np.ndarray) -> float:
    """Mean of the classes' errors, over the classes that have examples.

    With K classes, always giving the same answer scores (K - 1) / K, however frequent
    that answer is.

    Args:
        wrong: bool [examples], True where a prediction is not the label.
        labels: int [examples], the true classes.

    References: Brodersen et al. 2010, "The balanced accuracy and its posterior
    distribution".
    """
    totals = np.bincount(labels)
    errors = np.bincount(labels, weights=wrong)
    present = totals > 0
    return float(np.mean(errors[present] / totals[present]))


def majority_error(train_counts: Sequence[int], test_counts: Sequence[int]) -> float:
    """Test error of always answering the class with the most training examples.

    Args:
        train_counts: number of training examples of each class; of the largest classes,
            the first is the answer.
        test_counts: number of test examples of each class.
    """
    answer = int(np.argmax(train_counts))
    return 1 - test_counts[answer] / sum(test_counts)


def confusion(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts the examples of each pair of true and predicted class that occurs.

    Args:
        predicted: int [examples], the predicted classes.
        labels: int [examples], the true classes.

    Returns:
        int64 [entries, 3], sorted rows of (true class, predicted class, number of
        examples).

    >>> confusion(np.array([0, 1, 1, 1]), np.array([0, 0, 0, 1])).tolist()
    [[0, 0, 1], [0, 1, 2], [1, 1, 1]]
    """
    pairs = np.stack([labels, predicted], axis=1).astype(np.int64)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    return np.column_stack([found, counts])


def class_errors(entries: np.ndarray, num_classes: int) -> list[float | None]:
    """Error of each class; None for a class without examples.

    Args:
        entries: int [entries, 3], a confusion from `confusion`.
        num_classes: number of classes.
    """
    true, predicted, counts = entries.T
    totals = np.bincount(true, counts, num_classes)
    errors = np.bincount(true, counts * (true != predicted), num_classes)
    return [
        float(error / total) if total else None
        for error, total in zip(errors, totals, strict=True)
    ]


def distinct_names(class_names: Sequence[str]) -> list[str]:
    """Class names, followed by the class's number where several classes share a name.

    >>> distinct_names(["crane", "ant", "crane"])
    ['crane (0)', 'ant', 'crane (2)']
    """
    times = Counter(class_names)
    return [
        f"{name} ({label})" if times[name] > 1 else name
        for label, name in enumerate(class_names)
    ]


def describe(
    scores: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Class errors and confusion of predictions, as plain values for `results.json`.

    Args:
        scores: floats [examples, classes]; the highest of a row is the prediction.
        labels: int [examples], the true classes.
        class_names: one name for each class.

    Returns:
        `class_errors`, by class name, None for a class without examples; and
        `confusion`, a list of [true class, predicted class, number of examples] for the
        pairs that occur.
    """
    entries = confusion(scores.argmax(axis=1), labels)
    errors = class_errors(entries, len(class_names))
    return {
        "class_errors": dict(zip(distinct_names(class_names), errors, strict=True)),
        "confusion": entries.tolist(),
    }
