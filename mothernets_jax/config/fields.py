"""Fields of settings, each with a default and a rule for the values that it may have.

Upper limits catch slips of the pen: no machine has the memory or the time for more.
"""

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from mothernets_jax.utils.messages import safe_name, short_repr

EPOCHS, RATE = 100_000, 1e6  # the most of either
_LONGEST_TEXT = 4_000  # characters; paths are no longer


class Rule(Protocol):
    """A rule for the values that a field may have."""

    def refusal(self, value: Any) -> str | None:
        """Words for what was expected in place of a value; None where it is allowed."""
        ...


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`, both allowed; `expected` says so in words."""

    least: float
    most: float
    expected: str = ""

    def refusal(self, value: Any) -> str | None:
        """Refuses numbers below `least` or above `most`; see `Rule.refusal`."""
        if not value >= self.least:  # nor is what is not a number
            return self.expected or f"{self.least} or more"
        if value > self.most or value == math.inf:
            return self.expected or f"at most {self.most:,.0f}"
        return None


@dataclasses.dataclass(frozen=True)
class Share:
    """Numbers from 0 to 1, both allowed; `of` names the whole in messages."""

    of: str = ""

    def refusal(self, value: Any) -> str | None:
        """Refuses numbers outside 0 to 1; see `Rule.refusal`."""
        return None if 0 <= value <= 1 else f"a share{self.of} from 0 to 1"


@dataclasses.dataclass(frozen=True)
class Part:
    """Numbers from 0 to below 1; `of` names the whole in messages.

    Without `zero`, 0 is not allowed either.
    """

    of: str = ""
    zero: bool = True

    def refusal(self, value: Any) -> str | None:
        """Refuses numbers outside 0 to below 1; see `Rule.refusal`."""
        if 0 < value < 1 or (self.zero and value == 0):
            return None
        return f"{self.of}{'0 or more' if self.zero else 'more than 0'} and less than 1"


@dataclasses.dataclass(frozen=True)
class Above:
    """Numbers above 0, up to `most`."""

    most: float

    def refusal(self, value: Any) -> str | None:
        """Refuses 0, numbers below it and those above `most`; see `Rule.refusal`."""
        return (
            None if 0 < value <= self.most else f"more than 0, up to {self.most:,.0f}"
        )


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of some names."""

    options: tuple[str, ...]

    def refusal(self, value: Any) -> str | None:
        """Refuses all but the options, hinting at the nearest; see `Rule.refusal`."""
        if value in self.options:
            return None
        close = difflib.get_close_matches(value[:100], self.options, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"one of {', '.join(map(repr, self.options))}{hint}"


@dataclasses.dataclass(frozen=True)
class Notation:
    """A text that `read` understands, which else raises what it had expected."""

    read: Callable[[str], Any]

    def refusal(self, value: Any) -> str | None:
        """Refuses what `read` does not understand; see `Rule.refusal`."""
        try:
            self.read(value)
        except ValueError as error:
            return str(error)
        return None


@dataclasses.dataclass(frozen=True)
class Text:
    """A name or a path."""

    def refusal(self, value: Any) -> str | None:
        """Refuses texts too long or with a null character; see `Rule.refusal`."""
        if len(value) > _LONGEST_TEXT or "\0" in value:
            return "a name or a path, without the character 0"
        return None


def field(default: Any, rule: Rule) -> Any:
    """A dataclass field with a default and a rule, which None need not obey."""
    return dataclasses.field(default=default, metadata={"rule": rule})


def choice(default: str, options: Iterable[str]) -> Any:
    """A field that is one of some names."""
    return field(default, Choice(tuple(options)))


def text(default: str = "") -> Any:
    """A field that is a name or a path."""
    return field(default, Text())


def check(settings: Any, path: str = "") -> None:
    """Checks every field of a dataclass, and of dataclasses in it, against its rule.

    Args:
        settings: a dataclass whose fields may have a `rule` in their metadata.
        path: the dataclass's name in messages, such as `config`; may be empty.

    Raises:
        ValueError: a value that is not allowed; names the field, what was found and
            what was expected.
    """
    for name, value, rule in _with_rules(settings, path):
        expected = rule.refusal(value)
        if expected is not None:
            raise ValueError(f"{name} is {short_repr(value)}: expected {expected}")


def _with_rules(settings: Any, path: str) -> Iterator[tuple[str, Any, Rule]]:
    """Paths, values and rules of all fields; of a dictionary, one for each value."""
    for own in dataclasses.fields(settings):
        value = getattr(settings, own.name)
        name, rule = f"{path}.{own.name}".lstrip("."), own.metadata.get("rule")
        if dataclasses.is_dataclass(value):
            yield from _with_rules(value, name)
        elif rule is not None and isinstance(value, dict):
            yield from (
                (f"{name}.{safe_name(key)}", v, rule) for key, v in value.items()
            )
        elif rule is not None and value is not None:
            yield name, value, rule
