"""Maximum-likelihood weights of a mixture: a convex problem, with a certificate.

With likelihoods p[j, i] of member j for example i, the weights w maximise

    f(w) = mean_i log(sum_j w[j] p[j, i]),    w >= 0, sum w = 1.

Axes: [members, examples].
"""

import warnings

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import nnls

# By convexity f(v) <= f(w) + gap(w) for any other weights v, in nats, where gap(w) is
# the largest slope of f along a member, less 1. It is what is looked at, not the status
# of a solver; a gap of TOLERANCE is sought, and one above WARNING_GAP is warned of.
TOLERANCE = 1e-10
WARNING_GAP = 1e-6
MAX_STEPS = 200
# Halvings of a step, and the part of the expected gain that it must bring.
_MAX_HALVINGS = 40
_SUFFICIENT = 1e-4
# Of any example's likelihood in one step: members far apart would overflow the next.
_LEAST_KEPT = 0.1
# Relative to the mean curvature; for members that are alike or nearly so.
_RIDGE = 1e-11


def fit_mixture(log_likelihoods: np.ndarray) -> np.ndarray:
    """Fits the weights under which a mixture's mean log-likelihood is the greatest.

    This is Newton's method for that mean, f, with the weights' signs as its only
    constraint: every step solves a problem of nonnegative least squares, and is
    shortened until f gains. Where that fails, a step of the EM algorithm gains for
    certain.

    Args:
        log_likelihoods: finite floats [members, examples], in nats, however far apart.

    Returns:
        float64 [members], none negative, summing to 1. Their mean log-likelihood is
        within `TOLERANCE` nats of the greatest, or as near as `MAX_STEPS` steps bring
        it; a RuntimeWarning tells of a gap that may exceed `WARNING_GAP` nats.

    References: Kim, Carbonetto, Stephens, Anitescu, A fast algorithm for maximum
    likelihood estimation of mixture proportions. JCGS 2020: the method; proposition
    3.2: why the sum needs no constraint. Lindsay, The geometry of mixture likelihoods.
    Annals of Statistics 1983: the gap.
    """
    log_likelihoods = np.asarray(log_likelihoods, np.float64)
    # An example's common factor changes no weight: its best member's becomes 1.
    likelihoods = np.exp(log_likelihoods - log_likelihoods.max(axis=0))
    members = len(likelihoods)
    weights = np.full(members, 1 / members)
    best, least_gap = weights, np.inf
    for _ in range(MAX_STEPS):
        relative = likelihoods / (weights @ likelihoods)
        slopes = relative.mean(axis=1)
        gap = slopes.max() - 1
        if gap < least_gap:
            best, least_gap = weights, gap
        if gap <= TOLERANCE:
            return best
        weights = _next(weights, relative, slopes)
    if least_gap > WARNING_GAP:
        warnings.warn(
            f"the weights of {members} members were not found in {MAX_STEPS} steps: "
            f"their NLL may be up to {least_gap:.1e} nats above the least",
            RuntimeWarning,
            stacklevel=2,
        )
    return best


def _next(weights: np.ndarray, relative: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Weights with a greater likelihood, from one step of Newton's method or of EM.

    Args:
        weights: [members], summing to 1.
        relative: likelihoods over those of the mixture, [members, examples].
        slopes: their means over examples, [members].
    """
    # Adding the sum of the weights to -f makes the least point sum to 1: along w the
    # derivative of -f is -1, and that of the sum is sum w.
    try:
        step = _newton_target(weights, relative, slopes) - weights
    except (LinAlgError, RuntimeError):  # neither of them has changed the weights
        return _normalised(weights * slopes)
    change = step @ relative  # of the mixture's likelihoods, relative to what they are
    expected = (1 - slopes) @ step
    length = 1.0
    for _ in range(_MAX_HALVINGS):
        moved = 1 + length * change
        if moved.min() >= _LEAST_KEPT:
            gained = np.mean(np.log(moved)) - length * step.sum()
            # Rounding hides gains below 1e-15, where the step is as good as found.
            if gained >= -_SUFFICIENT * length * expected - 1e-15:
                return _normalised(np.maximum(weights + length * step, 0))
        length /= 2
    return _normalised(weights * slopes)


def _newton_target(
    weights: np.ndarray, relative: np.ndarray, slopes: np.ndarray
) -> np.ndarray:
    """The least point of sum w - f(w)'s second-order model over w >= 0, [members].

    With t = v @ relative, which is 1 at v = w, the model of -log t is (t - 2)^2 / 2, up
    to a constant. So it is v H v / 2 - v (2 slopes - 1), with H = relative relative^T /
    examples; by the Cholesky factor H = L L^T, |L^T v - L^-1 (2 slopes - 1)|^2 / 2.
    """
    members, examples = relative.shape
    curvature = relative @ relative.T / examples
    # So little keeps to the present weights that steps are Newton's, and members that
    # are alike have a unique answer. The point where steps end is not moved by it.
    ridge = _RIDGE * np.trace(curvature) / members
    curvature[np.diag_indices(members)] += ridge
    factor = cholesky(curvature, lower=True)
    aim = solve_triangular(factor, 2 * slopes - 1 + ridge * weights, lower=True)
    target, _ = nnls(factor.T, aim, maxiter=30 * members)
    return target


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()
