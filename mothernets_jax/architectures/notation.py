"""Reading and writing the paper's notation: `(3:64)x2 (1:64) | (3:128)`."""

import itertools
import re
from collections.abc import Iterable, Sequence

from mothernets_jax.architectures.base import LARGEST_SIZE, MOST_UNITS
from mothernets_jax.utils.messages import short_repr

_PAIR = r"\(\s*([0-9]+)\s*:\s*([0-9]+)\s*\)(?:\s*x\s*([0-9]+))?"
_MOST_DIGITS = 12  # of a number; no size has more


def parse_pairs(text: str, notation: str) -> list[tuple[int, int]]:
    """Reads `(3:64)x2 (1:64)` as pairs of filter size and width.

    Args:
        text: the part to read, one block.
        notation: the whole notation, for the message.

    Raises:
        ValueError: the text is not such a block, or repeats a layer too often.
    """
    if not re.fullmatch(rf"\s*(?:{_PAIR}\s*)*", text):
        raise ValueError(
            f"cannot read block {short_repr(text.strip())} of {short_repr(notation)}: "
            "expected layers such as '(3:64)x2 (1:64)'"
        )
    pairs: list[tuple[int, int]] = []
    for filter_size, width, count in re.findall(_PAIR, text):
        repeated = read_number(count, notation) if count else 1
        if not 1 <= repeated <= MOST_UNITS:
            raise ValueError(
                f"a layer of {short_repr(notation)} is repeated {count} times: "
                f"expected 1 to {MOST_UNITS:,} times; or leave it out"
            )
        pair = read_number(filter_size, notation), read_number(width, notation)
        pairs += [pair] * repeated
    return pairs


def format_units(units: Sequence) -> str:
    """Writes units, equal neighbours only once, as in `(3:64)x2 (1:64)`."""
    runs = [(str(unit), len(list(same))) for unit, same in itertools.groupby(units)]
    return " ".join(f"{unit}x{count}" if count > 1 else unit for unit, count in runs)


def read_blocks(blocks: str | Sequence) -> list[list[tuple[int, int]]]:
    """Reads blocks of (filter size, width) pairs from text or from nested sequences.

    Args:
        blocks: `"(3:64)x2 | (3:128)"`, or a sequence of blocks, each a sequence of
            (filter size, width) pairs.

    Raises:
        ValueError: the blocks are neither, or there is none.
    """
    if isinstance(blocks, str):
        return [parse_pairs(block, blocks) for block in blocks.split("|")]
    if not isinstance(blocks, Iterable):
        raise ValueError(
            f"blocks are {short_repr(blocks)}: expected text such as '(3:64)x2'"
        )
    read = [_check_pairs(block) for block in blocks]
    if not read:
        raise ValueError("the network has no block: write one such as '(3:64)x2'")
    return read


def _check_pairs(block: Sequence) -> list[tuple[int, int]]:
    if not isinstance(block, Iterable) or isinstance(block, str | bytes):
        raise ValueError(
            f"block {short_repr(block)} is no list of layers such as [(3, 64)]"
        )
    layers = list(block)
    for layer in layers:
        if not isinstance(layer, tuple | list) or len(layer) != 2:
            raise ValueError(
                f"layer {short_repr(layer)} of block {short_repr(block)} is no pair "
                "(filter size, filters) such as (3, 64)"
            )
    return [(layer[0], layer[1]) for layer in layers]


def parse_numbers(text: str, notation: str) -> tuple[int, ...]:
    """Reads whole numbers with spaces between, as in `64 32`.

    Args:
        text: the part to read.
        notation: the whole notation, for the message.

    Raises:
        ValueError: the text holds anything else, or a number of too many digits.
    """
    if not all(re.fullmatch(r"\d+", number, re.ASCII) for number in text.split()):
        raise ValueError(
            f"cannot read units {short_repr(text)} of {short_repr(notation)}: expected "
            "numbers such as '64 32'"
        )
    return tuple(read_number(digits, notation) for digits in text.split())


def read_number(digits: str, notation: str) -> int:
    """Reads a whole number of a plausible length.

    Args:
        digits: the number's decimal digits.
        notation: the whole notation, for the message.

    Raises:
        ValueError: there are more digits than any size has.
    """
    if len(digits) > _MOST_DIGITS:
        raise ValueError(
            f"a number of {len(digits):,} digits, {short_repr(digits)}, in "
            f"{short_repr(notation)}: expected sizes of at most {LARGEST_SIZE:,}"
        )
    return int(digits)


def split_clauses(notation: str, known: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Splits `FAMILY BODY; clause VALUE; ...` into its body and its clauses.

    Args:
        notation: the notation of an architecture.
        known: first words of the clauses that the family allows.

    Returns:
        The body, and each clause's value by the clause's first word.

    Raises:
        ValueError: a clause is unknown or repeated.
    """
    first, *clauses = (clause.strip() for clause in notation.split(";"))
    found: dict[str, str] = {}
    for clause in clauses:
        name, _, value = clause.partition(" ")
        if name not in known or name in found:
            expected = ", ".join(repr(name) for name in known)
            raise ValueError(
                f"cannot read {short_repr(clause)} in architecture "
                f"{short_repr(notation)}: expected after each ';' one of {expected}, "
                "each at most once"
            )
        found[name] = value.strip()
    return first.partition(" ")[2].strip(), found


def check_flags(clauses: dict[str, str], notation: str) -> None:
    """Raises ValueError where the clause `batch_norm`, which has no value, has one."""
    if clauses.get("batch_norm"):
        raise ValueError(
            f"cannot read {short_repr('batch_norm ' + clauses['batch_norm'])} in "
            f"architecture {short_repr(notation)}: expected 'batch_norm' alone"
        )
