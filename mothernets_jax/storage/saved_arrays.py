"""What a save's arrays are, read from small files before anything large is decoded.

Orbax and TensorStore take what files say at its word: that an array is of a type of a
gigabyte an element, or that a few bytes decode to thousands of times as many. So this
is looked at first, and all but what `checkpoints.save` writes is refused. A save's
folder is a store of type OCDBT: values by key, in nodes of a B-tree, compressed by
Zstandard. Each array is of format Zarr 2, in a single chunk: its description is at the
key `NAME/.zarray`, its numbers at `NAME/0.0`, as many zeros as it has axes.

References: https://google.github.io/tensorstore/kvstore/ocdbt/ (the format of nodes),
https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html
"""

import json
import math
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorstore as ts

from mothernets_jax.storage import files
from mothernets_jax.storage.zstd_frames import check_frame
from mothernets_jax.utils.messages import short_repr

_TREE, _STORE = "_METADATA", "_CHECKPOINT_METADATA"
_MOST_TREE_BYTES, _MOST_STORE_BYTES = 2**27, 2**20
_MOST_DESCRIPTION_BYTES = 2**12  # of one array
_MOST_NODE_BYTES = 2**26  # of all nodes together, decoded
_MOST_AXES = 8
_NAME = re.compile(r"[^./]{1,300}")
_SMALL = 2**26  # bytes of memory that anything may take
_MOST_COMPRESSED = 100  # numbers that were trained are hardly compressed at all

# As Zarr writes them, in little-endian order.
_DTYPES = {
    "<f4": np.dtype("float32"),
    "<f2": np.dtype("float16"),
    "<f8": np.dtype("float64"),
    "bfloat16": np.dtype(jnp.bfloat16),
    **{np.dtype(kind).str: np.dtype(kind) for kind in ("bool", "int8", "uint8")},
    **{f"<{kind}{size}": np.dtype(f"{kind}{size}") for kind in "iu" for size in "248"},
}

# Magic numbers of a store's manifest, of its nodes, and of nodes of its versions.
_MAGIC = re.compile(rb"\x0c\xdb(?:\x3a\x2a|\x20\xde|\x12\x34)", re.DOTALL)
_HEAD, _TAIL = 14, 4  # bytes: magic, length, version, compression; checksum
_UNCOMPRESSED, _ZSTD = 0, 1


def saved_arrays(folder: Path) -> dict[str, Any]:
    """Shapes and dtypes of a save's arrays, in the tree in which they were saved.

    No array is decoded; its numbers, still compressed, are held one array at a time.

    Args:
        folder: absolute path of the folder that Orbax wrote.

    Returns:
        A `ShapeDtypeStruct` for each array, in nested dictionaries.

    Raises:
        ValueError: something is other than `checkpoints.save` writes it, or takes far
            more memory than its files have bytes.
        OSError: a file cannot be read.
    """
    files.read_json(folder / _STORE, most_bytes=_MOST_STORE_BYTES)
    leaves = _leaves(files.read_json(folder / _TREE, most_bytes=_MOST_TREE_BYTES))
    _check_nodes(folder)
    base = {"driver": "file", "path": f"{folder}/"}
    store = ts.KvStore.open({"driver": "ocdbt", "base": base}).result()
    on_disk = sum(path.stat().st_size for path in folder.rglob("*"))
    tree, size = {}, 0
    for names, is_array in leaves:
        place = tree
        for name in names[:-1]:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise ValueError(f"{short_repr(name)} is an array and has parts")
        if names[-1] in place:
            raise ValueError(f"{short_repr(names[-1])} is there twice")
        if not is_array:
            place[names[-1]] = {}
            continue
        found = place[names[-1]] = _described(store, ".".join(names))
        size += _bytes(found)
        if size > max(_SMALL, _MOST_COMPRESSED * on_disk):
            raise ValueError(f"{size:,} bytes are said to be in files of {on_disk:,}")
        _check_numbers(store, ".".join(names), found)
    return tree


def check_sizes(folder: Path, most_bytes: int | None = None) -> None:
    """Refuses files that are too large to be read, before any of them is.

    Args:
        folder: the folder that Orbax wrote.
        most_bytes: number of bytes that all files together have at most; None for any.

    Raises:
        ValueError: they have more, or a file has more holes than bytes on the disk.
        OSError: a file cannot be looked at.
    """
    size = 0
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue  # found by the checksums
        own = path.stat().st_size
        size += own
        if own > _SMALL and _data_bytes(path, own) < own / 2:
            raise ValueError(f"its file {path.name} of {own:,} bytes is mostly holes")
    if most_bytes is not None and size > most_bytes:
        raise ValueError(
            f"its files have {size:,} bytes, of which {most_bytes:,} are needed at most"
        )


def _data_bytes(path: Path, size: int) -> int:
    """Number of a file's bytes that are on the disk, in its first 1,000 parts."""
    found = place = 0
    with path.open("rb") as file:
        for _ in range(1000):
            try:
                start = os.lseek(file.fileno(), place, os.SEEK_DATA)
                place = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            except OSError:  # no data beyond
                break
            found += place - start
            if place >= size:
                break
    return found


def _leaves(described: Any) -> Iterator[tuple[list[str], bool]]:
    """Yields the path of each array and each empty dictionary, and which it is."""
    tree = described.get("tree_metadata") if isinstance(described, dict) else None
    if not isinstance(tree, dict) or described.get("use_zarr3"):
        raise ValueError(f"its file {_TREE} describes no arrays of format Zarr 2")
    for key, entry in tree.items():
        try:
            names = [part["key"] for part in entry["key_metadata"]]
            is_array = entry["value_metadata"]["value_type"] == "np.ndarray"
            is_empty = entry["value_metadata"]["value_type"] == "Dict"
        except (KeyError, TypeError):
            names, is_array, is_empty = [], False, False
        fine = names and all(isinstance(n, str) and _NAME.fullmatch(n) for n in names)
        if not fine or key != str(tuple(names)) or not (is_array or is_empty):
            raise ValueError(f"its file {_TREE} describes {short_repr(key)} wrongly")
        yield names, is_array


def _described(store: ts.KvStore, name: str) -> jax.ShapeDtypeStruct:
    """Reads an array's description, and refuses all but those of `checkpoints.save`."""
    text = _value(store, f"{name}/.zarray")
    if text is None:
        raise ValueError(f"the array {name} is missing")
    if len(text) > _MOST_DESCRIPTION_BYTES:
        raise ValueError(f"{name} is described in {len(text):,} bytes")
    found = json.loads(text)
    shape: Any = found.get("shape") if isinstance(found, dict) else None
    sizes = isinstance(shape, list) and len(shape) <= _MOST_AXES
    if not sizes or not all(type(size) is int and 0 <= size < 2**40 for size in shape):
        raise ValueError(f"the array {name} is of shape {short_repr(shape)}")
    if found.get("chunks") != [max(size, 1) for size in shape]:
        pieces = short_repr(found.get("chunks"))
        raise ValueError(f"{name} of shape {tuple(shape)} is in pieces of {pieces}")
    own = found.get("dtype")
    dtype = _DTYPES.get(own) if isinstance(own, str) else None
    if dtype is None:
        raise ValueError(f"the array {name} is of type {short_repr(own)}")
    compressor, zeros = found.get("compressor"), (None, 0, False)
    known = {"order": "C", "zarr_format": 2, "filters": None}
    if (
        not isinstance(compressor, dict)
        or compressor.get("id") != "zstd"
        or any(found.get(field) != value for field, value in known.items())
        or found.get("fill_value") not in zeros
        or found.get("dimension_separator", ".") != "."
    ):
        raise ValueError(f"the array {name} is not described as a run writes it")
    return jax.ShapeDtypeStruct(tuple(shape), dtype)


def _check_numbers(store: ts.KvStore, name: str, array: jax.ShapeDtypeStruct) -> None:
    """Refuses numbers of an array that decode to far more than it holds."""
    key = f"{name}/{'.'.join('0' * max(len(array.shape), 1))}"
    numbers = _value(store, key)
    if numbers is not None:  # else all of them are zeros
        check_frame(numbers, _bytes(array))


def _bytes(array: jax.ShapeDtypeStruct) -> int:
    return math.prod(array.shape) * array.dtype.itemsize


def _value(store: ts.KvStore, key: str) -> bytes | None:
    """The value at a key, as long as the files are at most; None without any."""
    found = store.read(key).result()
    return found.value if found.state == "value" else None


def _check_nodes(folder: Path) -> None:
    """Refuses a store whose nodes decode to more than some megabytes.

    Where nodes are is written in other nodes; here they are found by what they begin
    with, so that none is decoded before it is looked at.
    """
    most = _MOST_NODE_BYTES
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not path.stat().st_size:
            continue
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            for match in _MAGIC.finditer(content):
                start = match.start()
                length = int.from_bytes(content[start + 4 : start + 12], "little")
                if not _HEAD + _TAIL <= length <= len(content) - start:
                    continue  # no node, but numbers that look like the start of one
                if content[start + 13] == _ZSTD:
                    body = content[start + _HEAD : start + length - _TAIL]
                    check_frame(body, most)
                if length > _MOST_NODE_BYTES:
                    raise ValueError(f"a node of {path.name} has {length:,} bytes")
