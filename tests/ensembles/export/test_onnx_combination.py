"""Every combination and its temperature, against `predict`'s own in float64."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from mothernets_jax.ensembles.export.onnx_combination import add_combination
from mothernets_jax.ensembles.export.onnx_graph import Graph

WEIGHTS = np.array([0.7, 0.2, 0.1])


def run(graph, values):
    """A reading of the operators in NumPy, independent of any runtime of ONNX."""
    values = {**values, **graph.constants}
    for node in graph.nodes:
        one, *rest = (values[name] for name in node.reads)
        own = node.attributes
        axis = own.get("axis")
        match node.kind:
            case "Unsqueeze":
                made = np.expand_dims(one, tuple(rest[0]))
            case "Concat":
                made = np.concatenate([one, *rest], axis)
            case "Softmax":
                made = softmax(one, axis)
            case "LogSoftmax":
                made = log_softmax(one, axis)
            case "Mul":
                made = one * rest[0]
            case "Div":
                made = one / rest[0]
            case "Add":
                made = one + rest[0]
            case "ReduceSum":
                made = one.sum(tuple(rest[0]), keepdims=bool(own["keepdims"]))
            case "ReduceLogSumExp":
                made = np.logaddexp.reduce(one, own["axes"][0])
            case "ArgMax":
                made = one.argmax(axis)
            case "OneHot":
                made = rest[1][(one[..., None] == np.arange(rest[0][0])).astype(int)]
            case "Greater":
                made = one > rest[0]
            case "Where":
                made = np.where(one, *rest)
            case "Exp" | "Log":
                with np.errstate(divide="ignore"):  # where `Where` takes the other
                    made = getattr(np, node.kind.lower())(one)
        values[node.name] = made
    return values["out"]


def expected(logits, weights, votes, temperature):
    """By the definition, in float64."""
    shares = np.tensordot(weights, softmax(np.float64(logits), -1), 1)
    if votes:
        cast = np.eye(logits.shape[-1])[logits.argmax(-1)].sum(0)
        shares = (cast + shares / 2) / (len(logits) + 0.5)
    if temperature is None:
        return shares
    powers = shares ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [None, 0.3, 1.0, 10.0])
@pytest.mark.parametrize("votes", [False, True])
@pytest.mark.parametrize("scale", [1, 60])  # sure to 1e-200, which float32 has not
def test_combinations_are_those_of_the_definition(scale, votes, temperature):
    draw = np.random.default_rng(0)
    logits = (scale * draw.normal(size=(3, 50, 4))).astype(np.float32)
    weights = np.full(3, 1 / 3) if votes else WEIGHTS
    graph, names = Graph(), ["a/head", "b/head", "c/head"]
    options = {"weights": weights, "votes": votes, "temperature": temperature}
    add_combination(graph, names, 4, **options, name="out")
    found = run(graph, dict(zip(names, logits, strict=True)))
    assert found.dtype == np.float32
    want = expected(logits, weights, votes, temperature)
    np.testing.assert_allclose(found, want, rtol=0, atol=3e-6)
    assert want.std() > 0.01  # of probabilities that differ
