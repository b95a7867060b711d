"""The NLL at a temperature that is fitted on other examples."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from mothernets_jax.metrics.calibration import NUM_HALVINGS, calibrated_nll


def drawn(examples, seed, sureness=3.0):
    """Overconfident logits and labels."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(examples, 4))
    labels = np.array([generator.choice(4, p=softmax(row)) for row in logits])
    return sureness * logits, labels


def loss(logits, labels, temperature):
    return -log_softmax(logits / temperature, axis=1)[range(len(labels)), labels].mean()


def best(logits, labels):
    """The temperature by a search that knows nothing of slopes."""
    found = minimize_scalar(
        lambda log: loss(logits, labels, np.exp(log)),
        bounds=(-2.3, 2.3),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return np.exp(found.x)


def test_the_temperature_is_that_of_the_other_examples():
    (logits, labels), (others, their_labels) = drawn(60, 0), drawn(80, 1)
    found = calibrated_nll(
        softmax(logits, axis=1), labels, (softmax(others, axis=1), their_labels)
    )
    temperature = best(others, their_labels)
    assert 2 < temperature < 4  # three times too sure
    assert found == pytest.approx(loss(logits, labels, temperature), abs=1e-8)
    assert found < loss(logits, labels, 1.0)


@pytest.mark.parametrize("examples", [40, 41])
def test_halves_judge_each_other(examples):
    logits, labels = drawn(examples, 2)
    generator, losses = np.random.default_rng(0), []
    for _ in range(NUM_HALVINGS):
        order = generator.permutation(examples)
        halves = order[: -(-examples // 2)], order[-(-examples // 2) :]
        total = 0.0
        for half, other in (halves, halves[::-1]):
            temperature = best(logits[other], labels[other])
            total += len(half) * loss(logits[half], labels[half], temperature)
        losses.append(total / examples)
    found = calibrated_nll(softmax(logits, axis=1), labels)
    assert found == pytest.approx(np.mean(losses), abs=1e-7)
    assert found == calibrated_nll(softmax(logits, axis=1), labels)


def test_one_example_has_no_halves():
    assert calibrated_nll(np.array([[0.25, 0.75]]), np.array([0])) == np.log(4)
