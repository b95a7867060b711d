"""Exports of an ensemble; figures and data from outside go onto its card."""

import json
import sys

import numpy as np
import pytest

import mothernets_jax as mn


def test_the_record_makes_the_same_ensemble(ensemble):
    variables = {name: own.variables for name, own in ensemble.members.items()}
    again = mn.Ensemble.of_record(ensemble.record, variables)
    features = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(again.predict(features), ensemble.predict(features))
    assert again.record == ensemble.record


def test_without_the_package_the_message_says_what_to_install(
    ensemble, tmp_path, monkeypatch
):
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"pip install 'mothernets-jax\[export\]'"):
        ensemble.export_safetensors(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.extras
def test_figures_are_those_that_evaluate_returns(ensemble, tmp_path):
    features = np.random.default_rng(0).normal(size=(20, 4))
    figures = ensemble.evaluate(features, np.arange(20) % 2)
    ensemble.export_safetensors(tmp_path / "mine", figures=figures)
    found = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert found["figures"]["error"] == figures["ensemble"]["average"]["error"]
    assert found["task"] == "tabular-classification"
    assert found["parameters"] == {"A": 4 * 3 + 3 + 3 * 2 + 2}
