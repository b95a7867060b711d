"""An ensemble of what a method trained knows all that its data set tells."""

from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
from image_folders import CLASSES, write_folder

import mothernets_jax as mn
from mothernets_jax import data
from mothernets_jax.data.preparation import Preparation
from mothernets_jax.runs import outcomes


def test_how_files_became_images_is_kept(tmp_path, cache_home):
    write_folder(tmp_path)
    dataset = data.load("folder", directory=str(tmp_path), image_size=4, resize="pad")
    network = mn.mlp((2,))
    variables = mn.init(network, jax.random.key(0), dataset.input_shape, 3)
    composition: Any = SimpleNamespace(members={"A": network})
    trained: Any = SimpleNamespace(states={"A": SimpleNamespace(predictor=variables)})
    task: Any = SimpleNamespace(dataset=dataset)
    found = outcomes._ensemble(["A"], composition, trained, task)
    assert found.preparation == Preparation(4, "shift", "pad")
    assert found.class_names == CLASSES
    np.testing.assert_array_equal(found.mean, dataset.mean)
    assert data.load("digits").preparation is None  # there, images are no files
