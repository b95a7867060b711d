"""One member's step by hand, the order of an epoch, and the rule that stops early."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax, softmax
from step_specs import OPTIMIZER, plain_spec

from mothernets_jax.architectures import mlp, vgg
from mothernets_jax.data.dataset import Dataset
from mothernets_jax.models.variables import init
from mothernets_jax.stages.state import plateaued
from mothernets_jax.stages.task import make_task
from mothernets_jax.training.augment import FlipState
from mothernets_jax.training.epoch_inputs import epoch_order
from mothernets_jax.training.losses import smoothed_cross_entropy
from mothernets_jax.training.member_step import (
    StepInputs,
    TrainingData,
    make_member_step,
    new_state,
)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_step_is_the_one_computed_by_hand(smoothing):
    """One hidden layer, in NumPy: forward, backward, weight decay, Nesterov."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 2, 2, 1), np.uint8)
    labels = np.array([0, 1, 2, 0, 1, 2], np.int32)
    w1, b1 = rng.normal(size=(4, 5)), rng.normal(size=5)
    w2, b2 = rng.normal(size=(5, 3)), rng.normal(size=3)
    params = {
        "dense1": {"kernel": w1, "bias": b1},
        "head": {"kernel": w2, "bias": b2},
    }
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    data = TrainingData(
        jnp.asarray(images),
        jnp.asarray(labels),
        jnp.array([128.0]),
        jnp.array([64.0]),
    )
    step = jax.jit(make_member_step(plain_spec(mlp((5,)))))
    key = jax.random.key(0)
    state, metrics = step(
        new_state({"params": params, "batch_stats": {}}, OPTIMIZER),
        data,
        StepInputs(jnp.arange(6), key, 0.1, 0.01, smoothing, FlipState(key, 0), True),
    )

    x = (images.reshape(6, 4) - 128.0) / 64.0
    before = x @ w1 + b1
    hidden = np.maximum(before, 0)
    logits = hidden @ w2 + b2
    targets = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
    d_logits = (softmax(logits, axis=1) - targets) / 6
    d_hidden = (d_logits @ w2.T) * (before > 0)
    # The first Nesterov step moves by (1 + 0.9) times the gradient.
    expected = {
        ("dense1", "kernel"): w1 - 0.19 * (x.T @ d_hidden + 0.01 * w1),
        ("dense1", "bias"): b1 - 0.19 * d_hidden.sum(0),
        ("head", "kernel"): w2 - 0.19 * (hidden.T @ d_logits + 0.01 * w2),
        ("head", "bias"): b2 - 0.19 * d_logits.sum(0),
    }
    for path, value in expected.items():
        found = state.params
        for name in path:
            found = found[name]
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-5)
    loss = -(log_softmax(logits, axis=1) * targets).sum(1).mean()
    np.testing.assert_allclose(metrics.loss, loss, rtol=1e-5)
    np.testing.assert_allclose(metrics.accuracy, (logits.argmax(1) == labels).mean())


def test_a_step_in_bfloat16_keeps_its_state_in_float32():
    network, key = vgg("(3:8) | (3:8)", dense=(8,)), jax.random.key(0)
    rng = np.random.default_rng(0)
    data = TrainingData(
        jnp.asarray(rng.integers(0, 256, (32, 8, 8, 3), np.uint8)),
        jnp.asarray(rng.integers(0, 3, 32).astype(np.int32)),
        jnp.full(3, 128.0),
        jnp.full(3, 74.0),
    )
    inputs = StepInputs(jnp.arange(32), key, 0.1, 1e-3, 0.0, FlipState(key, 0), True)
    start = init(network, key, (8, 8, 3), 3)
    found = {}
    for dtype in (None, jnp.bfloat16):
        step = make_member_step(plain_spec(network, dtype=dtype))
        state, metrics = jax.jit(step)(new_state(start, OPTIMIZER), data, inputs)
        assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype("float32")}
        found[dtype] = jax.device_get((state.params, metrics.loss))
    (exact, loss), (rounded, rounded_loss) = found.values()
    assert rounded_loss == pytest.approx(loss, rel=0.02)
    moves = [
        jax.tree.map(lambda new, old: np.asarray(new - old), params, start["params"])
        for params in (exact, rounded)
    ]
    for one, other in zip(*map(jax.tree.leaves, moves), strict=True):
        cosine = (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())
        assert cosine > 0.95
    # The control: it did compute in another precision.
    assert rounded_loss != loss


def test_smoothed_cross_entropy(seed):
    """Against NumPy, and without smoothing the plain loss to the bit."""
    rng = np.random.default_rng(seed)
    logits, labels = 3 * rng.normal(size=(7, 5)), rng.integers(0, 5, 7)
    arrays = jnp.asarray(logits, jnp.float32), jnp.asarray(labels)
    for smoothing in (0.0, 0.2, 0.9):
        targets = np.full((7, 5), smoothing / 5)
        targets[np.arange(7), labels] += 1 - smoothing
        expected = -(log_softmax(logits, axis=1) * targets).sum(1)
        found = jax.jit(smoothed_cross_entropy)(*arrays, smoothing)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)

    def mean_of(loss):
        return jax.jit(jax.value_and_grad(lambda *args: loss(*args).mean()))

    plain = mean_of(optax.softmax_cross_entropy_with_integer_labels)(*arrays)
    unsmoothed = mean_of(smoothed_cross_entropy)(*arrays, 0.0)
    jax.tree.map(np.testing.assert_array_equal, unsmoothed, plain)


def test_an_epoch_sees_no_image_twice():
    order, keys = epoch_order(jax.random.key(0), 23, 5)
    assert order.shape == (4, 5)
    assert keys.shape == (4,)
    seen = np.asarray(order).ravel()
    assert len(set(seen)) == 20
    assert set(seen) <= set(range(23))
    other, _ = epoch_order(jax.random.key(1), 23, 5)
    assert (np.asarray(other) != np.asarray(order)).any()


@pytest.mark.parametrize(
    ("accuracies", "patience_epochs", "stops"),
    [
        ([], 1, False),
        ([0.5], 1, False),
        ([0.5, 0.5], 1, True),
        ([0.5, 0.4, 0.4], 3, False),
        ([0.5, 0.4, 0.4, 0.5], 3, True),
        ([0.5, 0.4, 0.6, 0.5], 3, False),
    ],
)
def test_plateaued(accuracies, patience_epochs, stops):
    assert plateaued(accuracies, patience_epochs) == stops


def test_fewer_images_than_a_batch():
    empty = np.zeros((0, 2, 2, 1), np.uint8)
    labels = np.zeros(0, np.int32)
    dataset = Dataset(
        np.zeros((7, 2, 2, 1), np.uint8),
        np.zeros(7, np.int32),
        empty,
        labels,
        empty,
        labels,
        empty,
        labels,
        ("a", "b"),
        np.zeros(1, np.float32),
        np.ones(1, np.float32),
    )
    with pytest.raises(ValueError, match="batch_size is 8, but only 7 images train"):
        make_task(
            dataset,
            crop_padding=0,
            crop_border="black",
            flip="none",
            seed=0,
            batch_size=8,
        )
