"""A budget as text: epochs, FLOPs, time or dollars, such as "30min" or "$2"."""

import re
from typing import NamedTuple

from mothernets_jax.utils.argument_errors import Argument, ArgumentError
from mothernets_jax.utils.messages import short_repr

_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), ("seconds", 1.0)),
    **dict.fromkeys(("min", "minute", "minutes"), ("seconds", 60.0)),
    **dict.fromkeys(("h", "hour", "hours"), ("seconds", 3600.0)),
    **dict.fromkeys(("$", "usd", "dollar", "dollars"), ("dollars", 1.0)),
    **dict.fromkeys(("flop", "flops"), ("flops", 1.0)),
    **dict.fromkeys(("epoch", "epochs"), ("epochs", 1.0)),
}
_TEXT = re.compile(r"(\$?)\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z$]*)", re.IGNORECASE)
_LARGEST = 1e30


class BudgetLimit(NamedTuple):
    """A limit on what a run may cost.

    Attributes:
        unit: `epochs` of the reference network or `flops`, of training, for each
            method; or `seconds` of the clock or `dollars`, for the whole run.
        amount: the number of these, more than 0.
    """

    unit: str
    amount: float


def parse_limit(budget: str) -> BudgetLimit:
    """Reads a budget.

    Args:
        budget: a number and its unit: epochs, flops, s, min, h or $.

    Raises:
        ValueError: it is no such text, or not more than 0.

    >>> parse_limit("30min"), parse_limit("$2"), parse_limit("1e15 flops")
    (BudgetLimit(unit='seconds', amount=1800.0), BudgetLimit(unit='dollars', \
amount=2.0), BudgetLimit(unit='flops', amount=1000000000000000.0))
    """
    match = _TEXT.fullmatch(budget.strip())
    symbol, number, unit = match.groups() if match else ("", "", "")
    unit = (unit or symbol).lower()
    try:
        amount = float(number)
    except ValueError:
        amount = 0.0
    if unit not in _UNITS or (symbol and match and match[3]) or not amount > 0:
        raise _refusal(budget)
    kind, factor = _UNITS[unit]
    if amount * factor > _LARGEST:
        raise _refusal(budget)
    return BudgetLimit(kind, amount * factor)


def _refusal(text: str) -> ArgumentError:
    return ArgumentError(
        Argument("budget"),
        f" is {short_repr(text)}: expected a number above 0 with its unit, such as "
        "'40 epochs', '1e15 flops', '30min', '2h' or '$2'",
    )
