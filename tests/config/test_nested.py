"""Settings of a caller from Python: nested or with dots, they are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict

from mothernets_jax.config.nested import nested_settings

VALUES = {
    "seed": 3,
    "methods": ("mothernets",),
    "train.epochs": 5,
    "train.learning_rate": 0.1,
    "hatch.noise": 0.5,
    "data.flip": "none",
    "architectures.A": "mlp 4",
    "architectures.B": "mlp 6",
}


def by_section(dotted):
    found = {}
    for path, value in dotted.items():
        section, _, name = path.rpartition(".")
        (found.setdefault(section, {}) if section else found)[name] = value
    return found


@given(st.permutations(list(VALUES)), st.integers(0, len(VALUES)))
def test_names_with_dots_and_sections_are_the_same_in_any_order(paths, cut):
    chosen = {path: VALUES[path] for path in paths}
    parts = [{p: chosen[p] for p in own} for own in (paths[:cut], paths[cut:])]
    expected = by_section(VALUES)
    assert nested_settings(chosen, {}) == expected
    assert nested_settings(parts[0], by_section(parts[1])) == expected
    assert nested_settings(ConfigDict(by_section(parts[0])), parts[1]) == expected


def test_fields_replace_settings_of_the_same_name_and_what_is_given_stays():
    own = {"train": {"epochs": 5, "batch_size": 32}}
    found = nested_settings(own, {"train": {"epochs": 7}, "seed": 1})
    assert found == {"train": {"epochs": 7, "batch_size": 32}, "seed": 1}
    found["train"]["epochs"] = 9
    assert own == {"train": {"epochs": 5, "batch_size": 32}}
    assert nested_settings(None, {}) == {}


@pytest.mark.parametrize(
    ("own", "fields", "message"),
    [
        (3, {}, "settings is 3: expected settings by name, such as"),
        ([("seed", 1)], {}, "settings is .*: expected settings by name"),
        ({"seed": 1, "seed.x": 2}, {}, r"config.seed is 1 and {'x': 2}: expected only"),
        ({"seed.x": 2}, {"seed": 1}, r"config.seed is {'x': 2} and 1: expected only"),
        ({"train.epochs": 3}, {"train": 5}, "config.train is {'epochs': 3} and 5"),
        ({"train": 5}, {}, "config.train is 5: expected a group of fields"),
        ({"train.lr": 0.1}, {}, "did you mean config.train.learning_rate"),
        ({"architectures": ["mlp 4"]}, {}, "expected names and their values"),
    ],
)
def test_what_cannot_be_meant(own, fields, message):
    with pytest.raises(ValueError, match=message):
        nested_settings(own, fields)
