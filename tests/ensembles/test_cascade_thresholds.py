"""Thresholds lose no more than stated, and are the cheapest that a grid finds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mothernets_jax.ensembles.cascade_thresholds import fit_thresholds, stages

VALUES = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0])


def fit(leads, losses, costs, allowed):
    """Thresholds where labels lose nothing, so that expected losses alone count."""
    return fit_thresholds(leads, losses, np.zeros(leads.shape, int), costs, allowed)


def by_hand(leads, thresholds):
    """Stage of each example, asked one after another."""
    answered = []
    for own in leads.T:
        met = [k for k, t in enumerate(thresholds) if own[k] >= t]
        answered.append(met[0] if met else len(leads) - 1)
    return np.array(answered)


def mean_of(values, stage):
    return np.mean([values[k, n] for n, k in enumerate(stage)])


@settings(max_examples=20)
@given(st.data(), st.integers(1, 4), st.integers(1, 10), st.floats(0, 1))
def test_no_more_is_lost_than_stated(data, count, examples, allowed):
    shape = count, examples
    leads = data.draw(arrays.arrays(float, shape, elements=VALUES))
    losses = data.draw(arrays.arrays(float, shape, elements=VALUES))
    kinds = st.sampled_from([-1, 0, 1])
    counted = data.draw(arrays.arrays(int, shape, elements=kinds))
    losses[-1] = counted[-1] = 0
    costs = np.cumsum(np.arange(1.0, count + 1))
    found = fit_thresholds(leads, losses, counted, costs, allowed)
    assert found.shape == (count - 1,) and (found >= 0).all()
    stage = by_hand(leads, found)
    assert stage.tolist() == stages(leads, found).tolist()
    assert mean_of(losses, stage) <= allowed + 1e-9
    assert mean_of(counted, stage) <= allowed + 1e-9


def sample(examples=400, seed=0):
    """Stages of which a larger lead loses less, as answers do."""
    draw = np.random.default_rng(seed)
    leads = np.sort(draw.uniform(size=(3, examples)), axis=0)
    losses = 0.4 * (1 - leads) ** 3 * draw.uniform(size=leads.shape)
    losses[-1] = 0
    return leads, losses, np.array([1.0, 2.1, 3.4])


@pytest.mark.parametrize("allowed", [0.005, 0.02, 0.05])
def test_no_thresholds_of_a_grid_are_much_cheaper(allowed):
    leads, losses, costs = sample()
    stage = by_hand(leads, fit(leads, losses, costs, allowed))
    grid = [*np.linspace(0, 1, 26), math.inf]
    best = min(
        costs[other].mean()
        for pair in itertools.product(grid, grid)
        if mean_of(losses, other := stages(leads, np.array(pair))) <= allowed
    )
    assert mean_of(losses, stage) <= allowed
    assert costs[stage].mean() <= 1.05 * best


def test_more_loss_is_never_dearer():
    leads, losses, costs = sample(seed=1)
    spent = [
        costs[by_hand(leads, fit(leads, losses, costs, allowed))].mean()
        for allowed in (0, 0.001, 0.01, 0.03, 0.1, 1)
    ]
    assert spent == sorted(spent, reverse=True)
    assert spent[0] > 3 and spent[-1] == 1


def test_where_all_are_answered_so_is_any_other_example():
    leads, losses, costs = sample()
    assert fit(leads, losses, costs, 1.0)[0] == 0
    nothing = fit(leads, losses + [[1], [1], [0]], costs, 0.0)
    assert np.isinf(nothing).all()


def test_examples_with_one_lead_are_on_one_side():
    leads = np.array([[0.5, 0.5, 0.7], [0.0, 0.0, 0.0]])
    losses = np.array([[0.0, 0.6, 0.0], [0.0, 0.0, 0.0]])
    # Both of 0.5 lose 0.2 on average: too much; the one of 0.7 loses nothing.
    assert fit(leads, losses, np.array([1.0, 2.0]), 0.1).tolist() == [0.7]
    assert fit(leads, losses, np.array([1.0, 2.0]), 0.2).tolist() == [0.0]


def test_labels_that_tell_of_more_loss_are_heeded():
    leads, losses, costs = sample()
    counted = np.zeros(leads.shape, int)
    allowed = fit(leads, losses, costs, 0.05)
    first = stages(leads, allowed) == 0
    counted[0, first] = 1
    found = fit_thresholds(leads, losses, counted, costs, 0.05)
    assert counted[0, stages(leads, found) == 0].sum() <= 0.05 * leads.shape[1]
    assert found[0] > allowed[0]
