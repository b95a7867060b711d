"""Checks of plain values, each with what passes and what does not."""

import numpy as np
import pytest

from mothernets_jax.report import schema

NAMES = schema.text(3)
TABLE = schema.fields({"a": schema.whole(1, 3)}, {"b": schema.boolean})


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (
            schema.number(0, 1),
            [0, 1, 0.5, np.float64(0.5)],
            [-0.1, 1.1, True, None, "1", float("nan"), 10**400],
        ),
        (schema.whole(1, 3), [1, 3], [0, 4, 2.0, True, None]),
        (schema.boolean, [True, False], [0, 1, None]),
        (NAMES, ["", "abc", "a\n", "\U0001f600"], ["abcd", 5, "\ud800", "\0", "\x1b"]),
        (schema.nullable(NAMES), [None, "a"], [5]),
        (schema.either(NAMES, schema.whole(1, 3)), ["a", 2], [5, None]),
        (schema.listing(NAMES, 2, 1), [["a"], ["a", "b"]], [[], ["a"] * 3, [5], "ab"]),
        (
            schema.by_name(schema.boolean, 1, NAMES),
            [{}, {"a": True}],
            [[], {"abcd": True}, {"a": 5}, {"a": True, "b": True}],
        ),
        (TABLE, [{"a": 1}, {"a": 1, "b": True, "c": []}], [{}, {"a": 5}, None]),
        (TABLE, [{"a": 1}], [{"a": 1, "b": None}, [], [["a", 1]]]),
    ],
)
def test_what_passes_and_what_does_not(check, good, bad):
    for value in good:
        check(value, "it")
    for value in bad:
        with pytest.raises(ValueError, match="it"):
            check(value, "it")


def test_the_place_is_named():
    check = schema.fields({"x": schema.by_name(schema.listing(TABLE, 5), 5, NAMES)})
    with pytest.raises(ValueError, match=r"^file\.x\.y\[1\]\.a is 9: expected a whole"):
        check({"x": {"y": [{"a": 1}, {"a": 9}]}}, "file")
    with pytest.raises(ValueError, match=r"^file\.x\.y\[0\] lacks a$"):
        check({"x": {"y": [{}]}}, "file")


def test_lists_of_several_lengths_are_refused():
    schema.same_length("it", a=[1], b="x")
    with pytest.raises(ValueError, match="it has lists of several lengths: a 1, b 2"):
        schema.same_length("it", a=[1], b=[1, 2])
