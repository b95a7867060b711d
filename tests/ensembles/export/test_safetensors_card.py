"""The model card: front matter that YAML reads, and Markdown without surprises."""

import pytest
import yaml

from mothernets_jax.ensembles.export.safetensors_card import model_card

NAMES = ["rose", "a: [b]", "<script>x</script>", 'quote "', "- item", "c|d"]
CONFIG = {
    "library_name": "mothernets_jax",
    "task": "image-classification",
    "license": "apache-2.0",
    "combine": "greedy",
    "calibrated": True,
    "ensemble": {
        "members": {"V13": "vgg (3:4) | (3:8)", "V16": "vgg (3:4)x2 | (3:8)"},
        "class_names": NAMES,
        "input_shape": [8, 8, 3],
        "input_dtype": "uint8",
    },
    "parameters": {"V13": 1234, "V16": 5678},
    "training_data": {
        "name": "flowers: 17",
        "sha256": "abc",
        "splits": {"training": {"images": 1360}},
    },
    "figures": {
        "error": 0.125,
        "nll": 0.5,
        "brier": 0.25,
        "ece": 0.03125,
        "member_errors": {"V13": 0.1875, "V16": 0.25},
    },
}
UNKNOWN = {"license": None, "training_data": None, "figures": None}


def parts(card):
    empty, front, body = card.split("---\n", 2)
    assert empty == ""
    return yaml.safe_load(front), body


def test_front_matter_is_what_hubs_read():
    front, _ = parts(model_card("mine", CONFIG))
    assert front["license"] == "apache-2.0"
    assert front["library_name"] == "mothernets_jax"
    assert front["pipeline_tag"] == "image-classification"
    ((entry,),) = [front["model-index"]]
    (result,) = entry["results"]
    assert result["dataset"] == {"name": "flowers: 17", "type": "flowers: 17"}
    assert result["metrics"] == [{"type": "accuracy", "value": 0.875}]


def test_the_text_tells_members_figures_and_data():
    _, body = parts(model_card("mine", CONFIG))
    assert "| V13 | `vgg (3:4) \\| (3:8)` | 1,234 | 18.75% |" in body
    assert "| error | 12.50% |" in body and "| nll | 0.5000 |" in body
    assert "combine='greedy', calibrated=True" in body
    assert "1,360 training examples" in body and "Licence: apache-2.0" in body


def test_what_is_unknown_is_said_to_be():
    front, body = parts(model_card("mine", {**CONFIG, **UNKNOWN}))
    assert "license" not in front and "model-index" not in front
    for sentence in ("licence is not stated", "None are known.", "Not recorded."):
        assert sentence in body


@pytest.mark.parametrize("name", [*NAMES, "---\nlicense: x\n", "# a", "\u2028"])
def test_names_are_shown_as_they_are(name):
    """No name breaks the front matter, ends a table's row or is taken for HTML."""
    ensemble = {**CONFIG["ensemble"], "class_names": [name, "b"]}
    front, body = parts(model_card(name, {**CONFIG, "ensemble": ensemble}))
    (entry,) = front["model-index"]
    assert entry["name"] == name
    assert "<script>" not in body
    assert "\nlicense: x" not in body
    assert body.startswith("\n# ")


def test_of_many_classes_the_first_are_named():
    names = [f"class{number}" for number in range(1000)]
    ensemble = {**CONFIG["ensemble"], "class_names": names}
    _, body = parts(model_card("mine", {**CONFIG, "ensemble": ensemble}))
    assert "class19, and 980 more" in body and "class20" not in body
