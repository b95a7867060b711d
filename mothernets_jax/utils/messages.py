"""Values from users as messages show them: on one line, and never page after page."""

from collections.abc import Mapping
from typing import Any

_MOST_CHARACTERS = 120


def short_repr(value: Any) -> str:
    """The `repr` of a value on one line, without its middle beyond 120 characters.

    >>> short_repr("mlp 64")
    "'mlp 64'"
    >>> len(short_repr("x" * 10_000))
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
    """Abridges reasons to the first one and the number of the others.

    Args:
        reasons: each reason, keyed by the name of what it concerns; at least one.

    >>> in_short({"A": "its loss is nan", "B": "it needs A", "C": "it needs A"})
    'A: its loss is nan; and 2 more'
    """
    name, reason = next(iter(reasons.items()))
    more = f"; and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{name}: {reason}{more}"


def safe_name(name: Any) -> str:
    """A name from a user as it is if printable and short; else its `short_repr`.

    >>> safe_name("V13"), safe_name("V\\n13")
    ('V13', "'V\\\\n13'")
    """
    text = str(name)
    return text if text.isprintable() and 0 < len(text) <= 60 else short_repr(text)


def is_utf8(text: str) -> bool:
    """Tells whether a text, such as a path, can be written as UTF-8.

    Names of files whose bytes are no UTF-8 are text that cannot.

    >>> is_utf8("é"), is_utf8("\\udcff")
    (True, False)
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
