"""A graph holds each computation and each constant once."""

import numpy as np

from mothernets_jax.ensembles.export.onnx_graph import Graph


def test_an_operator_of_other_attributes_or_reads_is_another():
    graph = Graph()
    wide = graph.add("MaxPool", "wide", "x", strides=(2, 2))
    again = graph.add("MaxPool", "again", "x", strides=(2, 2))
    narrow = graph.add("MaxPool", "narrow", "x", strides=(1, 1))
    of_other = graph.add("MaxPool", "of_other", narrow, strides=(2, 2))
    assert (wide, again, narrow, of_other) == ("wide", "wide", "narrow", "of_other")
    assert [node.name for node in graph.nodes] == ["wide", "narrow", "of_other"]


def test_constants_are_one_where_their_bits_shapes_and_dtypes_are():
    graph = Graph()
    ones = np.ones(4, np.float32)
    names = [
        graph.constant("ones", ones),
        graph.constant("copy", ones.copy()),
        graph.constant("square", ones.reshape(2, 2)),
        graph.constant("whole", ones.view(np.int32)),
        graph.constant("signed", -ones),
    ]
    assert names == ["ones", "ones", "square", "whole", "signed"]
    assert list(graph.constants) == ["ones", "square", "whole", "signed"]
