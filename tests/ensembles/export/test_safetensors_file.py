"""Bytes of safetensors files, against their format as it is published.

A file is the length of its header (8 bytes, little endian), the header in JSON (for
each array its dtype, shape and place), and the bytes of the arrays, row by row.
"""

import json
import struct

import ml_dtypes
import numpy as np
import pytest

from mothernets_jax.ensembles.export.safetensors_file import (
    from_bytes,
    most_bytes,
    to_bytes,
)

pytestmark = pytest.mark.extras
VALUES = [[1.5, -2.0, 0.25], [0.0, 3.0, -0.5]]  # exact in each dtype


def file_of(header, data, length=None):
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), place=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(place)}


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (np.float64, "F64"),
        (np.float32, "F32"),
        (np.float16, "F16"),
        (ml_dtypes.bfloat16, "BF16"),
    ],
)
def test_the_bytes_are_those_of_the_format_and_come_back(dtype, name):
    array = np.asarray(VALUES, dtype)
    content = to_bytes({"A.kernel": array})
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    size = array.nbytes
    expected = {"dtype": name, "shape": [2, 3], "data_offsets": [0, size]}
    assert header["A.kernel"] == expected
    assert header["__metadata__"] == {"format": "flax"}
    assert content[8 + length :] == array.tobytes()
    (found,) = from_bytes(content, {"A.kernel": (2, 3)}).values()
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_arrays_in_any_layout_are_written_row_by_row():
    by_columns = np.asfortranarray(np.asarray(VALUES, np.float32))
    big = by_columns.astype(">f4")
    wanted = np.asarray(VALUES, "<f4").tobytes()
    for array in (by_columns, big, by_columns[:, ::-1][:, ::-1]):
        assert to_bytes({"A": array}).endswith(wanted)


def test_a_file_made_by_hand_is_read():
    content = file_of(
        {"b": entry(place=(4, 12)), "a": entry(shape=(), place=(0, 4))},
        struct.pack("<3f", 0.1, -2.0, 7.0),
    )
    found = from_bytes(content, {"a": (), "b": (2,)})
    assert found["a"] == np.float32(0.1)
    assert found["b"].tolist() == [-2.0, 7.0]


EIGHT = struct.pack("<2f", 1.0, 2.0)
WRONG = [
    (b"", "no safetensors file"),
    (b"\x08", "no safetensors file"),
    (file_of({"a": entry()}, EIGHT)[:-1], "no safetensors file"),
    (file_of({"a": entry()}, EIGHT + b"\0"), "no safetensors file"),
    (file_of({"a": entry(place=(0, 4))}, EIGHT), "no safetensors file"),
    (file_of({"a": entry(place=(8, 0))}, EIGHT), "no safetensors file"),
    (file_of({"a": entry(shape=(2**62, 4))}, EIGHT), "no safetensors file"),
    (file_of(b"[" * 100, EIGHT), "no safetensors file"),
    (file_of(b"{}", b"", length=2**63), "header is said to have 9,223,372,036,854,775"),
    (file_of({}, b""), "its array a is missing: expected"),
    (file_of({"a": entry(shape=(2, 1))}, EIGHT), r"a is \(2, 1\): expected \(2,\)"),
    (file_of({"a": entry("I32")}, EIGHT), "its array a is I32: expected one of F64"),
    (
        file_of({"a": entry(), "b": entry(place=(8, 16))}, EIGHT * 2),
        r"its array b is \(2,\): expected no such array",
    ),
]


@pytest.mark.parametrize(("content", "reason"), WRONG)
def test_any_other_content_is_refused_in_a_line(content, reason):
    with pytest.raises(ValueError, match=reason) as refused:
        from_bytes(content, {"a": (2,)})
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 800


def test_the_largest_file_of_some_arrays_is_not_beyond_its_bound():
    names = ["member_with_a_long_name." + "x" * 200 + str(n) for n in range(50)]
    arrays = {name: np.zeros((3, 5)) for name in names}
    assert len(to_bytes(arrays)) <= most_bytes(50, 50 * 15)
    assert most_bytes(50, 50 * 15) < 2 * 10**5
