"""Checks of plain values, as JSON files hold them, against what they should be.

A check is a function of a value and of its place in words, such as `data.name`; it
raises ValueError where the value is another. Checks are put together from those below.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from mothernets_jax.utils.messages import safe_name, short_repr

Check = Callable[[Any, str], None]


def number(low: float, high: float) -> Check:
    """A check of a number from `low` to `high`."""

    def check(value: Any, place: str) -> None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            _refuse(value, place, f"a number from {low:g} to {high:g}")

    return check


def whole(low: int, high: int) -> Check:
    """A check of a whole number from `low` to `high`."""

    def check(value: Any, place: str) -> None:
        if type(value) is not int or not low <= value <= high:
            _refuse(value, place, f"a whole number from {low:,} to {high:,}")

    return check


def boolean(value: Any, place: str) -> None:
    """Checks for true or false."""
    if type(value) is not bool:
        _refuse(value, place, "true or false")


def text(most: int) -> Check:
    """A check of a text of at most so many characters, all of which a page can hold."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, str) or len(value) > most or not _is_writable(value):
            _refuse(value, place, f"a text of at most {most:,} characters")

    return check


def base64_text(most: int) -> Check:
    """A check of bytes in base64, of at most so many characters."""
    limited = text(most)

    def check(value: Any, place: str) -> None:
        limited(value, place)
        if not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", value):
            _refuse(value, place, "bytes in base64")

    return check


def nullable(inner: Check) -> Check:
    """A check that None passes, too."""

    def check(value: Any, place: str) -> None:
        if value is not None:
            inner(value, place)

    return check


def either(first: Check, second: Check) -> Check:
    """A check that whatever passes one of two checks passes."""

    def check(value: Any, place: str) -> None:
        try:
            first(value, place)
        except ValueError:
            second(value, place)

    return check


def listing(item: Check, most: int, fewest: int = 0) -> Check:
    """A check of a list of `fewest` to `most` values, and of each of them."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, list) or not fewest <= len(value) <= most:
            _refuse(value, place, f"a list of {fewest:,} to {most:,} values")
        for index, own in enumerate(value):
            item(own, f"{place}[{index}]")

    return check


def by_name(item: Check, most: int, name: Check) -> Check:
    """A check of an object of at most so many values, of each, and of their names."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, dict) or len(value) > most:
            _refuse(value, place, f"an object of at most {most:,} values by name")
        for key, own in value.items():
            name(key, f"a name in {place}")
            item(own, f"{place}.{safe_name(key)}")

    return check


def fields(
    required: Mapping[str, Check], optional: Mapping[str, Check] | None = None
) -> Check:
    """A check of an object with these fields; others may be there and are not read."""
    optional = optional or {}

    def check(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            _refuse(value, place, f"an object with {', '.join(required) or 'fields'}")
        for name, inner in required.items():
            if name not in value:
                raise ValueError(f"{place} lacks {name}")
            inner(value[name], f"{place}.{name}")
        for name, inner in optional.items():
            if name in value:
                inner(value[name], f"{place}.{name}")

    return check


def _refuse(value: Any, place: str, expected: str) -> None:
    raise ValueError(f"{place} is {short_repr(value)}: expected {expected}")


def _is_writable(value: str) -> bool:
    """Tells whether a text can be encoded, and holds nothing that XML forbids."""
    return all(
        character in "\n\t\r" or (character >= " " and character not in "\ufffe\uffff")
        if character < "\ud800"
        else character > "\udfff" and character not in "\ufffe\uffff"
        for character in value
    )


def same_length(place: str, **lists: Any) -> None:
    """Refuses lists of several lengths.

    Raises:
        ValueError: two of them differ; the message has their names.
    """
    lengths = {name: len(own) for name, own in lists.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise ValueError(f"{place} has lists of several lengths: {found}")
