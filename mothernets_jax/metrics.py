"""What predictions are worth. Axes: [examples] labels, [examples, classes] scores."""

import numpy as np


def error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of the examples whose highest score is not their label's.

    Args:
        scores: [examples, classes]; logits, probabilities or votes.
        labels: int [examples].
    """
    return float(np.mean(scores.argmax(axis=1) != labels))
