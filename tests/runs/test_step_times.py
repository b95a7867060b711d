"""The table of step times: what it holds, and what is estimated from it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from step_specs import plain_spec

from benchmarks import step_times_table
from mothernets_jax.architectures import vgg
from mothernets_jax.architectures.costs import train_flops
from mothernets_jax.presets import v5
from mothernets_jax.runs import step_times
from mothernets_jax.runs.step_times import StepTime, fit, times_of
from mothernets_jax.training.augmentations.transforms import make_transforms
from mothernets_jax.training.step_spec import Augmentation

SHAPE = (32, 32, 3)


def test_the_table_is_that_of_the_measurements():
    found = json.loads(step_times_table.SOURCE.read_text(encoding="utf-8"))
    table = json.loads(step_times._FILE.read_text(encoding="utf-8"))
    assert table == step_times_table.make_table(found)


def test_steps_that_were_timed_are_as_they_were():
    """1.5 ms for V16, 3.15 with a batch of 512: docs/measurements.md."""
    times, spec = times_of(" h100"), plain_spec(v5()["V16"])
    assert times.device == "NVIDIA H100 80GB HBM3"
    assert times.step(spec, SHAPE, 128) == (pytest.approx(1.5e-3, rel=1e-3), True)
    assert times.step(spec, SHAPE, 512) == (pytest.approx(3.152e-3, rel=1e-3), True)
    five = times.step(spec, SHAPE, 128, 5)
    assert five == (pytest.approx(6.916e-3, rel=1e-3), True)
    # Of three members nothing is known but what one takes.
    three = times.step(spec, SHAPE, 128, 3)
    assert three == (pytest.approx(4.5e-3, rel=1e-3), False)


def test_other_steps_are_estimated_from_layers_and_flops():
    times = times_of("H100")
    network = v5()["V16"]
    spec = plain_spec(network, flops_per_image=1e9)
    layers = 14 * times.fit.layer_seconds  # 13 convolutions and the head
    expected = layers + 64e9 * times.fit.flop_seconds
    assert times.step(spec, SHAPE, 64) == (pytest.approx(expected), False)
    darker = make_transforms("randaugment(1, 5)")
    for other in (
        plain_spec(network, Augmentation(4, "random", darker), flops_per_image=1e9),
        plain_spec(network, averaged=True, flops_per_image=1e9),
        plain_spec(network, masked=True, flops_per_image=1e9),
    ):
        expected = layers + 128e9 * times.fit.flop_seconds
        assert times.step(other, SHAPE, 128) == (pytest.approx(expected), False)


@given(st.floats(1e-6, 1e-3), st.floats(1e-16, 1e-13))
def test_a_fit_finds_the_law_that_the_times_follow(layer_seconds, flop_seconds):
    steps = []
    for depth, width, batch in ((1, 8, 16), (2, 8, 16), (4, 16, 8), (3, 4, 64)):
        network = vgg(f"(3:{width})x{depth}")
        flops = batch * train_flops(network, SHAPE, 10)
        seconds = (depth + 1) * layer_seconds + flops * flop_seconds
        steps.append(StepTime(str(network), SHAPE, batch, 1, seconds))
    found = fit([*steps, steps[0]._replace(members=3, step_seconds=1.0)])
    assert found.layer_seconds == pytest.approx(layer_seconds, rel=1e-6)
    assert found.flop_seconds == pytest.approx(flop_seconds, rel=1e-3, abs=1e-20)
    assert found.worst_error < 1e-6


def test_a_device_must_be_one_of_those_that_were_timed(monkeypatch):
    with pytest.raises(ValueError, match=r"no step was timed on a device 'A100'"):
        times_of("A100")
    table = dict.fromkeys(("NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe"))
    monkeypatch.setattr(step_times, "_table", lambda: table)
    with pytest.raises(ValueError, match="a part of several devices' names"):
        times_of("H100")
