"""Reading and writing augmentations as text: `randaugment(2, 9) + mixup(0.2)`.

A part is one of those that are ready, with its numbers; a function in a file,
`FILE.py:FUNCTION`; or `own:NAME:DIGEST`, a function that was handed in from Python. The
last two tell by a digest which function was meant.
"""

import difflib
import re
from typing import NamedTuple

from mothernets_jax.utils.messages import short_repr


class Number(NamedTuple):
    """A number of a ready augmentation.

    Attributes:
        name: the number's name.
        default: the number where none is given.
        least: the least allowed, itself allowed if it is not 0.
        most: the most allowed.
        whole: whether it is a whole number.
        zero: whether 0 is allowed.
    """

    name: str
    default: float
    least: float
    most: float
    whole: bool = False
    zero: bool = False


# With the values of the papers, mixup's for ImageNet.
READY = {
    "randaugment": (
        Number("operations", 2, 1, 14, whole=True),
        Number("magnitude", 9, 0, 10, zero=True),
    ),
    "mixup": (Number("alpha", 0.2, 0, 100),),
    "cutmix": (Number("alpha", 1.0, 0, 100),),
}
MIXING = ("mixup", "cutmix")
_EXPECTED = (
    "parts such as 'randaugment(2, 9)', 'mixup(0.2)', 'cutmix(1.0)' or "
    "'FILE.py:FUNCTION', with '+' between"
)
_READY = re.compile(r"(\w+)\s*(?:\(([^()]*)\))?", re.ASCII)
_OF_FILE = re.compile(r"(.+\.py):([A-Za-z_]\w*)(?::([0-9a-f]{16}))?")
_HANDED_IN = re.compile(r"own:(\w+):([0-9a-f]{16})")


class Ready(NamedTuple):
    """A part that is ready: its name and its numbers, in the order of `READY`."""

    name: str
    numbers: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{number:g}' for number in self.numbers)})"


class OfFile(NamedTuple):
    """A function in a file.

    Attributes:
        path: the Python file.
        function: the function's name in it.
        digest: hexadecimal digits that tell the file's content from others; empty where
            the file was not read yet.
    """

    path: str
    function: str
    digest: str = ""

    def __str__(self) -> str:
        return ":".join(filter(None, self))


class HandedIn(NamedTuple):
    """A function that was handed in from Python.

    Attributes:
        name: the function's name.
        digest: hexadecimal digits that tell its source and values from others.
    """

    name: str
    digest: str

    def __str__(self) -> str:
        return f"own:{self.name}:{self.digest}"


Part = Ready | OfFile | HandedIn


def parse(text: str) -> tuple[Part, ...]:
    """Reads augmentations, which act in the order of their writing.

    Raises:
        ValueError: the text is none; the message says what was expected.

    >>> parse("randaugment + mixup(0.1)")[1]
    Ready(name='mixup', numbers=(0.1,))
    """
    if not text.strip():
        return ()
    parts = tuple(_parse_part(part.strip()) for part in text.split("+"))
    mixing = [p.name for p in parts if isinstance(p, Ready) and p.name in MIXING]
    if len(mixing) > 1:
        raise ValueError(
            f"one part that mixes images at most, not {' and '.join(mixing)}"
        )
    if sum(isinstance(part, HandedIn) for part in parts) > 1:
        raise ValueError("one function that is handed in at most, 'own:NAME:DIGEST'")
    return parts


def write(parts: tuple[Part, ...]) -> str:
    """The text of augmentations, which `parse` reads; one text for equal parts.

    >>> write(parse("randaugment+mixup"))
    'randaugment(2, 9) + mixup(0.2)'
    """
    return " + ".join(map(str, parts))


def _parse_part(text: str) -> Part:
    if found := _HANDED_IN.fullmatch(text):
        return HandedIn(*found.groups())
    if found := _OF_FILE.fullmatch(text):
        return OfFile(found[1], found[2], found[3] or "")
    if text.startswith("own"):
        raise ValueError(
            "a function of one's own to be handed in from Python, or to be named as "
            "'FILE.py:FUNCTION'"
        )
    found = _READY.fullmatch(text)
    if not found:
        raise ValueError(_EXPECTED)
    name, inside = found.groups()
    if name not in READY:
        close = difflib.get_close_matches(name.lower()[:100], READY, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(_EXPECTED + hint)
    return Ready(name, _parse_numbers(name, inside))


def _parse_numbers(name: str, inside: str | None) -> tuple[float, ...]:
    numbers = READY[name]
    given = inside.split(",") if inside and inside.strip() else []
    if len(given) > len(numbers):
        names = ", ".join(number.name for number in numbers)
        raise ValueError(f"{name}({names}), not {len(given)} numbers")
    missing = tuple(float(number.default) for number in numbers[len(given) :])
    each = zip(numbers, given, strict=False)
    return tuple(_parse_number(name, *pair) for pair in each) + missing


def _parse_number(name: str, number: Number, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    allowed = number.least <= value <= number.most and (value > 0 or number.zero)
    if not allowed or (number.whole and value != int(value)):
        kind = "a whole number " if number.whole else ""
        least = f"from {number.least:g}" if number.least or number.zero else "above 0"
        raise ValueError(
            f"the {number.name} of {name} to be {kind}{least} to {number.most:g}, "
            f"not {short_repr(text.strip())}"
        )
    return value
