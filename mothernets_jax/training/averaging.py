"""Averages of the weights along a training, without JAX so that settings import them.

An average keeps to a = (1 - w) a + w p after every step, p the parameters after it and
w the step's weight. Which average it is lies in the weights alone, so that all of them
share one compiled step.
"""

import numpy as np

from mothernets_jax.utils.messages import short_repr

AVERAGES = ("none", "ema", "tail")
# The batches on which the statistics of averaged weights are estimated again.
STATISTICS_STEPS = 20


def average_weights(
    average: str, *, horizon_steps: int, total_steps: int
) -> np.ndarray:
    """The weight of every step's parameters in a running average.

    `ema`: 1 / t in step t, from 1 on, up to the horizon, then 1 / horizon: the mean of
    all steps so far, then an exponential average, without a bias towards the start.
    `tail`: the mean of the last steps, as many as the horizon has; 0 before them.

    Args:
        average: `ema` or `tail`.
        horizon_steps: length of the average in steps; more than all steps mean all.
        total_steps: number of steps of the training.

    Returns:
        The weights, float32 [total_steps], the first above 0 being 1.

    Raises:
        ValueError: another average, or a horizon below one step.

    References: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and
    Better Generalization" (the mean of a tail).

    >>> average_weights("tail", horizon_steps=2, total_steps=4).tolist()
    [0.0, 0.0, 1.0, 0.5]
    >>> average_weights("ema", horizon_steps=2, total_steps=4).tolist()
    [1.0, 0.5, 0.5, 0.5]
    """
    if average not in AVERAGES[1:]:
        raise ValueError(
            f"average is {short_repr(average)}: expected one of "
            f"{', '.join(AVERAGES[1:])}"
        )
    if horizon_steps < 1:
        raise ValueError(f"horizon_steps is {horizon_steps}: expected 1 or more")
    steps = np.arange(1, total_steps + 1)
    if average == "ema":
        weights = 1 / np.minimum(steps, horizon_steps)
    else:
        in_tail = steps - max(0, total_steps - horizon_steps)
        weights = np.where(in_tail > 0, 1 / np.maximum(in_tail, 1), 0.0)
    return weights.astype(np.float32)
