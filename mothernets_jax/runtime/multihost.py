"""Agreement among hosts: one of them decides, and all take the same path.

Each host runs the same program in the same order. The first reads and writes the run's
folder and takes every decision that a clock or a file has a part in; the others are
told, so that they need no part of that folder. With one host all of this does nothing.

References: `jax.experimental.multihost_utils`.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

_Json = TypeVar("_Json")
_Value = TypeVar("_Value")

_LONGEST_TEXT = 1024  # bytes, of a message from every host


class StoppedTogetherError(ValueError):
    """An error that every host raises, at the same point of the program."""


def is_host0() -> bool:
    """Tells whether this host is the first one, which writes."""
    return jax.process_index() == 0


def alone() -> bool:
    """Tells whether there is one host only."""
    return jax.process_count() == 1


def run_on_host0(function: Callable[[], _Json]) -> _Json:
    """Runs a function on the first host only, and tells every host what came of it.

    Returns:
        The function's value, on every host; JSON must be able to hold it.

    Raises:
        ValueError: the function raised a ValueError or an OSError; of several hosts,
            each raises the same message. One host alone raises the error itself.
    """
    if jax.process_count() == 1:
        return function()
    outcome: dict[str, Any] = {}
    if is_host0():
        try:
            outcome["value"] = function()
        except (ValueError, OSError) as error:
            outcome["error"] = str(error)
    text = np.frombuffer(json.dumps(outcome).encode(), np.uint8)
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    padded = np.zeros(1 << length.bit_length(), np.uint8)  # few shapes, few programs
    if is_host0():
        padded[:length] = text
    told = np.asarray(multihost_utils.broadcast_one_to_all(padded))
    outcome = json.loads(told[:length].tobytes())
    if "error" in outcome:
        raise StoppedTogetherError(outcome["error"])
    return outcome["value"]


def arrays_from_host0(function: Callable[[], Any], shapes: Any) -> Any:
    """Runs a function that returns arrays on the first host only, for every host.

    Args:
        function: run on the first host only.
        shapes: shapes and dtypes of what the function returns, a pytree of arrays or of
            `jax.ShapeDtypeStruct`.

    Returns:
        The function's arrays, on the first device of every host.

    Raises:
        ValueError: the function raised a ValueError or an OSError; of several hosts,
            each raises the same message. One host alone raises the error itself.
    """
    if jax.process_count() == 1:
        return function()
    tree = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)

    def run() -> None:
        nonlocal tree
        tree = jax.tree.map(np.asarray, function())

    run_on_host0(run)
    told = multihost_utils.broadcast_one_to_all(tree)
    return jax.device_put(told, jax.local_devices()[0])


def broadcast_float(seconds: float) -> float:
    """The first host's number on all hosts, where each has measured its own."""
    if jax.process_count() == 1:
        return seconds
    return float(multihost_utils.broadcast_one_to_all(np.float32(seconds)))


def max_over_hosts(number: int) -> int:
    """The largest of the hosts' numbers, known to all of them."""
    if jax.process_count() == 1:
        return number
    return int(np.max(multihost_utils.process_allgather(np.int32(number))))


def run_on_every_host(function: Callable[[], _Value]) -> _Value:
    """Runs a function on every host; one that fails ends them all with its message.

    Raises:
        ValueError: the function raised a ValueError or an OSError on some host. One
            host alone raises the error itself.
    """
    if jax.process_count() == 1:
        return function()
    value, message = None, ""
    try:
        value = function()
    except (ValueError, OSError) as error:
        message = str(error) or type(error).__name__
    messages = _gather(message)
    if len(set(messages)) == 1 and message:
        raise StoppedTogetherError(message)
    failed = [f"host {i}: {text}" for i, text in enumerate(messages) if text]
    if failed:
        raise StoppedTogetherError("; ".join(failed))
    return value  # type: ignore[return-value]


def check_same(what: str, *parts: Any) -> None:
    """Makes sure that every host has the same contents, as nothing else would show it.

    Args:
        what: name of the contents, in the plural, for the message.
        parts: the contents, strings or NumPy arrays.

    Raises:
        ValueError: a host differs from the first.
    """
    if jax.process_count() == 1:
        return
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part.tobytes())
    digests = _gather(digest.hexdigest())
    different = [str(i) for i, other in enumerate(digests) if other != digests[0]]
    if different:
        raise StoppedTogetherError(
            f"{what} of host {', '.join(different)} differ from those of host 0: give "
            "every host the same command, the same code and the same data"
        )


def _gather(text: str) -> list[str]:
    """Every host's text, in their order."""
    own = np.zeros(_LONGEST_TEXT, np.uint8)
    content = np.frombuffer(text.encode()[:_LONGEST_TEXT], np.uint8)
    own[: len(content)] = content
    rows = np.asarray(multihost_utils.process_allgather(own))
    return [row.tobytes().rstrip(b"\0").decode(errors="ignore") for row in rows]
