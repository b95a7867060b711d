"""`mn.Dataset`: each constructor gives what the loader beneath it does."""

import numpy as np
import pytest
from image_folders import write_folder

import mothernets_jax as mn
from mothernets_jax.data import load

pytestmark = pytest.mark.usefixtures("cache_home")


def test_arrays():
    features = np.random.default_rng(0).normal(size=(50, 3))
    data = mn.Dataset.from_arrays(features, ["a", "b"] * 25, test_fraction=0.4)
    assert isinstance(data, mn.Dataset) and data.input_shape == (1, 1, 3)
    assert isinstance(data._replace(notes=()), mn.Dataset)
    assert len(data.test_labels) == 20 and data.input_dtype == np.float32


def test_folders(tmp_path):
    write_folder(tmp_path, (6, 6, 3))
    options = {"image_size": 4, "validation_fraction": 0.5}
    data = mn.Dataset.from_folder(tmp_path, **options)
    expected = load("folder", directory=str(tmp_path), **options)
    assert isinstance(data, mn.Dataset)
    np.testing.assert_array_equal(data.train_images, expected.train_images)
    assert data.preparation == expected.preparation


def test_tfds_names_are_told():
    with pytest.raises(ValueError, match="unknown data set 'cifar11'.*cifar10"):
        mn.Dataset.from_tfds("cifar11")
