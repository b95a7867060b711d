"""Schedule a graph of jobs on several devices by list scheduling.

A job may start as soon as the jobs that it needs are done and devices are free; of
several the one at the head of the longest path to the end comes first. The number of
devices of each job is fixed in advance, by simulating the schedule: results on other
numbers of devices agree to rounding only, so that it must not depend on a clock.

References: Graham, Bounds on multiprocessing timing anomalies. SIAM Journal on Applied
Mathematics, 1969 (list scheduling); Hu, Parallel sequencing and assembly line problems.
Operations Research, 1961 (the longest path first).
"""

import bisect
import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple


class Job(NamedTuple):
    """A piece of work that other pieces may need.

    Attributes:
        name: a name that no other job has.
        work: the job's duration on one device, in any unit, such as training FLOPs.
        needs: names of the jobs that must be done before it begins.
    """

    name: str
    work: float
    needs: tuple[str, ...] = ()


class Slot(NamedTuple):
    """Time and number of devices that a simulation gives a job.

    Attributes:
        start, end: times of start and end, in the unit of the jobs' work.
        devices: number of devices that the job runs on.
    """

    start: float
    end: float
    devices: int


def longest_paths(jobs: Sequence[Job]) -> dict[str, float]:
    """Work from each job's start to the end of the longest chain that it begins.

    Args:
        jobs: all jobs, in an order in which each follows those that it needs.
    """
    paths = {job.name: job.work for job in jobs}
    work = dict(paths)
    for job in reversed(jobs):
        for need in job.needs:
            paths[need] = max(paths[need], work[need] + paths[job.name])
    return paths


def by_priority(jobs: Sequence[Job]) -> list[Job]:
    """Jobs sorted by longest path, the longest first; ties keep their order."""
    paths = longest_paths(jobs)
    return sorted(jobs, key=lambda job: -paths[job.name])


def startable(ready: Iterable[str], counts: Mapping[str, int], free: int) -> list[str]:
    """Names of the jobs that begin now, each on as many devices as it is to have.

    A job that needs more devices than are free waits, and others may overtake it.

    Args:
        ready: names of the jobs that wait for devices alone, the first to begin first.
        counts: number of devices of each job, by name.
        free: number of devices on which nothing runs.
    """
    begun = []
    for name in ready:
        if counts[name] <= free:
            begun.append(name)
            free -= counts[name]
    return begun


def simulate(jobs: Sequence[Job], devices: int) -> dict[str, Slot]:
    """Schedules the jobs as if every device worked at the same, known speed.

    Whenever devices are free, they are divided evenly among the jobs that are ready: at
    least one each, and of more jobs than devices those with the longest paths begin.

    Args:
        jobs: all jobs, in an order in which each follows those that it needs.
        devices: number of devices, at least 1.

    Returns:
        A slot for each job, by name.
    """

    def divide(ready: Sequence[str], free: int) -> dict[str, int]:
        begun: dict[str, int] = {}
        for place, name in enumerate(ready):
            if not free:
                break
            begun[name] = max(1, free // (len(ready) - place))
            free -= begun[name]
        return begun

    work = {job.name: job.work for job in jobs}
    return _play(jobs, devices, divide, lambda name, count: work[name] / count)


def replay(
    jobs: Sequence[Job],
    devices: int,
    counts: Mapping[str, int],
    seconds: Mapping[str, float],
) -> dict[str, Slot]:
    """Foretells a run of jobs that have their numbers of devices already.

    The jobs begin in the order in which `startable` would begin them in the run.

    Args:
        jobs: all jobs, in an order in which each follows those that it needs; their
            work decides which of those that are ready comes first.
        devices: number of devices, no fewer than any job has.
        counts: number of devices of each job, by name.
        seconds: duration of each job on so many devices, by name.

    Returns:
        A slot in seconds for each job, by name.
    """

    def begin(ready: Sequence[str], free: int) -> dict[str, int]:
        return {name: counts[name] for name in startable(ready, counts, free)}

    return _play(jobs, devices, begin, lambda name, count: seconds[name])


def _play(
    jobs: Sequence[Job],
    devices: int,
    begin: Callable[[Sequence[str], int], Mapping[str, int]],
    duration: Callable[[str, int], float],
) -> dict[str, Slot]:
    """Plays a schedule from one end of a job to the next.

    Args:
        jobs: all jobs, in an order in which each follows those that it needs.
        devices: number of devices.
        begin: a function from the jobs that are ready, the first to begin first, and
            the number of free devices to the devices of the jobs that begin.
        duration: a function from a job and its number of devices to how long it takes.
    """
    rank = {job.name: place for place, job in enumerate(by_priority(jobs))}
    missing = {job.name: set(job.needs) for job in jobs}
    followers: dict[str, list[str]] = {job.name: [] for job in jobs}
    for job in jobs:
        for need in missing[job.name]:
            followers[need].append(job.name)
    ready = [name for name in rank if not missing[name]]  # the first to begin first
    slots: dict[str, Slot] = {}
    running: list[tuple[float, str]] = []
    now, free = 0.0, devices
    while ready or running:
        for name, count in begin(ready, free).items():
            slots[name] = Slot(now, now + duration(name, count), count)
            heapq.heappush(running, (slots[name].end, name))
            ready.remove(name)
            free -= count
        assert running, "a job needs more devices than there are"
        now = running[0][0]
        while running and running[0][0] <= now:
            ended = heapq.heappop(running)[1]
            free += slots[ended].devices
            for name in followers[ended]:
                missing[name].remove(ended)
                if not missing[name]:
                    bisect.insort(ready, name, key=rank.__getitem__)
    return slots


def makespan(slots: Mapping[str, Slot]) -> float:
    """Time at which the last job ends; 0 without jobs."""
    return max((slot.end for slot in slots.values()), default=0.0)
