"""What is chosen for a folder of images, from their number and sizes."""

import ast

import numpy as np
import pytest
from PIL import Image

from mothernets_jax import presets
from mothernets_jax.architectures import parse
from mothernets_jax.runs import folder_choice as folder


def make(root, count, sizes=((8, 8),)):
    """Two classes of `count` images each, whose sizes take turns."""
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number in range(count):
            height, width = sizes[number % len(sizes)]
            pixels = np.full((height, width, 3), number % 250, np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return str(root)


def test_few_small_images(tmp_path):
    """2 x 40: 32 of each train and validate, of these 58 train, in 3 steps of 16."""
    chosen = folder.choose_for_folder(make(tmp_path, 40), {})
    own = chosen.overrides
    assert own["train.batch_size"] == "16"
    assert (own["train.epochs"], own["hatch.epochs"]) == ("200", "80")
    assert "data.image_size" not in own
    found = {n: parse(a) for n, a in ast.literal_eval(own["architectures"]).items()}
    assert found == presets.v5(0.25)
    assert "58 training images of 8x8 pixels, 2 classes" in chosen.sentences[0]


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        (((8, 12),), None),
        (((64, 64),), None),
        (((8, 8), (9, 9)), "64"),
        (((65, 65),), "64"),
    ],
)
def test_images_are_resized_only_where_they_must_be(tmp_path, sizes, size):
    chosen = folder.choose_for_folder(make(tmp_path, 4, sizes), {})
    assert chosen.overrides.get("data.image_size") == size


@pytest.mark.parametrize(
    ("most", "size", "width"),
    [(1e30, "64", 0.25), (0.0, "32", 0.125)],
)
def test_width_and_size_are_the_largest_that_the_flops_allow(
    tmp_path, monkeypatch, most, size, width
):
    monkeypatch.setattr(folder, "MOST_FLOPS", most)
    own = folder.choose_for_folder(make(tmp_path, 4, ((8, 8), (9, 9))), {}).overrides
    assert own["data.image_size"] == size
    networks = ast.literal_eval(own["architectures"])
    assert networks == {n: str(a) for n, a in presets.v5(width).items()}


def test_what_is_given_is_said_to_be_kept(tmp_path):
    given = {"train.epochs": "3", "seed": "1"}
    chosen = folder.choose_for_folder(make(tmp_path, 4), given)
    assert chosen.sentences[-1].endswith("not as chosen here: train.epochs.")
