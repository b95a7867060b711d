"""Named arrays as the bytes of a safetensors file, and back, whoever has written it.

The package `safetensors` is an extra, which is imported when it is needed. Its own
readers for NumPy know no bfloat16; the parser below them does, which checks the header
and that arrays fill the file without gaps.
"""

import math
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
_MOST_NUMBER_BYTES = 8
_HEADER_BYTES = 2**16, 1024  # at most, of a file and of an array
_METADATA = {"format": "flax"}  # kernels are [height, width, inputs, outputs]


def most_bytes(arrays: int, numbers: int) -> int:
    """Number of bytes that a file has at most.

    Args:
        arrays: number of its arrays.
        numbers: number of the numbers in all of them.
    """
    of_file, of_array = _HEADER_BYTES
    return 8 + of_file + of_array * arrays + _MOST_NUMBER_BYTES * numbers


def to_bytes(arrays: Mapping[str, Any]) -> bytes:
    """Serialises floating-point arrays.

    Args:
        arrays: arrays by name, each float64, float32, float16 or bfloat16.

    Raises:
        ValueError: the package `safetensors` is missing.
    """
    plain = {}
    for name, array in arrays.items():
        own = np.asarray(array)
        # Of other arrays the package would write whatever lies in memory.
        little = own.dtype.newbyteorder("<") if own.dtype.byteorder == ">" else None
        plain[name] = np.ascontiguousarray(own, little).reshape(own.shape)
    return _package().numpy.save(plain, metadata=_METADATA)


def from_bytes(
    content: bytes, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Reads exactly the arrays that are expected; no other content is accepted.

    Args:
        content: the content of a safetensors file, at most of `most_bytes`.
        shapes: shape of each expected array, by its name.

    Returns:
        The arrays by name, read-only, in the dtypes of the file.

    Raises:
        ValueError: the content is none of a safetensors file, or the package is
            missing, or an array is missing, unexpected, or of another shape or of a
            dtype that is no float.
    """
    of_file, of_array = _HEADER_BYTES
    header = int.from_bytes(content[:8], "little")
    if header > of_file + of_array * len(shapes):  # memory for it is taken unseen
        raise ValueError(
            f"its header is said to have {header:,} bytes, more than {len(shapes):,} "
            "arrays need"
        )
    package = _package()
    try:
        found = dict(package.deserialize(content))
    except package.SafetensorError as error:
        raise ValueError(f"it is no safetensors file ({error})") from None
    for name in sorted(found.keys() | shapes.keys()):
        there = _described(found.get(name))
        wanted = tuple(shapes[name]) if name in shapes else "no such array"
        if there != wanted:
            raise ValueError(f"its array {name} is {there}: expected {wanted}")
    arrays = {}
    for name, shape in shapes.items():
        own = found[name]
        if own["dtype"] not in _DTYPES:
            raise ValueError(
                f"its array {name} is {own['dtype']}: expected one of "
                f"{', '.join(_DTYPES)}"
            )
        array = np.frombuffer(own["data"], _DTYPES[own["dtype"]])
        assert array.size == math.prod(shape)  # verified by the parser
        arrays[name] = array.reshape(shape)
    return arrays


def _described(found: Mapping[str, Any] | None) -> tuple[int, ...] | str:
    return "missing" if found is None else tuple(found["shape"])


def _package() -> Any:
    try:
        import safetensors.numpy  # pyright: ignore[reportMissingImports]  # an extra
    except ImportError:
        raise ValueError(
            "safetensors files need the package safetensors, which is not installed: "
            "pip install 'mothernets-jax[export]'"
        ) from None
    return safetensors
