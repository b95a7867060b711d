"""What a card says of license, data and figures, and what it refuses to say."""

import hashlib
import json
import math

import pytest

from mothernets_jax.ensembles.export.safetensors_config import (
    check_license,
    checksum,
    chosen_figures,
    fingerprint,
)

DATA = {
    "name": "digits",
    "version": "",
    "class_names": ["0", "1"],
    "image_shape": [8, 8, 1],
    "mean": [4.0],
    "splits": {"training": {"images": 3, "labels": "aa", "pixels": "bb"}},
}
SCORES = {"nll": 0.5, "brier": 0.2, "ece": 0.1}
ENTRY = {
    "ensemble": {
        "average": {
            "error": 0.25,
            **SCORES,
            "calibrated": {"nll": 0.4, "brier": 0.19, "ece": 0.05},
        },
        "vote": {"error": 0.3, **SCORES},
    },
    "members": {"A": {"error": 0.3, "nll": 1.0}, "B": {"error": 0.4}},
}


@pytest.mark.parametrize("license", [None, "apache-2.0", "cc-by-nc-4.0", "MIT"])
def test_identifiers_are_licenses(license):
    check_license(license)


@pytest.mark.parametrize("license", ["", "all rights reserved", "mit\nx: 1", 5, "-"])
def test_other_values_are_none(license):
    with pytest.raises(ValueError, match=r"license is .*: expected its identifier"):
        check_license(license)


def test_data_are_told_from_others_by_their_splits_and_one_digest():
    found = fingerprint(DATA)
    text = json.dumps(DATA, sort_keys=True).encode()
    assert found["sha256"] == hashlib.sha256(text).hexdigest() == checksum(DATA)
    assert found["splits"] == DATA["splits"] and found["name"] == "digits"
    assert fingerprint({**DATA, "mean": [5.0]})["sha256"] != found["sha256"]


@pytest.mark.parametrize(
    "data", [5, {}, {**DATA, "splits": {}}, {**DATA, "splits": {"training": {}}}]
)
def test_what_describes_no_data_is_refused(data):
    with pytest.raises(ValueError, match="training_data are .*: expected the descri"):
        fingerprint(data)


def test_figures_are_those_of_the_combination():
    members = {"A": 0.3, "B": 0.4}
    expected = {"error": 0.3, **SCORES, "member_errors": members}
    assert chosen_figures(ENTRY, "vote", False) == expected
    expected = {"error": 0.25, "nll": 0.4, "brier": 0.19, "ece": 0.05}
    found = chosen_figures(ENTRY, "average", True)
    assert found == {**expected, "member_errors": members}


@pytest.mark.parametrize(
    ("entry", "combine", "calibrated"),
    [
        ({}, "average", False),
        (5, "average", False),
        (ENTRY, "greedy", False),
        (ENTRY, "vote", True),
        ({**ENTRY, "members": {"A": {"error": math.nan}}}, "average", False),
    ],
)
def test_figures_that_are_missing_are_told(entry, combine, calibrated):
    with pytest.raises(ValueError, match=f"figures are .* those of {combine}"):
        chosen_figures(entry, combine, calibrated)
