"""The cross-entropy of logits, against scikit-learn."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from mothernets_jax.metrics import classification


@pytest.mark.parametrize("examples", [1, 256, 700])
def test_it_is_the_log_loss_of_scikit_learn(examples):
    draw = np.random.default_rng(examples)
    logits = draw.normal(scale=5, size=(examples, 7)).astype(np.float32)
    labels = draw.integers(0, 7, examples)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    expected = log_loss(labels, probabilities, labels=range(7))
    assert classification.cross_entropy(logits, labels) == pytest.approx(expected)
