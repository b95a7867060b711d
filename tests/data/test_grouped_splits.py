"""Groups stay together, and shares are as near as their sizes allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mothernets_jax.data.arrays import from_arrays
from mothernets_jax.data.grouped_splits import draw_groups

SPLITS = ("train", "calibration", "validation", "test")


@st.composite
def grouped_examples(draw):
    classes, groups = draw(st.integers(2, 4)), draw(st.integers(12, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    of_example = np.repeat(np.arange(groups), rng.integers(1, 9, groups))
    labels = rng.integers(0, classes, len(of_example))
    labels[: 4 * classes] = np.arange(4 * classes) % classes
    shuffled = rng.permutation(len(labels))
    return labels[shuffled], of_example[shuffled], draw(st.sampled_from([0.1, 0.25]))


@settings(max_examples=25)
@given(grouped_examples())
def test_no_group_is_cut_and_no_other_one_would_bring_the_shares_nearer(examples):
    labels, groups, fraction = examples
    drawn = draw_groups(labels, groups, fraction, purpose="test")
    classes = labels.max() + 1
    counts = np.bincount(labels, minlength=classes)
    taken = np.bincount(labels[drawn], minlength=classes)
    assert drawn.any() and (taken < counts).all()
    for group in np.unique(groups):
        own = groups == group
        assert drawn[own].all() or not drawn[own].any()
        if not drawn[own].any():
            more = taken + np.bincount(labels[own], minlength=classes)
            before, after = (
                np.square(each - fraction * counts).sum() for each in (taken, more)
            )
            empties = (more >= counts)[more > taken].any()
            assert after >= before - 1e-9 or empties
            lacking = (fraction * counts - taken).sum()
            beyond = (more > np.ceil(fraction * counts))[more > taken].any()
            assert abs(lacking - own.sum()) >= abs(lacking) - 1e-9 or empties or beyond
    again = draw_groups(labels, groups.astype(str), fraction, purpose="test")
    # Names of groups have no say but for which of equally large ones are taken.
    assert abs(int(again.sum()) - int(drawn.sum())) <= np.bincount(groups).max()


@settings(max_examples=25)
@given(grouped_examples(), st.booleans())
def test_no_group_is_in_two_splits_and_every_class_trains(examples, tested):
    labels, groups, fraction = examples
    images = np.arange(len(labels), dtype=np.float32)[:, None]  # each tells its number
    own = (np.full((2, 1), -1.0), [0, 1])
    try:
        data = from_arrays(
            images,
            labels,
            groups=groups,
            test=own if tested else None,
            test_fraction=fraction,
            validation_fraction=0.2,
            calibration_fraction=0.1,
        )
    except ValueError as error:  # honest: too few groups are left for a third part
        assert "of which none can be kept for" in str(error)
        return
    parts = [getattr(data, f"{name}_images").ravel().astype(int) for name in SPLITS]
    parts = parts[:3] if tested else parts
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    members = [set(groups[part]) for part in parts]
    assert sum(map(len, members)) == len(set(groups))
    assert set(data.train_labels) == set(labels)
    for name, part in zip(SPLITS, parts, strict=False):
        np.testing.assert_array_equal(getattr(data, f"{name}_labels"), labels[part])


def test_groups_of_one_give_the_share_of_each_class():
    labels = np.repeat([0, 1, 2], [100, 60, 11])
    groups = [f"patient {i}" for i in range(len(labels))]
    drawn = draw_groups(labels, np.asarray(groups), 0.2, purpose="test")
    assert np.bincount(labels[drawn]).tolist() == [20, 12, 2]
    # Of classes of 4 a tenth is none of each, and still a tenth of all.
    small = np.arange(400) % 100
    drawn = draw_groups(small, np.arange(400), 0.1, purpose="test")
    assert drawn.sum() == 40 and np.bincount(small[drawn]).max() == 1


def test_fewer_examples_are_stratified_and_no_more_than_there_are():
    labels = np.repeat([0, 1, 2], [60, 60, 6])
    groups = np.arange(126) // 3
    images = np.zeros((126, 2))
    few = from_arrays(images, labels, groups=groups, train_examples=20)
    assert np.bincount(few.train_labels).tolist() == [9, 9, 2]
    with pytest.raises(
        ValueError, match=r"train_examples=100, but there are 9\d train"
    ):
        from_arrays(images, labels, groups=groups, train_examples=100)


def test_groups_that_are_too_large_or_missing_are_refused():
    labels = np.arange(40) % 2
    with pytest.raises(ValueError, match=r"2 groups of up to 20 of 40 examples.*5%"):
        draw_groups(labels, np.arange(40) // 20, 0.05, purpose="validation")
    images = np.zeros((40, 2))
    with pytest.raises(ValueError, match=r"groups have the shape \(39,\).*40 examples"):
        from_arrays(images, labels, groups=range(39))
    for missing in (None, float("nan")):
        groups = [missing, *map(str, range(39))]
        with pytest.raises(ValueError, match=r"groups lack 1 of 40.*number 0, say"):
            from_arrays(images, labels, groups=np.asarray(groups, object))
