"""A state dict from anywhere: which keys it has, and its arrays, each looked at."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from mothernets_jax.models.imported.densenet import renamed
from mothernets_jax.utils.messages import short_repr

_NAMED = 4  # keys in a message
_COUNTER = ".num_batches_tracked"  # of a normalisation, which only training reads


def by_key(state_dict: Any) -> dict[Any, Any]:
    """The entries of a state dict by their keys, as today's networks name them.

    Args:
        state_dict: expected to be a mapping from keys to arrays.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(state_dict, Mapping):
        raise ValueError(
            f"state_dict is {short_repr(state_dict)}: expected a dict of arrays by "
            "their keys, as model.state_dict() gives. Files are not read here: "
            "torch.load(path, weights_only=True) gives the dict of one of PyTorch's"
        )
    entries = {}
    for key, value in state_dict.items():
        new = renamed(key) if isinstance(key, str) else key
        entries[key if new in state_dict else new] = value
    return entries


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of an entry; None for what is no array."""
    shape = getattr(value, "shape", None)
    try:
        return None if shape is None else tuple(map(int, shape))
    except (TypeError, ValueError):
        return None


def check_entries(
    entries: Mapping[Any, Any],
    shapes: Mapping[str, tuple[int, ...]],
    network: str,
    ignored: Iterable[str] = (),
) -> None:
    """Refuses entries other than those that a network needs.

    Args:
        entries: the entries by key.
        shapes: the shapes expected, by key.
        network: name of the network, for the message.
        ignored: first parts of keys that may be there, too.

    Raises:
        ValueError: entries are missing, unknown or of other shapes; the message names
            the first of each.
    """
    starts = tuple(ignored)
    missing = [key for key in shapes if key not in entries]
    unknown = [
        key
        for key in entries
        if key not in shapes and not _is_ignored(key, shapes, starts)
    ]
    misshapen = [
        f"{key} is {_described(entries[key])}, expected {shape}"
        for key, shape in shapes.items()
        if key in entries and shape_of(entries[key]) != shape
    ]
    problems = []
    if missing:
        problems.append(f"it lacks {_listed(map(_named, missing))}")
    if unknown:
        problems.append(f"{network} does not have {_listed(map(_named, unknown))}")
    if misshapen:
        problems.append(_listed(misshapen))
    if problems:
        raise ValueError(
            f"the state_dict is not that of a {network}: {'; '.join(problems)}. "
            f"{_advice(entries, missing, unknown)}"
        )


def _is_ignored(
    key: Any, shapes: Collection[str], ignored_starts: tuple[str, ...]
) -> bool:
    if not isinstance(key, str):
        return False
    if key.endswith(_COUNTER):
        return f"{key.removesuffix(_COUNTER)}.running_mean" in shapes
    return key.startswith(ignored_starts)


def _advice(
    entries: Mapping[Any, Any], missing: Collection[str], unknown: Collection[Any]
) -> str:
    """What to do about entries that are missing or unknown."""
    nested = [key for key in unknown if isinstance(entries[key], Mapping)]
    if nested:
        return (
            f"What is there under {short_repr(nested[0])} is a dict itself: if it is "
            f"the one that is meant, pass state_dict[{short_repr(nested[0])}]"
        )
    keys = [key for key in entries if isinstance(key, str)]
    start = min(keys, default="").partition(".")[0] + "."
    if missing and set(missing) <= {key.removeprefix(start) for key in keys}:
        return f"Its keys begin with {start!r}: leave that out of them"
    return "Expected the state_dict() of that network of torchvision or timm"


def as_float32(key: str, value: Any) -> np.ndarray:
    """An entry's numbers.

    Args:
        key: the entry's key, for messages.
        value: an array, or a tensor of PyTorch on whatever device.

    Raises:
        ValueError: it holds other numbers than floats, or one that is not finite.
    """
    found = str(getattr(value, "dtype", type(value).__name__))
    if hasattr(value, "detach"):  # a tensor; some of its types NumPy does not have
        is_float = value.is_floating_point()
        array = value.detach().cpu().float().numpy() if is_float else np.empty(0, int)
    else:
        array = np.asarray(value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{key} of the state_dict is {found}: expected floats")
    with np.errstate(over="ignore"):  # seen below
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(
            f"{key} of the state_dict holds numbers that are not finite, or too large "
            "for float32: expected those of a network that computes something"
        )
    if key.endswith(".running_var") and (array < 0).any():
        raise ValueError(
            f"{key} of the state_dict has negative numbers: expected variances"
        )
    return array


def _described(value: Any) -> str:
    shape = shape_of(value)
    return f"no array but {type(value).__name__}" if shape is None else str(shape)


def _named(key: Any) -> str:
    return short_repr(key)


def _listed(texts: Iterable[str]) -> str:
    """The first few texts, and how many more there are."""
    texts = list(texts)
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + more
