"""Exports are refused in words where they cannot be made, and touch nothing then."""

import sys

import jax
import numpy as np
import pytest

import mothernets_jax as mn

SHAPE = (1, 1, 3)


@pytest.fixture(scope="module")
def ensemble():
    network = mn.mlp((2,))
    variables = mn.init(network, jax.random.key(0), SHAPE, 2)
    return mn.Ensemble(
        {"A": (network, variables)}, mean=0.0, std=1.0, input_shape=SHAPE
    )


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("own.pt", {}, r"own\.pt': expected a file that ends in .*\.onnx"),
        ("own", {}, "expected a file that ends in"),
        ("own.onnx", {"combine": "median"}, "combine is 'median'"),
        ("own.onnx", {"combine": ""}, "combine is ''"),
        ("own.onnx", {"combine": "greedy"}, "weights were not fitted"),
        ("own.onnx", {"calibrated": True}, "no fitted temperature"),
    ],
)
def test_what_cannot_be_exported(name, options, words, ensemble, tmp_path):
    with pytest.raises(ValueError, match=words):
        ensemble.export(tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_without_onnx_the_message_says_what_to_install(ensemble, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ValueError, match=r"onnx.*requirements-export\.txt") as error:
        ensemble.export(tmp_path / "own.onnx")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_replaced_by_a_file_of_another_kind(
    ensemble, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "onnx", sys)  # is not asked for anything
    photo, folder, link = (tmp_path / f"{n}.onnx" for n in ("photo", "folder", "link"))
    photo.write_bytes(b"not ours")
    folder.mkdir()
    link.symlink_to(tmp_path / "nowhere")
    for path, words in (
        (photo, "no model that this library has exported"),
        (folder, "is a folder"),
        (link, "is a link"),
        (tmp_path / "no" / "own.onnx", "in no folder that is there"),
    ):
        with pytest.raises(ValueError, match=words):
            ensemble.export(path)
    assert photo.read_bytes() == b"not ours"
    assert not np.any([path.name.endswith("tmp") for path in tmp_path.iterdir()])
