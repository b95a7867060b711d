"""The laws of channel maps, shares and grown kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mothernets_jax.growth.channels import (
    FRESH,
    ChannelMap,
    concatenate,
    draw_shares,
    enlarge_filter,
    grow_kernel,
    grow_vector,
    identity_map,
    paired,
    paired_map,
    restrict,
    widening_map,
)

WIDENINGS = [(1, 6), (3, 7), (5, 5), (4, 8)]

# Copies of each of three channels in disorder, with fresh channels among them.
WITH_FRESH = ChannelMap(jnp.array([2, FRESH, 0, 1, 2, FRESH, 2, 0]), 3)


def all_maps(seed):
    for mother, member in WIDENINGS[:3]:
        yield widening_map(jax.random.key(seed), mother, member)
    yield WITH_FRESH


@pytest.mark.parametrize(("mother", "member"), WIDENINGS)
def test_widening_copies_evenly(mother, member, seed):
    source, channels, sign = widening_map(jax.random.key(seed), mother, member)
    assert channels == mother and source.shape == (member,) and sign is None
    # The first are themselves, so that all are there; none is fresh.
    np.testing.assert_array_equal(source[:mother], np.arange(mother))
    counts = np.bincount(source, minlength=mother)
    assert len(counts) == mother and counts.min() >= 1
    assert counts.max() - counts.min() <= 1


def test_widening_copies_other_channels_with_another_key():
    keys = jax.random.split(jax.random.key(0), 20)
    sources = jax.vmap(lambda key: widening_map(key, 5, 7).source)(keys)
    # As many as there are runs of two on a ring of five.
    assert len({tuple(source) for source in sources.tolist()}) == 5


def test_identity_map():
    source, channels, _ = identity_map(4)
    assert source.tolist() == [0, 1, 2, 3] and channels == 4


@pytest.mark.parametrize("split", ["random", "equal"])
def test_shares_of_a_channels_copies_sum_to_one(split, seed):
    maps = {f"layer{i}": m for i, m in enumerate(all_maps(seed))}
    readers = {name: (m, 2 + i) for i, (name, m) in enumerate(maps.items())}
    shares = draw_shares(jax.random.key(seed), readers, split, jnp.float32)
    assert shares.keys() == readers.keys()
    for name, (channel_map, outputs) in readers.items():
        share, source = np.asarray(shares[name]), np.asarray(channel_map.source)
        assert share.shape == (len(source), outputs) and share.dtype == np.float32
        assert share.min() >= 0
        assert np.all(share[source == FRESH] == 0)
        for channel in range(channel_map.mother_channels):
            copies = share[source == channel]
            np.testing.assert_allclose(copies.sum(0), 1, atol=1e-6)
            if split == "equal":
                np.testing.assert_allclose(copies, 1 / len(copies), atol=1e-6)
            elif len(copies) > 1:  # unequal, and anew for each output
                assert np.all(np.ptp(copies, axis=0) > 0)
                assert np.all(np.ptp(copies, axis=1) > 0)


def test_random_shares_are_spread_evenly():
    """Of two copies each has a uniform share: mean 1/2, variance 1/12."""
    readers = {"layer": (ChannelMap(jnp.array([0, 0]), 1), 20_000)}
    shares = draw_shares(jax.random.key(0), readers, "random", jnp.float32)["layer"]
    assert np.mean(shares[0]) == pytest.approx(1 / 2, abs=0.02)
    assert np.var(shares[0]) == pytest.approx(1 / 12, abs=0.005)


def test_shares_differ_between_layers_and_keys():
    readers = {name: (ChannelMap(jnp.array([0, 0, 1]), 2), 4) for name in "ab"}
    one, other = (
        draw_shares(jax.random.key(i), readers, "random", jnp.float32) for i in (0, 1)
    )
    assert np.abs(one["a"] - one["b"])[:2].min() > 0
    assert np.abs(one["a"] - other["a"])[:2].min() > 0


def test_shares_stay_finite_where_a_draw_is_zero(monkeypatch):
    """A float32 draw is exactly 0 once in 2**23, and large members need as many."""
    monkeypatch.setattr(
        jax.random, "exponential", lambda key, shape, dtype: jnp.zeros(shape, dtype)
    )
    readers = {"layer": (ChannelMap(jnp.array([0, 1, 0]), 2), 3)}
    shares = draw_shares(jax.random.key(0), readers, "random", jnp.float32)["layer"]
    assert np.all(np.isfinite(shares))
    np.testing.assert_allclose(shares[0] + shares[2], 1)
    np.testing.assert_allclose(shares[1], 1)


def grow(kernel, incoming, outgoing, shares):
    kernel, shares = np.asarray(kernel), np.asarray(shares)
    shares = shares.reshape((1,) * (kernel.ndim - shares.ndim) + shares.shape)
    return np.asarray(grow_kernel(jnp.asarray(kernel), incoming, outgoing, shares))


@pytest.mark.parametrize("split", ["random", "equal"])
@pytest.mark.parametrize("taps", [(), (3, 3)], ids=str)
def test_grown_kernel_computes_the_mothers_outputs(x64, taps, split, seed):
    """Copied inputs, whatever the fresh ones are, give copied outputs."""
    rng = np.random.default_rng(seed)
    outgoing = widening_map(jax.random.key(seed), 4, 9)
    readers = {f"layer{i}": (m, 9) for i, m in enumerate(all_maps(seed))}
    shares = draw_shares(jax.random.key(seed), readers, split, jnp.float64)
    for name, (incoming, _) in readers.items():
        channels = incoming.mother_channels
        kernel = rng.normal(size=(*taps, channels, 4))
        grown = grow(kernel, incoming, outgoing, shares[name])
        source = np.asarray(incoming.source)
        assert grown.shape == (*taps, len(source), 9)

        inputs = rng.normal(size=(5, *taps, channels))
        copied = np.where(
            source == FRESH,
            rng.normal(size=(5, *taps, len(source))),
            inputs[..., source],
        )
        flat, flat_copied = inputs.reshape(5, -1), copied.reshape(5, -1)
        expected = (flat @ kernel.reshape(-1, 4))[:, np.asarray(outgoing.source)]
        found = flat_copied @ grown.reshape(-1, 9)
        np.testing.assert_allclose(found, expected, atol=1e-12)

        # The control: without shares, copies and fresh channels are heard in full.
        loud = flat_copied @ grow(kernel, incoming, outgoing, 1.0).reshape(-1, 9)
        widened = len(source) > channels
        assert (np.abs(loud - expected).max() > 1e-3) == widened


def test_pairs_by_hand():
    channel_map = paired_map(2, 7)
    assert channel_map.source.tolist() == [0, 1, *[FRESH] * 5]
    assert channel_map.sign.tolist() == [0, 0, 1, -1, 1, -1, 0]
    values = jnp.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert paired(values, channel_map).tolist() == [1, 2, 3, 3, 5, 5, 7]
    # Where one channel is left there is no pair.
    assert paired_map(2, 3).sign is None
    assert paired(values[:3], paired_map(2, 3)).tolist() == [1, 2, 3]


@pytest.mark.parametrize("turned", [False, True])
def test_pairs_beside_others(turned):
    maps = [paired_map(1, 4), identity_map(2)]
    both = concatenate(*maps[:: -1 if turned else 1])
    found = both.source.tolist(), both.sign.tolist()
    expected = [0, FRESH, FRESH, FRESH, 1, 2], [0, 1, -1, 0, 0, 0]
    if turned:
        expected = [0, 1, 2, FRESH, FRESH, FRESH], [0, 0, 0, 1, -1, 0]
    assert found == expected and both.mother_channels == 3
    # A reader of the first only hears fresh channels that are no pair, too.
    heard = restrict(both, 1)
    assert heard.source.tolist() == [0, *[FRESH] * 5]
    assert heard.sign.tolist() == expected[1] and heard.mother_channels == 1


def test_kernel_with_pairs_by_hand():
    """Rows are a channel, a pair and one left over; so are the columns."""
    channel_map = paired_map(1, 4)
    shares = jnp.array([[1.0], [0.0], [0.0], [0.0]]) * jnp.ones(4)[None]
    fresh = jnp.arange(1.0, 17).reshape(4, 4)
    grown = grow_kernel(jnp.array([[50.0]]), channel_map, channel_map, shares, fresh)
    assert grown.tolist() == [
        [50, 2, 2, 4],
        [5, 6, 6, 8],
        [-5, 10, 10, 12],
        [0, 14, 14, 16],
    ]


def test_grow_kernel_by_hand():
    incoming = ChannelMap(jnp.array([0, 1, 0]), 2)
    outgoing = ChannelMap(jnp.array([0, 0]), 1)
    shares = jnp.array([[0.25, 0.5], [1.0, 1.0], [0.75, 0.5]])
    grown = grow([[8.0], [3.0]], incoming, outgoing, shares)
    assert grown.tolist() == [[2.0, 4.0], [3.0, 3.0], [6.0, 4.0]]


def test_grow_vector_by_hand():
    grown = grow_vector(jnp.array([5.0, 7.0]), ChannelMap(jnp.array([0, 1, 1]), 2))
    assert grown.tolist() == [5.0, 7.0, 7.0]


def test_enlarge_filter_by_hand():
    kernel = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    enlarged = enlarge_filter(kernel[..., None, None], 5)[..., 0, 0]
    assert enlarged.tolist() == [
        [0, 0, 0, 0, 0],
        [0, 1, 2, 3, 0],
        [0, 4, 5, 6, 0],
        [0, 7, 8, 9, 0],
        [0, 0, 0, 0, 0],
    ]
