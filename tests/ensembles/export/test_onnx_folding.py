"""Normalisations go into the layers before them, where that changes nothing."""

import numpy as np

from mothernets_jax.architectures.operations import (
    HEAD,
    IMAGES,
    Join,
    Map,
    Norm,
    Weight,
)
from mothernets_jax.ensembles.export.onnx_folding import fold_norms

EPSILON = 1e-5  # Flax's BatchNorm


def dense(name, reads, bias=False):
    return Weight(name=name, reads=reads, width=3, bias=bias)


def drawn(operations):
    """Float32 variables of dense layers of 3 channels, and statistics of all sizes."""
    draw = np.random.default_rng(0)
    params, stats = {}, {}
    for own in operations:
        if isinstance(own, Weight):
            params[own.name] = {"kernel": draw.normal(size=(3, 3)).astype("f4")}
            if own.bias:
                params[own.name]["bias"] = draw.normal(size=3).astype("f4")
        elif isinstance(own, Norm):
            scale, bias, mean = draw.normal(size=(3, 3)).astype("f4")
            params[own.name] = {"scale": scale, "bias": bias}
            var = 10 ** draw.uniform(-6, 3, 3)
            stats[own.name] = {"mean": mean, "var": var.astype("f4")}
    return {"params": params, "batch_stats": stats}


def normalised(values, name, variables):
    own = variables["params"][name] | variables["batch_stats"][name]
    wide = {what: np.float64(array) for what, array in own.items()}
    deviation = np.sqrt(wide["var"] + EPSILON)
    return (values - wide["mean"]) / deviation * wide["scale"] + wide["bias"]


def test_a_layer_with_two_normalisations_in_a_row_computes_the_same():
    for bias in (False, True):
        operations = (
            dense("layer", IMAGES, bias),
            Norm(name="one", reads="layer"),
            Norm(name="two", reads="one"),
            dense(HEAD, "two", bias=True),
        )
        variables = drawn(operations)
        layers, replaced = fold_norms(operations, variables)
        assert replaced == {"one": "layer"}  # `two` reads what is no layer
        inputs = np.random.default_rng(1).normal(size=(5, 3))
        own = variables["params"]["layer"]
        plain = inputs @ np.float64(own["kernel"]) + own.get("bias", 0)
        expected = normalised(plain, "one", variables)
        kernel, shift = layers["layer"]
        assert kernel.dtype == shift.dtype == np.float32
        np.testing.assert_allclose(inputs @ kernel + shift, expected, rtol=1e-4)
        head = layers[HEAD]
        np.testing.assert_array_equal(head.bias, variables["params"][HEAD]["bias"])


def test_what_others_read_too_is_left_as_it_is():
    operations = (
        dense("layer", IMAGES),
        Norm(name="norm", reads="layer"),
        Join(name="sum", reads=("layer", "norm"), kind="sum"),
        Map(name="relu", reads="sum", kind="relu"),
        Norm(name="last", reads="relu"),
        dense(HEAD, "last", bias=True),
    )
    variables = drawn(operations)
    layers, replaced = fold_norms(operations, variables)
    assert replaced == {}
    assert layers["layer"].bias is None
    kernel = variables["params"]["layer"]["kernel"]
    np.testing.assert_array_equal(layers["layer"].kernel, kernel)
