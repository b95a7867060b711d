"""How messages show what a user gave: on one line, and never page after page of it."""

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


def named(name: Any) -> str:
    """A name that a user gave, as it is where that is harmless.

    >>> named("V13"), named("V\\n13")
    ('V13', "'V\\\\n13'")
    """
    text = str(name)
    return text if text.isprintable() and 0 < len(text) <= 60 else shown(text)
