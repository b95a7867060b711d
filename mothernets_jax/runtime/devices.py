"""Names, memory, precision and peak speed of the devices."""

import os
from typing import Any

import jax
import jax.numpy as jnp

Device = Any  # jax.Device, which type checkers take for a variable

PRECISIONS = ("auto", "float32", "bfloat16")

# Dense bfloat16 TFLOP/s of a chip by the beginning of its name, longer ones first where
# two fit; from the makers' data sheets (without sparsity).
_PEAK_TFLOPS = {
    "NVIDIA B200": 2250.0,
    "NVIDIA GH200": 990.0,
    "NVIDIA H200": 989.0,
    "NVIDIA H100 PCIe": 756.0,
    "NVIDIA H100": 989.0,
    "NVIDIA A100": 312.0,
    "NVIDIA L40S": 362.0,
    "NVIDIA L4": 121.0,
    "TPU v4": 275.0,
    "TPU v5 lite": 197.0,
    "TPU v5e": 197.0,
    "TPU v5": 459.0,
    "TPU v6 lite": 918.0,
    "TPU v6e": 918.0,
}


def check_devices() -> None:
    """Refuses a JAX_PLATFORMS that names devices which JAX cannot use here.

    Raises:
        ValueError: JAX finds no device.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        lines = str(error).partition(" (set JAX_PLATFORMS")[0].splitlines()
        reason = f" ({lines[0].rstrip('. ')})" if lines else ""
        asked = jax.config.jax_platforms  # type: ignore[attr-defined]
        raise ValueError(
            f"JAX_PLATFORMS is {asked!r}, and JAX finds no such device{reason}: unset "
            "it to use what there is, or install what the devices need (an NVIDIA GPU "
            "its driver, and pip install -r requirements-cuda.txt)"
        ) from error


def device_name() -> str:
    """Number and kind of the devices in use, such as `8 x NVIDIA H100`."""
    return f"{jax.device_count()} x {jax.devices()[0].device_kind}"


def memory_bytes() -> int:
    """Memory of one device, in bytes; the machine's for CPUs and where unknown."""
    stats = jax.local_devices()[0].memory_stats() or {}
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return stats.get("bytes_limit", machine)


def compute_dtype(precision: str) -> jax.typing.DTypeLike | None:
    """Dtype in which hidden layers are trained; None for the dtype of the variables.

    Args:
        precision: one of `PRECISIONS`; `auto` is bfloat16 on accelerators and float32
            on CPUs, which only emulate bfloat16.

    Raises:
        ValueError: an unknown precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}: expected one of {PRECISIONS}")
    if precision == "auto":
        precision = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.bfloat16 if precision == "bfloat16" else None


def peak_flops(device_kind: str, dtype: jax.typing.DTypeLike | None) -> float | None:
    """A chip's peak FLOP/s in bfloat16; None where it is unknown, or for other dtypes.

    Args:
        device_kind: name of the chip, as in `jax.Device.device_kind`.
        dtype: dtype of the hidden layers, from `compute_dtype`; None for the dtype of
            the variables.
    """
    if dtype != jnp.bfloat16:
        return None
    for beginning, tflops in _PEAK_TFLOPS.items():
        if device_kind.startswith(beginning):
            return tflops * 1e12
    return None


def describe_speed(
    images: int, flops: float, seconds: float, dtype: jax.typing.DTypeLike | None
) -> str:
    """Throughput in a few words: images and FLOPs a second, share of a known peak.

    Args:
        images: number of images trained on, each counted as often as it was seen.
        flops: FLOPs that training on them took.
        seconds: time that it took on one device.
        dtype: dtype of the hidden layers, from `compute_dtype`; None for the dtype of
            the variables.
    """
    rate = flops / seconds
    peak = peak_flops(jax.devices()[0].device_kind, dtype)
    share = f" ({rate / peak:.1%} of peak)" if peak else ""
    return f"{images / seconds:,.0f} images/s, {rate / 1e12:.3g} TFLOP/s{share}"
