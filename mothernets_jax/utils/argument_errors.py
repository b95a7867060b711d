"""Refusals that name arguments, for callers who may know them by other names.

A Python caller of `data.load` gave a `directory`, whoever typed a command the field
`data.dir`. The core speaks of its own arguments and marks where it does, so that a run
can put in its fields (`config/field_names.py`) without a search in a text.
"""

from collections.abc import Callable
from typing import Self


class Argument(str):
    """An argument's name within a message."""


class Assignment(Argument):
    """An argument's name right before `=` and a value that may be given to it."""


class ArgumentError(ValueError):
    """A refusal whose message consists of text and of names of arguments.

    Attributes:
        parts: the message in pieces; those that are an `Argument` may be renamed.

    >>> fold = Argument("fold")
    >>> error = ArgumentError(fold, " is 7: set e.g. ", Assignment("fold"), "=0")
    >>> str(error)
    'fold is 7: set e.g. fold=0'
    >>> str(error.renamed(lambda argument: "--" + argument))
    '--fold is 7: set e.g. --fold=0'
    """

    def __init__(self, *parts: str):
        super().__init__("".join(parts))
        self.parts = parts

    def renamed(self, name_of: Callable[[Argument], str]) -> Self:
        """The same refusal with other names for its arguments.

        Args:
            name_of: from an argument to its other name, or to itself where it keeps
                its own.
        """
        return type(self)(
            *(
                name_of(part) if isinstance(part, Argument) else part
                for part in self.parts
            )
        )


class MissingPathError(ArgumentError, FileNotFoundError):
    """A refusal because a file or a folder is not there."""


def parts_of(error: Exception) -> tuple[str, ...]:
    """An error's message in pieces, to be a part of another refusal's."""
    return error.parts if isinstance(error, ArgumentError) else (str(error),)
