"""Ensembles of networks that were trained elsewhere, and those that can be none."""

import jax
import numpy as np
import pytest

import mothernets_jax as mn
from mothernets_jax.data.preparation import Preparation

SHAPE = (2, 2, 3)
NETWORK = mn.mlp((4,))
IMAGES = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), np.uint8)


@pytest.fixture(scope="module")
def variables():
    return mn.init(NETWORK, jax.random.key(0), SHAPE, 2)


def ensemble(members, **changes):
    options = {"mean": 100, "std": 50.0, "input_shape": SHAPE} | changes
    return mn.Ensemble(members, **options)


def test_pairs_and_single_numbers_are_enough(variables):
    found = ensemble({"A": (NETWORK, variables)})
    assert found.class_names == ("0", "1")
    assert isinstance(found.members["A"], mn.Member)
    whole = ensemble(
        {"A": mn.Member(NETWORK, variables)},
        mean=np.full(3, 100.0),
        std=np.full(3, 50.0),
        class_names=["a", "b"],
    )
    np.testing.assert_array_equal(found.predict(IMAGES), whole.predict(IMAGES))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": [NETWORK]}, r"members are \[.*expected them by name"),
        ({"members": {"A": NETWORK}}, r"the member A is .*expected \(architecture"),
        ({"members": {"A": (NETWORK, {})}}, r"the member A cannot be used: variables"),
        ({"class_names": ("a", "b", "c")}, "A has 2 outputs: expected 3, one for each"),
        ({"input_shape": (2, 2)}, r"input_shape is \(2, 2\): expected \(height"),
        ({"mean": "x"}, "mean is 'x' and .*expected 3 finite numbers each"),
        ({"std": 0}, "std is 0: .*each std above 0"),
        ({"preparation": "crop"}, "preparation is 'crop': expected a Preparation"),
        ({"preparation": Preparation(3)}, "image_size is 3: .*images, which are 2x2"),
        ({"preparation": Preparation(None, "resized")}, "image_size is None: "),
        ({"preparation": Preparation(2, resize="fit")}, "resize='fit': expected one"),
    ],
)
def test_what_is_no_ensemble_is_told(variables, changes, message):
    with pytest.raises(ValueError, match=message):
        ensemble(**{"members": {"A": (NETWORK, variables)}, **changes})
