"""True classes as people have them, by number or by name."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from mothernets_jax.utils.messages import short_repr

_MOST_NAMED = 5  # classes that a message lists


def label_indices(labels: Any, class_names: Sequence[str]) -> np.ndarray:
    """Indices of classes that are given as indices or as names.

    Args:
        labels: whole numbers or class names, [examples].
        class_names: one name for each class.

    Returns:
        int [examples], indices into `class_names`.

    Raises:
        ValueError: labels of another kind or shape, or one that is no class or the name
            of several.

    >>> label_indices(["bee", "ant", "bee"], ("ant", "bee"))
    array([1, 0, 1])
    """
    try:
        found = np.asarray(labels)
    except ValueError:  # lists in lists of several lengths
        found = np.empty((), object)
    if found.ndim != 1:
        hint = ", as of argmax(axis=1)" if found.ndim == 2 else ""
        raise ValueError(
            f"labels are of shape {found.shape}: expected one label an example{hint}, "
            "of the shape (examples,)"
        )
    if not len(found):  # whatever NumPy takes nothing for
        return np.zeros(0, np.int64)
    if found.dtype.kind == "O":  # as of pandas: text or numbers, or a mixture
        found = np.array([*found])
        if found.ndim != 1 or len({type(own) for own in labels}) > 1:
            found = np.empty(found.shape[:1], object)
    if found.dtype.kind in "UT":
        return _indices_of_names(found.tolist(), class_names)
    if found.dtype.kind not in "iu":
        raise ValueError(
            f"labels are {found.dtype} ({short_repr(labels)}): expected whole numbers "
            f"from 0 to {len(class_names) - 1}, columns of predictions, or class names"
        )
    if not 0 <= found.min() <= found.max() < len(class_names):
        raise ValueError(
            f"labels are {found.dtype} from {found.min()} to {found.max()}: expected "
            f"whole numbers from 0 to {len(class_names) - 1}, columns of predictions"
        )
    return found


def _indices_of_names(names: Sequence[str], class_names: Sequence[str]) -> np.ndarray:
    """Indices of classes given by names, each of which must be that of one class."""
    times, index = Counter(class_names), {name: i for i, name in enumerate(class_names)}
    for name, of_class in ((name, times[name]) for name in dict.fromkeys(names)):
        if of_class == 1:
            continue
        known = ", ".join(map(repr, class_names[:_MOST_NAMED]))
        known += ", ..." if len(class_names) > _MOST_NAMED else ""
        what = f"{of_class} classes have" if of_class else "no class has"
        raise ValueError(
            f"{names.count(name):,} of {len(names):,} labels are {short_repr(name)}, a "
            f"name that {what}: expected names of classes ({known}), or their numbers"
        )
    return np.array([index[name] for name in names], np.int64)
