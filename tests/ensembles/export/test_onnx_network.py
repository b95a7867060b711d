"""Networks become the operators that they are made of, and no more."""

from collections import Counter

import jax
import numpy as np
import pytest
from drawn_networks import NETWORKS, SHAPE, drawn

import mothernets_jax as mn
from mothernets_jax.architectures.operations import HEAD
from mothernets_jax.ensembles.export.onnx_graph import Graph
from mothernets_jax.ensembles.export.onnx_network import Inputs, add_network

INPUTS = Inputs("normalised", SHAPE[:2], False)


def kinds(graph):
    return Counter(node.kind for node in graph.nodes)


@pytest.fixture(scope="module")
def variables():
    return {name: drawn(network, name) for name, network in NETWORKS.items()}


# Counted by hand: convolutions, dense layers, and the normalisations before which there
# is no layer, or one that something else reads.
COUNTS = {
    "vgg": (4, 2, 0),
    "vgg_with_biases": (2, 2, 0),
    "basic": (1 + 2 + 5, 1, 0),
    "identities": (1 + 4, 1, 0),
    "bottleneck": (1 + 4 + 3 + 1, 1, 0),
    "preact": (1 + 2 + 3, 1, 3),
    "densenet": (1 + 4 + 2, 1, 7),
    "densenet_bc": (1 + 6 + 1, 1, 5),
    "mlp": (0, 3, 0),
    "mlp_normalised": (0, 3, 0),
}


@pytest.mark.parametrize("name", COUNTS)
def test_each_layer_is_one_operator_with_its_normalisation(name, variables):
    graph = Graph()
    logits = add_network(graph, name, NETWORKS[name], variables[name], INPUTS)
    assert logits == f"{name}/{HEAD}"
    found = kinds(graph)
    names = ("Conv", "Gemm", "BatchNormalization")
    assert tuple(found[kind] for kind in names) == COUNTS[name]
    written = {INPUTS.name, *graph.constants}
    for node in graph.nodes:  # in an order in which they can run
        assert written.issuperset(node.reads)
        written.add(node.name)


def test_what_members_share_is_there_once(variables):
    network, own = NETWORKS["vgg"], variables["vgg"]
    other = jax.tree.map(np.copy, own)
    other["params"]["dense1"]["kernel"][0, 0] += 1
    graph = Graph()
    first = add_network(graph, "a", network, own, INPUTS)
    alone = len(graph.nodes)
    assert add_network(graph, "same", network, own, INPUTS) == first
    assert len(graph.nodes) == alone
    second = add_network(graph, "b", network, other, INPUTS)
    own_nodes = [node.name for node in graph.nodes[alone:]]
    assert own_nodes == ["b/dense1", "b/dense1_relu", "b/head"] and second == "b/head"
    assert kinds(graph)["Transpose"] == 1


def test_features_have_no_pixels_until_a_network_asks_for_them():
    inputs, shape = Inputs("normalised", (1, 1), True), (1, 1, 5)
    flat, convolved = mn.mlp((4,)), mn.vgg("(3:4)")
    graph = Graph()
    add_network(graph, "flat", flat, drawn(flat, "flat", shape), inputs)
    assert kinds(graph) == {"Gemm": 2, "Relu": 1}
    add_network(graph, "conv", convolved, drawn(convolved, "conv", shape), inputs)
    assert kinds(graph)["Unsqueeze"] == 1 and kinds(graph)["MaxPool"] == 0
