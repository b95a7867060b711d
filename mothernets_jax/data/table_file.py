"""Columns of a table in a text file, such as one that a spreadsheet exports as CSV."""

import csv
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mothernets_jax.utils.argument_errors import (
    Argument,
    ArgumentError,
    MissingPathError,
)
from mothernets_jax.utils.messages import short_repr

_DELIMITERS = (",", ";", "\t")


class Table(NamedTuple):
    """Some columns of a table, each row once.

    Attributes:
        columns: the values of each column, without white space around them, keyed by
            the argument that named it.
        lines: number of the line in which each row ends, from 1.
    """

    columns: dict[str, list[str]]
    lines: list[int]


def read_table(path: Path, wanted: Mapping[str, str]) -> Table:
    """Reads columns of a text file that begins with a line of their names.

    Values are divided by commas, or by semicolons or tabs where only these give the
    first line the columns that are wanted. Empty lines are left out.

    Args:
        path: the file, in UTF-8.
        wanted: name of each column that is wanted, keyed by the argument that gave it.

    Raises:
        ValueError: no such column, or two of one name; rows of another length than the
            first line; a wanted value that is empty; text that is no UTF-8 or no CSV;
            no rows.
        FileNotFoundError: there is no such file.
    """
    if not path.exists():
        raise MissingPathError(f"no file {path}: expected a table in CSV")
    if not path.is_file():
        raise ArgumentError(f"{path} is no file: expected a table in CSV")
    try:
        # With a byte order mark or without, as spreadsheets write it.
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = _delimiter(first, wanted)
            file.seek(0)
            rows = csv.reader(
                file, delimiter=delimiter, skipinitialspace=True, strict=True
            )
            return _read(path, rows, wanted)
    except UnicodeDecodeError as error:
        raise ArgumentError(
            f"{path} is not in UTF-8 ({error.reason}): save it as CSV in UTF-8"
        ) from None


def _delimiter(header: str, wanted: Mapping[str, str]) -> str:
    """The character that divides the first line into the names that are wanted."""
    for delimiter in _DELIMITERS:
        names = next(csv.reader([header], delimiter=delimiter), [])
        if set(wanted.values()) <= {name.strip() for name in names}:
            return delimiter
    # None does: the one that is there most often is best for the message.
    return max(_DELIMITERS, key=header.count)


def _read(path: Path, rows: Iterator[list[str]], wanted: Mapping[str, str]) -> Table:
    table = Table({argument: [] for argument in wanted}, [])
    reader = _told(path, rows)
    _, header = next(reader, (1, []))
    header = [name.strip() for name in header]
    places = {
        argument: _place(path, header, argument, name)
        for argument, name in wanted.items()
    }
    for line, row in reader:
        if len(row) != len(header):
            raise ArgumentError(
                f"line {line:,} of {path} has {len(row):,} values, and the first line "
                f"{len(header):,} names: expected as many. A value with a comma or the "
                'like in it stands in quotes: "a, b"'
            )
        for argument, place in places.items():
            value = row[place].strip()
            if not value:
                raise ArgumentError(
                    f"line {line:,} of {path} has no value in the column "
                    f"{short_repr(wanted[argument])}: fill it in, or remove the line"
                )
            table.columns[argument].append(value)
        table.lines.append(line)
    if not table.lines:
        raise ArgumentError(f"{path} has no rows below its first line")
    return table


def _told(path: Path, rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, with their numbers."""
    number = 0
    try:
        for row in rows:
            number = getattr(rows, "line_num", 0)
            if row:
                yield number, row
    except csv.Error as error:
        raise ArgumentError(
            f"cannot read {path} after line {number:,} as CSV: {error}"
        ) from None


def _place(path: Path, header: list[str], argument: str, name: str) -> int:
    count = header.count(name)
    if count == 1:
        return header.index(name)
    if count > 1:
        raise ArgumentError(
            Argument(argument),
            f" is {short_repr(name)}, and {path} has {count} columns of that name: "
            "rename the others",
        )
    raise unknown_column(argument, name, header, str(path))


def unknown_column(
    argument: str, name: str, known: list[str], where: str
) -> ArgumentError:
    """The refusal of a column that is not there.

    Args:
        argument: name of the argument that named it.
        name: the column's name.
        known: names of the columns that there are.
        where: what has these columns.
    """
    folded = {own.casefold(): own for own in known}
    close = difflib.get_close_matches(name.casefold()[:100], folded, n=1)
    hint = f"; did you mean {folded[close[0]]!r}?" if close else ""
    return ArgumentError(
        Argument(argument),
        f" is {short_repr(name)}, and the columns of {where} are "
        f"{short_repr(', '.join(known))}{hint}",
    )
