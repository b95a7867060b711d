"""Budgets as people type them."""

import pytest

from mothernets_jax.config.budget_limit import parse_limit


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("30min", "seconds", 1800.0),
        (" 2 h ", "seconds", 7200.0),
        ("90 s", "seconds", 90.0),
        ("0.5 hours", "seconds", 1800.0),
        ("$2", "dollars", 2.0),
        ("$ 0.25", "dollars", 0.25),
        ("3 USD", "dollars", 3.0),
        ("1e15 FLOPs", "flops", 1e15),
        ("1.5e+9flops", "flops", 1.5e9),
        ("40 epochs", "epochs", 40.0),
    ],
)
def test_a_number_and_its_unit(text, unit, amount):
    assert parse_limit(text) == (unit, amount)


@pytest.mark.parametrize(
    "text",
    ["", "30", "min", "-3min", "0 h", "$2 h", "3 bananas", "1.2.3 s", "nan s", "inf h"]
    + ["1e999 s", "1e300 h", "$", "2 $ s", "30min 10s", "1e s"],
)
def test_what_is_no_budget(text):
    with pytest.raises(ValueError, match="expected a number above 0 with its unit"):
        parse_limit(text)
