"""Logits over many images, in batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mothernets_jax import evaluation
from mothernets_jax.architectures import parse
from mothernets_jax.augment import normalise
from mothernets_jax.compilation import Executables
from mothernets_jax.models import apply, init

NETWORK, SHAPE = parse("vgg (3:4) | (3:4); batch_norm"), (4, 4, 1)
MEAN, STD = np.array([100.0], np.float32), np.array([50.0], np.float32)


@pytest.fixture(scope="module")
def variables():
    return init(NETWORK, jax.random.key(0), SHAPE, 3)


def test_batches_are_those_of_all_images_at_once(variables):
    """More batches than are ever under way, and a last one that is not full."""
    count = 2 * evaluation._BATCHES_AHEAD + 5
    images = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)
    expected = apply(NETWORK, variables, normalise(jnp.asarray(images), MEAN, STD))
    found = evaluation.predict_logits(
        NETWORK, variables, images, MEAN, STD, batch_size=2, executables=Executables()
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_exact_products_where_they_would_be_rounded(variables, monkeypatch):
    """An accelerator would round them; for the CPU nothing more is compiled."""
    shapes = variables, jnp.zeros((2, *SHAPE), jnp.uint8), MEAN, STD
    programs = {}
    for backend in ("cpu", "tpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        for exact in (False, True):
            programs[backend, exact] = evaluation._forward(NETWORK, exact)
    monkeypatch.undo()
    assert programs["cpu", True] is programs["cpu", False] is programs["tpu", False]
    products = {
        exact: [
            line
            for line in programs["tpu", exact].lower(*shapes).as_text().splitlines()
            if "stablehlo.convolution" in line or "stablehlo.dot_general" in line
        ]
        for exact in (False, True)
    }
    assert len(products[True]) == len(products[False]) == 3  # two layers and the head
    assert all("HIGHEST" in line for line in products[True])
    assert not any("HIGHEST" in line for line in products[False])
