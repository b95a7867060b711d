"""Deep-ensemble equivalents, by hand and against a search on a fine grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothernets_jax.metrics.deep_ensemble_equivalent import equivalent, least_size

CURVE = [0.80, 0.60, 0.50, 0.46]


@pytest.mark.parametrize(
    ("nll", "size"),
    [
        (0.81, "below 1"),
        (0.80, 1.0),
        (0.70, 1.5),
        (0.60, 2.0),
        (0.55, 2.5),
        (0.47, 3.75),
        (0.46, 4.0),
        (0.45, "more than 4"),
    ],
)
def test_sizes_by_hand(nll, size):
    assert least_size(nll, CURVE) == (
        size if isinstance(size, str) else pytest.approx(size)
    )


def test_bounds_are_a_deviation_better_and_worse():
    found = equivalent(0.55, CURVE, [0.1, 0.1, 0.02, 0.0])
    # Better: 0.70, 0.50; 0.15 of the way of 0.20. Worse: 0.90, 0.70, 0.52, 0.46.
    assert found == pytest.approx((2.5, 1.75, 2 + 0.15 / 0.18))
    outside = equivalent(0.85, CURVE, [0.1, 0.1, 0.02, 0.0])
    assert outside == ("below 1", "below 1", pytest.approx(1.25))
    assert equivalent(0.4, CURVE, [0.1, 0.1, 0.1, 0.1])[0] == "more than 4"


def test_a_curve_that_turns_back_is_reached_where_it_first_is():
    assert least_size(0.5, [0.8, 0.4, 0.7, 0.3]) == pytest.approx(1.75)
    assert least_size(0.5, [0.5]) == 1
    with pytest.raises(ValueError, match="curve is empty"):
        least_size(0.5, [])


@given(st.lists(st.floats(0.1, 1), min_size=1, max_size=6), st.floats(0.05, 1.05))
def test_sizes_are_those_of_a_fine_grid(curve, nll):
    sizes = np.arange(1, len(curve), 1e-3).tolist() + [len(curve)]
    reached = np.interp(sizes, np.arange(1, len(curve) + 1), curve) <= nll
    found = least_size(nll, curve)
    if nll > curve[0]:
        assert found == "below 1"
    elif isinstance(found, str):
        assert found == f"more than {len(curve)}"
        assert not reached.any()
    else:
        assert found <= sizes[reached.argmax()] + 1e-9 or not reached.any()
        before = np.interp(found - 1e-3, np.arange(1, len(curve) + 1), curve)
        assert np.interp(found, np.arange(1, len(curve) + 1), curve) <= nll + 1e-9
        assert found == 1 or before >= nll - 1e-9
