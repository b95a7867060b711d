"""Learning-rate schedules by name, without JAX so that settings can import them."""

from collections.abc import Callable

import numpy as np

from mothernets_jax.utils.messages import short_repr


def _cosine(progress: np.ndarray) -> np.ndarray:
    return (1 + np.cos(np.pi * progress)) / 2


def _step(progress: np.ndarray) -> np.ndarray:
    return np.where(progress < 0.5, 1.0, np.where(progress < 0.75, 0.1, 0.01))


def _linear(progress: np.ndarray) -> np.ndarray:
    return 1 - progress


def _one_cycle(progress: np.ndarray) -> np.ndarray:
    step, total = np.arange(len(progress)), len(progress)
    top = max(0.0, 0.1 * total - 1)  # the step of the peak
    rise = _cosine(1 - np.minimum(step / (top or 1.0), 1))
    fall = _cosine(np.maximum(step - top, 0) / max(1.0, total - 1 - top))
    return np.where(step < top, 0.01 + 0.99 * rise, 1e-6 + (1 - 1e-6) * fall)


def _hold_linear(progress: np.ndarray) -> np.ndarray:
    return np.interp(progress, [0.5, 0.9], [1.0, 0.01])


# Shares of the peak, given how much of what follows the warm-up is done, 0 to below 1,
# in every step.
SCHEDULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cosine": _cosine,
    "linear": _linear,
    "hold_linear": _hold_linear,
    "one_cycle": _one_cycle,
    "step": _step,
    "constant": np.ones_like,
}


def learning_rates(
    schedule: str,
    peak: float,
    *,
    total_steps: int,
    warmup_steps: int = 0,
) -> np.ndarray:
    """The learning rate of every step.

    A linear warm-up to the peak, then: `cosine` to 0 (`peak / 2 (1 + cos(pi t))` with t
    from 0 to 1 over the steps that remain), `linear` to 0 (`peak (1 - t)`; a triangle,
    with the warm-up), `hold_linear` the peak for a half, then linear to a hundredth of
    it at nine tenths (Garipov et al. 2018), `one_cycle` from a hundredth of the peak up
    to it in a tenth of the steps and down to a millionth, both along cosines, with no
    warm-up besides (Smith and Topin 2018, "Super-Convergence"; PyTorch's `OneCycleLR`
    with `pct_start=0.1, div_factor=100`), `step` a tenth after a half of the steps
    that remain and another tenth after three quarters, `constant` the peak.

    Args:
        schedule: name of the schedule, a key of `SCHEDULES`.
        peak: the largest learning rate.
        total_steps: steps in all, warm-up included.
        warmup_steps: steps of the warm-up, at most `total_steps`; `one_cycle` has its
            own and none of these.

    Returns:
        Learning rates, float32 [total_steps].

    Raises:
        ValueError: an unknown schedule, or a warm-up longer than the whole.

    >>> learning_rates("step", 1.0, total_steps=6, warmup_steps=2).tolist()
    [0.5, 1.0, 1.0, 1.0, 0.1, 0.01]
    """
    if schedule not in SCHEDULES:
        raise ValueError(
            f"schedule is {short_repr(schedule)}: expected one of "
            f"{', '.join(SCHEDULES)}"
        )
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(
            f"warmup_steps is {warmup_steps}: expected 0 to {total_steps}, the steps "
            "in all"
        )
    if schedule == "one_cycle":
        warmup_steps = 0
    # Step 0 already moves: the ramp takes its values after each of its steps.
    warmup = np.arange(1, warmup_steps + 1) / max(1, warmup_steps)
    decay_steps = total_steps - warmup_steps
    decay = SCHEDULES[schedule](np.arange(decay_steps) / max(1, decay_steps))
    return (peak * np.concatenate([warmup, decay])).astype(np.float32)


def cosine_cycles(peak: float, *, cycles: int, total_steps: int) -> np.ndarray:
    """Cosine annealing that begins anew several times.

    The rate of iteration t, from 1 on, is peak / 2 (cos(pi mod(t - 1, n) / n) + 1) in
    cycles of n = total steps / cycles steps. Where n is not a whole number, some cycles
    have a step more, so that the last one, too, is annealed to its end.

    Args:
        peak: the rate at the beginning of each cycle.
        cycles: number of cycles.
        total_steps: steps in all.

    Returns:
        Learning rates, float32 [total_steps].

    Raises:
        ValueError: more cycles than steps.

    References: Huang et al. 2017, "Snapshot Ensembles: Train 1, get M for free",
    equation 2.
    """
    if cycles > total_steps:
        raise ValueError(
            f"cycles is {cycles}: expected at most {total_steps}, the steps in all"
        )
    edges = np.arange(cycles + 1) * total_steps // cycles
    progress = [np.arange(n) / n for n in np.diff(edges)]
    return (peak * _cosine(np.concatenate(progress))).astype(np.float32)


def triangular_cycles(
    largest: float, smallest: float, *, cycle_steps: int, total_steps: int
) -> np.ndarray:
    """Learning rates that fall linearly and rise again, in cycles.

    With t = (mod(i - 1, c) + 1) / c of iteration i, from 1 on, in cycles of c steps:
    (1 - 2 t) largest + 2 t smallest up to the middle of the cycle, then
    (2 - 2 t) smallest + (2 t - 1) largest.

    Args:
        largest: the rate at the ends of each cycle.
        smallest: the rate in the middle of each cycle.
        cycle_steps: steps of one cycle, an even number.
        total_steps: steps in all.

    Returns:
        Learning rates, float32 [total_steps].

    References: Garipov et al. 2018, "Loss Surfaces, Mode Connectivity, and Fast
    Ensembling of DNNs", section 4.
    """
    progress = (np.arange(total_steps) % cycle_steps + 1) / cycle_steps
    share = np.abs(2 * progress - 1)  # of the largest rate
    return (share * largest + (1 - share) * smallest).astype(np.float32)
