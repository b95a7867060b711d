"""What tests of ensembles share."""

import jax
import numpy as np
import pytest

import mothernets_jax as mn


@pytest.fixture(scope="module")
def ensemble():
    """One small network of four features; files with larger needs have their own."""
    network = mn.mlp((3,))
    variables = mn.init(network, jax.random.key(0), (1, 1, 4), 2)
    return mn.Ensemble(
        {"A": (network, variables)},
        mean=1.0,
        std=2.0,
        class_names=["no", "yes"],
        input_shape=(1, 1, 4),
        input_dtype=np.float32,
    )
