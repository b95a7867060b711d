"""Arrays of strangers are looked at before anything in them is decoded."""

import json
import os

import jax.numpy as jnp
import numpy as np
import pytest
import tensorstore as ts

from mothernets_jax.storage import checkpoints, files
from mothernets_jax.storage.saved_arrays import check_sizes, saved_arrays

ARRAYS = {
    "A": {
        "params": {"w": np.ones((2, 3), np.float32), "b": jnp.ones(2, jnp.bfloat16)},
        "batch_stats": {},
        "step": np.int32(7),
    }
}
NAME = "A.params.w"
PLAIN = {"id": "zstd", "level": 1}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("save")
    checkpoints.save(folder, ARRAYS, {})
    content = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return folder, content


@pytest.fixture
def folder(original):
    """The variables of a save, as they were before the last test."""
    folder, content = original
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in content:
            path.unlink()
    for path, own in content.items():
        path.write_bytes(own)
    return folder / "variables"


def store_of(folder):
    base = {"driver": "file", "path": f"{folder}/"}
    return ts.KvStore.open({"driver": "ocdbt", "base": base}).result()


def put(folder, key, value):
    """Writes a value into a store as TensorStore does, whatever it is."""
    store_of(folder).write(key, value).result()


def get(folder, key):
    return store_of(folder).read(key).result().value


def repeated(size):
    """A frame of zeros that is thousands of times smaller than they are."""
    most = 2**17
    blocks = [(most << 3 | 2).to_bytes(3, "little") + b"\0"] * (size // most)
    end = (0 << 3 | 1).to_bytes(3, "little")
    return bytes.fromhex("28b52ffd0058") + b"".join(blocks) + end


def test_arrays_are_described_as_they_were_saved(folder):
    found = saved_arrays(folder)["A"]
    described = {n: (a.shape, a.dtype.name) for n, a in found["params"].items()}
    assert described == {"w": ((2, 3), "float32"), "b": ((2,), "bfloat16")}
    assert (found["step"].shape, found["step"].dtype.name) == ((), "int32")
    assert found["batch_stats"] == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"dtype": [["x", "<f4", [10**9]]]}, "is of type"),
        ({"dtype": "|S1000000000"}, "is of type"),
        ({"dtype": "|O"}, "is of type"),
        ({"dtype": None}, "is of type"),
        ({"shape": [2**62, 3]}, "is of shape"),
        ({"shape": [-1, 3]}, "is of shape"),
        ({"shape": [1] * 9}, "is of shape"),
        ({"shape": 5}, "is of shape"),
        ({"shape": [2**20, 2**20], "chunks": [2**20, 2**20]}, "are said to be in"),
        ({"chunks": [10**6, 10**6]}, "is in pieces of"),
        ({"chunks": [1, 1]}, "is in pieces of"),
        ({"chunks": None}, "is in pieces of"),
        ({"compressor": {"id": "blosc"}}, "not described as a run writes it"),
        ({"compressor": None}, "not described as a run writes it"),
        ({"filters": [{"id": "delta"}]}, "not described as a run writes it"),
        ({"fill_value": "NaN"}, "not described as a run writes it"),
        ({"order": "F"}, "not described as a run writes it"),
        ({"zarr_format": 3}, "not described as a run writes it"),
        ({"dimension_separator": "/"}, "not described as a run writes it"),
        ({"attributes": "x" * 5000}, "is described in"),
    ],
)
def test_a_description_that_no_run_writes_is_refused(folder, changes, why):
    plain = {"chunks": [2, 3], "compressor": PLAIN, "dtype": "<f4", "fill_value": None}
    plain |= {"filters": None, "order": "C", "shape": [2, 3], "zarr_format": 2}
    put(folder, f"{NAME}/.zarray", json.dumps(plain | changes).encode())
    with pytest.raises(ValueError, match=f"{NAME}.*{why}|{why}"):
        saved_arrays(folder)


def test_numbers_that_decode_to_gigabytes_are_refused(folder):
    bomb = repeated(8 * 2**30)
    assert len(bomb) < 300_000
    put(folder, f"{NAME}/0.0", bomb)
    with pytest.raises(ValueError, match="may decode to far more than the 24 that"):
        saved_arrays(folder)


def test_nodes_that_decode_to_gigabytes_are_refused(folder):
    body = repeated(8 * 2**30)
    length = (14 + len(body) + 4).to_bytes(8, "little")
    node = bytes.fromhex("0cdb3a2a") + length + b"\0\1" + body + bytes(4)
    (folder / "manifest.ocdbt").write_bytes(node)
    with pytest.raises(ValueError, match="may decode to far more"):
        saved_arrays(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: [],
        lambda tree: {},
        lambda tree: {**tree, "use_zarr3": True},
        lambda tree: {"tree_metadata": {"('A',)": 5}},
        lambda tree: {"tree_metadata": {"('..',)": part("..")}},
        lambda tree: {"tree_metadata": {"('../A',)": part("../A")}},
        lambda tree: {"tree_metadata": {"('B',)": part("A")}},
        lambda tree: {"tree_metadata": {"('A',)": part("A", "jax.Array")}},
        lambda tree: {"tree_metadata": {"('gone',)": part("gone")}},
    ],
)
def test_a_tree_that_no_run_writes_is_refused(folder, change):
    path = folder / "_METADATA"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(
        ValueError, match="its file _METADATA|the array gone is missing"
    ):
        saved_arrays(folder)


def part(name, kind="np.ndarray"):
    keys = [{"key": name, "key_type": 2}]
    return {"key_metadata": keys, "value_metadata": {"value_type": kind}}


@pytest.mark.parametrize("name", ["_METADATA", "_CHECKPOINT_METADATA"])
@pytest.mark.parametrize("content", ["[" * 100_000, "[[]," * 2**23, "{"])
def test_a_small_file_that_is_a_bomb_is_refused(folder, name, content):
    (folder / name).write_text(content)
    with pytest.raises(files.DamagedError, match=f"{name} is damaged"):
        saved_arrays(folder)


def test_files_of_holes_or_too_many_bytes_are_refused(folder):
    check_sizes(folder)
    with pytest.raises(ValueError, match="of which 100 are needed at most"):
        check_sizes(folder, 100)
    path = folder / "manifest.ocdbt"
    os.truncate(path, 2**40)
    with pytest.raises(ValueError, match="bytes is mostly holes"):
        check_sizes(folder)
