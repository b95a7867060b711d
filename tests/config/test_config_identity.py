"""Digests of settings: what a version adds changes none of an earlier version's."""

import pytest

from mothernets_jax.config.identity import digest, identifying, of_this_version
from mothernets_jax.config.validation import from_config

NETWORKS = {"architectures": {"A": "mlp 8"}}
METHODS = ("mothernets", "full_data")
LATER = {"swa", "prune_and_tune"}  # sections that earlier versions did not have


def settings_of(**changes):
    return from_config({**NETWORKS, **changes}, METHODS)


def test_a_later_section_changes_no_earlier_digest():
    values = settings_of().to_json()
    assert values.keys() >= LATER
    assert not identifying(values).keys() & LATER
    earlier = {name: own for name, own in values.items() if name not in LATER}
    assert identifying(earlier) == identifying(values)
    assert from_config(of_this_version(earlier), METHODS) == settings_of()


@pytest.mark.parametrize(
    "changes", [{"swa": {"start_share": 0.5}}, {"prune_and_tune": {"epochs": 3}}]
)
def test_what_differs_in_a_later_section_counts(changes):
    changed = settings_of(**changes)
    assert digest(changed) != digest(settings_of())
    assert identifying(changed.to_json()).items() >= changes.items()
