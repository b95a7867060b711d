"""Deep-ensemble equivalents: how many independent networks an ensemble is worth.

A deep ensemble is one of networks trained independently, each from scratch on all data.
The equivalent of another ensemble is the least number of members with which a deep
ensemble predicts as well, by negative log-likelihood at the best temperature, the
calibrated NLL.

Axes: [sizes], for deep ensembles of 1, 2, ... members.

References: Ashukha, Lyzhov, Molchanov, Vetrov, Pitfalls of In-Domain Uncertainty
Estimation and Ensembling in Deep Learning. ICLR 2020.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Equivalent(NamedTuple):
    """How many independently trained networks an ensemble is worth.

    Each is a number from 1 to that of the networks that there are, or in words that it
    is `below 1`, or `more than 5`, say: nothing is extrapolated.

    Attributes:
        value: by the mean NLL of deep ensembles of each size.
        low: by a NLL that is better than that by one standard deviation.
        high: by a NLL that is worse than that by one standard deviation.
    """

    value: float | str
    low: float | str
    high: float | str


def equivalent(
    nll: float, means: Sequence[float], deviations: Sequence[float]
) -> Equivalent:
    """The deep-ensemble equivalent of an ensemble.

    Args:
        nll: the ensemble's calibrated NLL.
        means: [sizes], mean calibrated NLL of deep ensembles of each size.
        deviations: [sizes], its standard deviations over ensembles of that size.

    Raises:
        ValueError: there is no deep ensemble.
    """
    pairs = [*zip(means, deviations, strict=True)]
    return Equivalent(
        least_size(nll, means),
        least_size(nll, [mean - deviation for mean, deviation in pairs]),
        least_size(nll, [mean + deviation for mean, deviation in pairs]),
    )


def least_size(nll: float, curve: Sequence[float]) -> float | str:
    """The least size at which a curve is as low as a NLL, linear between sizes.

    Args:
        nll: the NLL to reach.
        curve: [sizes], the NLL of each size.

    Returns:
        The size, or `below 1` or `more than` the largest one.

    Raises:
        ValueError: the curve is empty.

    >>> least_size(0.5, [0.8, 0.6, 0.4])
    2.5
    """
    if not curve:
        raise ValueError("curve is empty: expected the NLL of 1 network or more")
    if nll > curve[0]:
        return "below 1"
    if nll == curve[0]:
        return 1.0
    for size in range(1, len(curve)):
        before, here = curve[size - 1], curve[size]
        if here <= nll:
            return size + (before - nll) / (before - here)
    return f"more than {len(curve)}"
