"""One ONNX file of an ensemble: from raw inputs to combined probabilities."""

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mothernets_jax.architectures import Architecture
from mothernets_jax.ensembles.export.onnx_combination import add_combination
from mothernets_jax.ensembles.export.onnx_graph import Graph
from mothernets_jax.ensembles.export.onnx_network import Inputs, add_network
from mothernets_jax.storage import files

INPUTS, OUTPUT, BATCH = "inputs", "probabilities", "batch"
PRODUCER = "mothernets_jax"
# Of December 2020: what runs ONNX at all runs these.
OPSET, IR_VERSION = 13, 7
_MOST_BYTES = 2**31 - 2**20  # a file of protobuf has less than 2 GiB; 1 MiB for names
_HEAD_BYTES = 64  # that name the producer, which follows the version


class Exported(NamedTuple):
    """What an ONNX file is made of.

    Attributes:
        members: architecture and variables of each member that is a part, by name.
        mean: mean to normalise with, float32 [channels], in pixel units.
        std: standard deviation to normalise with, float32 [channels], in pixel units.
        input_shape: (height, width, channels) of one image.
        input_dtype: dtype of inputs, uint8 or float32.
        class_names: names of the classes, in the order of the outputs.
        weights: [members] of their probabilities, each above 0, summing to 1.
        votes: whether members vote, and probabilities only break ties.
        temperature: temperature of the combination; None for none.
    """

    members: Mapping[str, tuple[Architecture, Mapping[str, Any]]]
    mean: np.ndarray
    std: np.ndarray
    input_shape: tuple[int, int, int]
    input_dtype: np.dtype
    class_names: Sequence[str]
    weights: np.ndarray
    votes: bool
    temperature: float | None

    @property
    def are_features(self) -> bool:
        """Whether inputs are [batch, features], and not images."""
        return self.input_dtype != np.uint8 and self.input_shape[:2] == (1, 1)


def write_onnx(path: Path, exported: Exported, metadata: Mapping[str, Any]) -> None:
    """Writes an ONNX file; one that this function has written there is replaced.

    Args:
        path: the file.
        exported: what it is made of.
        metadata: plain values by name, which the file keeps beside the graph: texts as
            they are, None not at all, others as JSON.

    Raises:
        ValueError: `onnx` is not installed, something else is there, or the file would
            exceed 2 GiB.
        OSError: the file could not be written.
    """
    onnx = _import_onnx()
    _check_free(path)
    graph = make_graph(exported)
    size = sum(array.nbytes for array in graph.constants.values())
    if size > _MOST_BYTES:
        raise ValueError(
            f"the ensemble's weights take {size / 2**30:.1f} GiB: expected less than 2 "
            "GiB, which is all that an ONNX file can hold. Export an ensemble of "
            "fewer or smaller members"
        )
    files.write_whole(path, _serialised(onnx, graph, exported, metadata))


def make_graph(exported: Exported) -> Graph:
    """Makes the graph from `INPUTS` to `OUTPUT`.

    Args:
        exported: what it is made of.
    """
    graph, raw = Graph(), INPUTS
    if exported.input_dtype != np.float32:
        raw = graph.add("Cast", "as_floats", raw, to=1)  # TensorProto.FLOAT
    mean = graph.constant("mean", exported.mean)
    centred = graph.add("Sub", "centred", raw, mean)
    std = graph.constant("std", exported.std)
    normalised = graph.add("Div", "normalised", centred, std)
    inputs = Inputs(normalised, exported.input_shape[:2], exported.are_features)
    logits = [
        add_network(graph, name, architecture, variables, inputs)
        for name, (architecture, variables) in exported.members.items()
    ]
    add_combination(
        graph,
        logits,
        len(exported.class_names),
        weights=exported.weights,
        votes=exported.votes,
        temperature=exported.temperature,
        name=OUTPUT,
    )
    return graph


def _serialised(
    onnx: Any, graph: Graph, exported: Exported, metadata: Mapping[str, Any]
) -> bytes:
    """The bytes of the file, the same for the same ensemble."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    dtype = helper.np_dtype_to_tensor_dtype(exported.input_dtype)
    features = exported.input_shape[-1:]
    shape = features if exported.are_features else exported.input_shape
    classes = len(exported.class_names)
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(
                    node.kind, node.reads, [node.name], node.name, **node.attributes
                )
                for node in graph.nodes
            ],
            "ensemble",
            [helper.make_tensor_value_info(INPUTS, dtype, [BATCH, *shape])],
            [helper.make_tensor_value_info(OUTPUT, floats, [BATCH, classes])],
            [
                onnx.numpy_helper.from_array(array, name)
                for name, array in graph.constants.items()
            ],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
    )
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in metadata.items()
        if value is not None
    }
    helper.set_model_props(model, texts)
    return model.SerializeToString(deterministic=True)


def _import_onnx() -> Any:
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise ValueError(
            "an ONNX file is written by the package onnx, and it cannot be imported "
            f"({error}): pip install -r requirements-export.txt"
        ) from None


def _check_free(path: Path) -> None:
    """Refuses a path at which a file would replace what is not its like."""
    if not path.absolute().parent.is_dir():
        raise ValueError(
            f"{path} is in no folder that is there: expected one, or make "
            f"{path.parent} first"
        )
    if path.is_symlink() or path.is_dir():
        kind = "a link" if path.is_symlink() else "a folder"
        raise ValueError(f"{path} is {kind}: expected the path of a file")
    if not path.exists():
        return
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    if PRODUCER.encode() not in head:
        raise ValueError(
            f"{path} is there already, and no model that this library has exported: "
            "choose another path, or move what is there"
        )
