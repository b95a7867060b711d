"""Allot devices to jobs whose durations on more of them are known by measurement.

Of three kinds of allotment the one that ends earliest is taken, each played to its end:
one device for each job; the even division among the jobs that are ready, which trusts
that two devices are twice as fast; and those on the way of the longest chain, whose
jobs are given more devices, one job at a time, where this saves most.

References: Radulescu and van Gemund, A low-cost approach towards mixed task and data
parallel scheduling, ICPP 2001 (the longest chain, CPA).
"""

from collections.abc import Callable, Mapping, Sequence

from mothernets_jax.runs.schedule import (
    Job,
    longest_paths,
    makespan,
    replay,
    simulate,
)

# An allotment that ends earlier by less than this share is not worth its exchange.
_WORTH = 0.01


def allot(
    jobs: Sequence[Job], devices: int, seconds: Callable[[str, int], float]
) -> dict[str, int]:
    """Chooses numbers of devices, the last job's end being the earliest that was found.

    It is never later than on one device each, nor, by more than a hundredth, than with
    devices divided evenly.

    Args:
        jobs: all jobs, in an order in which each follows those that it needs; their
            work decides, as in the run, which of those that are ready comes first.
        devices: number of devices, at least 1.
        seconds: a function from a job's name and a number of devices to its duration;
            called for 1, and for more where these may be given to the job.

    Returns:
        Number of devices of each job, by name.
    """

    def end(counts: Mapping[str, int], lengths: Mapping[str, float]) -> float:
        return makespan(replay(jobs, devices, counts, lengths))

    counts = {job.name: 1 for job in jobs}
    lengths = {job.name: seconds(job.name, 1) for job in jobs}
    best, earliest = dict(counts), end(counts, lengths)
    even = {name: slot.devices for name, slot in simulate(jobs, devices).items()}
    if even != counts:
        on_even = {name: seconds(name, count) for name, count in even.items()}
        if end(even, on_even) < (1 - _WORTH) * earliest:
            best, earliest = even, end(even, on_even)
    while step := _next_step(jobs, devices, counts, lengths, seconds):
        name, counts[name], lengths[name] = step
        if end(counts, lengths) < (1 - _WORTH) * earliest:
            best, earliest = dict(counts), end(counts, lengths)
    return best


def _next_step(
    jobs: Sequence[Job],
    devices: int,
    counts: Mapping[str, int],
    lengths: Mapping[str, float],
    seconds: Callable[[str, int], float],
) -> tuple[str, int, float] | None:
    """The job of the longest chain that gains most from more devices.

    Returns:
        Its name, twice its devices or all, and its duration on these; None where no job
        of the chain is any faster.
    """
    best, most = None, 0.0
    for name in longest_chain(jobs, lengths):
        size = min(2 * counts[name], devices)
        if size == counts[name]:
            continue
        length = seconds(name, size)
        gain = lengths[name] / counts[name] - length / size  # as CPA measures it
        if length < lengths[name] and gain > most:
            best, most = (name, size, length), gain
    return best


def longest_chain(jobs: Sequence[Job], seconds: Mapping[str, float]) -> list[str]:
    """Names of the jobs of the longest chain, each of which needs the one before.

    Args:
        jobs: all jobs, in an order in which each follows those that it needs.
        seconds: duration of each job, by name.
    """
    paths = longest_paths([job._replace(work=seconds[job.name]) for job in jobs])
    followers: dict[str, list[str]] = {job.name: [] for job in jobs}
    for job in jobs:
        for need in job.needs:
            followers[need].append(job.name)
    chain, following = [], list(followers)
    while following:
        chain.append(max(following, key=paths.__getitem__))
        following = followers[chain[-1]]
    return chain
