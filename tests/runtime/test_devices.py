"""Precision, peaks and throughput in words."""

import re
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from mothernets_jax.runtime import devices
from mothernets_jax.runtime.devices import compute_dtype, describe_speed, peak_flops


def test_the_memory_is_the_device_s_or_else_the_machine_s(monkeypatch):
    kilobytes = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]
    assert devices.memory_bytes() == pytest.approx(1024 * int(kilobytes), rel=0.01)
    chip = SimpleNamespace(memory_stats=lambda: {"bytes_limit": 17})
    monkeypatch.setattr(jax, "local_devices", lambda: [chip])
    assert devices.memory_bytes() == 17


def test_bfloat16_is_for_accelerators(monkeypatch):
    assert compute_dtype("auto") is None  # on the CPU
    assert compute_dtype("float32") is None
    assert compute_dtype("bfloat16") == jnp.bfloat16
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compute_dtype("auto") == jnp.bfloat16
    assert compute_dtype("float32") is None
    with pytest.raises(ValueError, match="precision is 'half'"):
        compute_dtype("half")


@pytest.mark.parametrize(
    ("kind", "tflops"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("TPU v5 lite", 197),
        ("TPU v5p", 459),
        ("TPU v6 lite", 918),
    ],
)
def test_peaks_of_known_chips(kind, tflops):
    assert peak_flops(kind, jnp.bfloat16) == tflops * 1e12
    assert peak_flops(kind, None) is None  # of float32 nothing is said


def test_an_unknown_chip_has_no_peak(monkeypatch):
    assert peak_flops("cpu", jnp.bfloat16) is None
    assert describe_speed(1000, 2e12, 4.0, None) == "250 images/s, 0.5 TFLOP/s"
    monkeypatch.setattr(devices, "peak_flops", lambda kind, dtype: 5e12)
    expected = "250 images/s, 0.5 TFLOP/s (10.0% of peak)"
    assert describe_speed(1000, 2e12, 4.0, jnp.bfloat16) == expected


JAX_SAYS = (
    RuntimeError(
        "Unable to initialize backend 'xyz': Backend 'xyz' is not in the list of known "
        "backends: ['cpu', 'tpu']. (set JAX_PLATFORMS='' to automatically choose)"
    ),
    AssertionError(),  # for cuda, where no plugin for it is installed
)


@pytest.mark.parametrize("error", JAX_SAYS)
def test_devices_that_are_not_there_get_one_line(monkeypatch, error):
    def no_devices():
        raise error

    devices.check_devices()  # the control
    monkeypatch.setattr(jax, "devices", no_devices)
    with pytest.raises(ValueError, match="JAX_PLATFORMS is .*: unset it") as refused:
        devices.check_devices()
    assert len(str(refused.value).splitlines()) == 1
    assert "set JAX_PLATFORMS=''" not in str(refused.value)
