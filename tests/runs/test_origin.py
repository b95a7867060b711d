"""What a run tells of its ensembles: the data's description, the method's figures."""

import json

import pytest

from mothernets_jax.runs.origin import origin, origin_of_saved


def test_data_and_figures_are_those_of_the_run(finished_runs):
    run = finished_runs[0] / "run"
    results = json.loads((run / "results.json").read_text())
    data = json.loads((run / "data.json").read_text())["data"]
    for method in ("mothernets", "full_data"):
        found = origin(run, method)
        assert found["training_data"] == data
        assert found["figures"] == results["methods"][method]
        assert origin_of_saved(str(run), method) == found
    assert origin(run, "snapshot")["figures"] is None


def test_of_the_ensembles_of_a_run_one_is_to_be_named(finished_runs):
    run = finished_runs[0] / "run"
    with pytest.raises(ValueError, match="name one"):
        origin_of_saved(run)
    assert origin_of_saved(run / "ensembles" / "mothernets") == {}


def test_no_finished_run_is_told(tmp_path):
    with pytest.raises(ValueError, match="holds no config.json"):
        origin(tmp_path, "mothernets")


@pytest.mark.extras
def test_a_trained_ensemble_tells_them_on_its_card(finished_runs, tmp_path):
    from mothernets_jax.api import TrainedEnsemble

    run = finished_runs[0] / "run"
    results = json.loads((run / "results.json").read_text())
    ensemble = TrainedEnsemble.of_run(run, "mothernets", results)
    ensemble.export_safetensors(tmp_path / "mine", license="mit")
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    error = results["methods"]["mothernets"]["ensemble"]["average"]["error"]
    assert config["figures"]["error"] == error
    assert config["training_data"]["splits"]["training"]["images"] == 256
