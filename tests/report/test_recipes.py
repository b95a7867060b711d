"""How networks were trained, in a table and a sentence."""

import pytest
from fake_runs import RECIPE, fake_results

from mothernets_jax.report.recipes import recipe_rows, variation

PLAIN = {"crop": "shift", "crop_padding": 0, "flip": "none", "augment": "", "noise": 0}


def test_a_row_for_each_recipe():
    members = {**RECIPE, "networks": [f"V{n}" for n in range(6)], "epochs": 4}
    rows = recipe_rows(
        {"recipes": {"mothernets": [RECIPE, members | {"average": "ema"}]}}
    )
    assert rows[0] == {
        "networks": "MotherNets: mothernet_1",
        "epochs": "40",
        "largest rate": "0.1",
        "schedule": "hold linear",
        "batch size": "128",
        "weight decay": "0.0005",
        "optimiser": "sgd",
        "weights averaged": "no",
    }
    assert rows[1]["networks"] == "MotherNets: V0, V1, V2 and 3 more"
    assert rows[1]["weights averaged"] == "ema"


def test_training_that_may_stop_early_has_an_upper_bound():
    stopping = RECIPE | {"stop": "plateau", "label_smoothing": 0.1}
    (row,) = recipe_rows({"recipes": {"full_data": [stopping]}})
    assert (row["epochs"], row["label smoothing"]) == ("at most 40", "0.1")


def test_older_results_have_no_recipes():
    assert recipe_rows({}) == []
    assert variation(fake_results()) == ""


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({}, "Training images were not varied."),
        (
            {"crop_padding": 4, "flip": "random", "augment": "mixup(0.2)"},
            (
                "Training images were shifted by up to 4 pixels, flipped left to right "
                "at random and varied by mixup(0.2)."
            ),
        ),
        (
            {"crop": "resized", "flip": "alternating"},
            (
                "Training images were cut out at random and resized and flipped left "
                "to right every other epoch."
            ),
        ),
    ],
)
def test_how_images_were_varied(own, told):
    results = fake_results(("full_data",))
    results["plan"]["variation"] = PLAIN | own
    assert variation(results) == told


def test_noise_is_told_of_hatched_networks_alone():
    results = fake_results(("mothernets",))
    results["plan"]["variation"] = PLAIN
    assert variation(results).endswith("Hatched networks began without noise.")
    results["plan"]["variation"] = PLAIN | {"noise": 0.05}
    assert "noise of 5.00% of each" in variation(results)


def test_features_are_neither_shifted_nor_flipped():
    results = fake_results(("full_data",))
    results["data"]["input_shape"] = [1, 1, 30]
    results["plan"]["variation"] = PLAIN | {"crop_padding": 4, "flip": "random"}
    assert variation(results) == "Training images were not varied."
