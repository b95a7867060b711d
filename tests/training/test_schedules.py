"""Schedules against Optax's and against values worked out by hand."""

import math
import re

import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothernets_jax.training.schedules import (
    SCHEDULES,
    cosine_cycles,
    learning_rates,
    triangular_cycles,
)

STEPS = np.arange(40)


def of_optax(schedule, peak, steps):
    """Optax's schedule over the steps after the warm-up."""
    if schedule == "cosine":
        return optax.cosine_decay_schedule(peak, steps)
    if schedule == "linear":
        return optax.linear_schedule(peak, 0.0, steps)
    if schedule == "step":
        # The first steps by which a half and three quarters are done.
        drops = {-(-steps // 2): 0.1}
        drops[-(-steps * 3 // 4)] = drops.get(-(-steps * 3 // 4), 1) * 0.1
        return optax.piecewise_constant_schedule(peak, drops)
    if schedule == "hold_linear":
        return lambda step: np.select(
            [step / steps <= 0.5, step / steps <= 0.9],
            [peak, peak * (1 - (step / steps - 0.5) / 0.4 * 0.99)],
            0.01 * peak,
        )
    return {"constant": optax.constant_schedule}[schedule](peak)


@pytest.mark.parametrize("schedule", sorted(set(SCHEDULES) - {"one_cycle"}))
@given(
    peak=st.floats(1e-3, 10.0),
    warmup_steps=st.integers(0, STEPS.size),
    decay_steps=st.integers(1, STEPS.size),
)
def test_schedules_are_those_of_optax(schedule, peak, warmup_steps, decay_steps):
    rates = learning_rates(
        schedule,
        peak,
        total_steps=warmup_steps + decay_steps,
        warmup_steps=warmup_steps,
    )
    # The first step already moves, and the last of the warm-up is at the peak.
    warmup = optax.linear_schedule(0.0, peak, max(1, warmup_steps))(1 + STEPS)
    decay = of_optax(schedule, peak, decay_steps)(STEPS)
    decay = np.broadcast_to(decay, STEPS.shape)  # Optax's constant is one number
    expected = np.append(np.asarray(warmup)[:warmup_steps], decay[:decay_steps])
    assert rates.dtype == np.float32
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-6 * peak)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (0, []),
        (1, [1]),
        (2, [1, 0.1]),
        (3, [1, 1, 0.1]),
        (4, [1, 1, 0.1, 0.01]),
        (5, [1, 1, 1, 0.1, 0.01]),
        (8, [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
    ],
)
def test_few_steps_begin_at_the_peak_too(steps, expected):
    rates = learning_rates("step", 1.0, total_steps=steps)
    np.testing.assert_allclose(rates, expected)


def test_linear_after_a_warmup_is_a_triangle():
    rates = learning_rates("linear", 2.0, total_steps=6, warmup_steps=2)
    np.testing.assert_allclose(rates, [1.0, 2.0, 2.0, 1.5, 1.0, 0.5])


@pytest.mark.parametrize("total", [11, 40, 400])
def test_one_cycle_is_pytorchs(total):
    """OneCycleLR(pct_start=0.1, div_factor=100), transcribed from its `get_lr`."""
    largest, expected = 0.1, []
    initial = largest / 100
    phases = [
        (0.1 * total - 1, initial, largest),
        (total - 1, largest, initial / 1e4),
    ]
    for step in range(total):
        start_step = 0.0
        for i, (end_step, start, end) in enumerate(phases):
            if step <= end_step or i == len(phases) - 1:
                share = (step - start_step) / (end_step - start_step)
                cosine = math.cos(math.pi * share) + 1
                expected.append(end + (start - end) / 2.0 * cosine)
                break
            start_step = end_step
    rates = learning_rates("one_cycle", largest, total_steps=total, warmup_steps=5)
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("total", range(11))
def test_one_cycle_of_few_steps_falls_from_the_peak(total):
    rates = learning_rates("one_cycle", 1.0, total_steps=total)
    assert np.isfinite(rates).all() and (np.diff(rates) < 0).all()
    assert rates[:1].tolist() == [1.0][:total]


@pytest.mark.parametrize("schedule", sorted(set(SCHEDULES) - {"one_cycle"}))
def test_schedule_that_is_all_warmup(schedule):
    rates = learning_rates(schedule, 1.0, total_steps=4, warmup_steps=4)
    np.testing.assert_allclose(rates, [0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize(("cycles", "total"), [(1, 7), (3, 12), (5, 40)])
def test_cosine_cycles_are_those_of_the_paper(cycles, total):
    rates = cosine_cycles(0.2, cycles=cycles, total_steps=total)
    length = total // cycles  # equation 2, iterations from 1
    expected = [
        0.2 / 2 * (math.cos(math.pi * ((t - 1) % length) / length) + 1)
        for t in range(1, total + 1)
    ]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    assert (rates == rates[0]).sum() == cycles


def test_uneven_cosine_cycles_are_annealed_to_their_end():
    rates = cosine_cycles(1.0, cycles=3, total_steps=10)  # 3, 3 and 4 steps
    assert np.flatnonzero(rates == 1).tolist() == [0, 3, 6]
    np.testing.assert_allclose(rates[6:], [1, 0.853553, 0.5, 0.146447], rtol=1e-5)
    with pytest.raises(ValueError, match="cycles is 4: expected at most 3, the steps"):
        cosine_cycles(1.0, cycles=4, total_steps=3)


def test_triangular_cycles_are_those_of_the_paper():
    largest, smallest, length = 0.05, 1e-4, 8
    expected = []
    for i in range(1, 21):  # section 4
        t = ((i - 1) % length + 1) / length
        if t <= 0.5:
            expected.append((1 - 2 * t) * largest + 2 * t * smallest)
        else:
            expected.append((2 - 2 * t) * smallest + (2 * t - 1) * largest)
    rates = triangular_cycles(largest, smallest, cycle_steps=length, total_steps=20)
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    # Smallest in the middle of each cycle, after which a member is collected.
    assert np.flatnonzero(np.isclose(rates, smallest)).tolist() == [3, 11, 19]


def test_refused():
    with pytest.raises(ValueError, match=r"schedule is 'square': expected one of cos"):
        learning_rates("square", 0.1, total_steps=3)
    for warmup_steps in (-1, 4):
        message = f"warmup_steps is {warmup_steps}: expected 0 to 3, the steps in all"
        with pytest.raises(ValueError, match=re.escape(message)):
            learning_rates("step", 0.1, total_steps=3, warmup_steps=warmup_steps)
