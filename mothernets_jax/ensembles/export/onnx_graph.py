"""A graph of ONNX's operators as plain values, in which no computation stands twice.

An operator that reads the same values, weights included, as one that is there already
is that one. So networks that share their first layers compute them once.

Needs no `onnx`: `onnx_file` makes ONNX's own objects of it.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np


class Node(NamedTuple):
    """One operator of the graph.

    Attributes:
        kind: ONNX's name of the operator, such as `Conv`.
        name: name of the operator and of the one value that it makes.
        reads: names of the values and constants that it reads.
        attributes: ONNX's attributes of the operator; lists are tuples.
    """

    kind: str
    name: str
    reads: tuple[str, ...]
    attributes: dict[str, Any]


class Graph:
    """Operators in the order in which they run, and the constants that they read.

    Attributes:
        nodes: the operators.
        constants: the constants by name, such as a layer's kernel.

    >>> graph = Graph()
    >>> graph.add("Relu", "one", "images"), graph.add("Relu", "two", "images")
    ('one', 'one')
    """

    def __init__(self):
        """Makes a graph without operators."""
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self._known: dict[Any, str] = {}

    def add(self, kind: str, name: str, *reads: str, **attributes: Any) -> str:
        """Adds an operator, unless the same one is there.

        Args:
            kind: ONNX's name of the operator.
            name: name of the operator and of its value, if it is a new one.
            reads: names of the values and constants that it reads.
            attributes: ONNX's attributes; lists as tuples.

        Returns:
            The name of the value.
        """
        key = kind, reads, tuple(sorted(attributes.items()))
        if key not in self._known:
            self._known[key] = name
            self.nodes.append(Node(kind, name, reads, attributes))
        return self._known[key]

    def constant(self, name: str, value: np.ndarray) -> str:
        """Adds a constant, unless one of the same bits is there.

        Args:
            name: name of the constant, if it is a new one.
            value: the constant, of the dtype that it is to have in the file.

        Returns:
            The name of the constant.
        """
        content = hashlib.sha256(value.tobytes()).digest()
        key = value.dtype.str, value.shape, content
        if key not in self._known:
            self._known[key] = name
            self.constants[name] = value
        return self._known[key]
