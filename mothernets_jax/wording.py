"""How messages show what a user gave: on one line, and never page after page of it."""

from collections.abc import Mapping
from typing import Any

_MOST_CHARACTERS = 120


def shown(value: Any) -> str:
    """A value as Python writes it, with the middle left out where it is long.

    >>> shown("mlp 64")
    "'mlp 64'"
    >>> len(shown("x" * 10_000))
    120
    """
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write numbers of more than 4,300 digits
        return "a number of thousands of digits"
    except Exception:  # noqa: BLE001 (whatever a stranger's class does)
        return f"something of the type {type(value).__name__}"
    text = " ".join(text.splitlines())
    if len(text) <= _MOST_CHARACTERS:
        return text
    end = _MOST_CHARACTERS // 4
    return f"{text[: _MOST_CHARACTERS - end - 5]} ... {text[-end:]}"


def in_short(reasons: Mapping[str, str]) -> str:
    """The first of many reasons, and how many more there are.

    Args:
        reasons: by what each is of; at least one.

    >>> in_short({"A": "its loss is nan", "B": "it needs A", "C": "it needs A"})
    'A: its loss is nan; and 2 more'
    """
    name, reason = next(iter(reasons.items()))
    more = f"; and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{name}: {reason}{more}"


def named(name: Any) -> str:
    """A name that a user gave, as it is where that is harmless.

    >>> named("V13"), named("V\\n13")
    ('V13', "'V\\\\n13'")
    """
    text = str(name)
    return text if text.isprintable() and 0 < len(text) <= 60 else shown(text)
