"""Schedule a graph of jobs on several devices by list scheduling.

A job may start as soon as the jobs that it needs are done and devices are free; of
several the one at the head of the longest path to the end comes first. The number of
devices of each job is fixed in advance, by simulating the schedule: results on other
numbers of devices agree to rounding only, so that it must not depend on a clock.

References: Graham, Bounds on multiprocessing timing anomalies. SIAM Journal on Applied
Mathematics, 1969 (list scheduling); Hu, Parallel sequencing and assembly line problems.
Operations Research, 1961 (the longest path first).
"""

import heapq
from collections.abc import Mapping, Sequence
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
    slots: dict[str, Slot] = {}
    waiting, running = by_priority(jobs), []
    now, free = 0.0, devices
    while waiting:
        done = {name for name, slot in slots.items() if slot.end <= now}
        ready = [job for job in waiting if done.issuperset(job.needs)]
        for place, job in enumerate(ready):
            if not free:
                break
            share = max(1, free // (len(ready) - place))
            slots[job.name] = Slot(now, now + job.work / share, share)
            heapq.heappush(running, (slots[job.name].end, job.name))
            free -= share
            waiting.remove(job)
        if waiting:
            assert running, "jobs wait for what none of them does"
            now = running[0][0]
            while running and running[0][0] <= now:
                free += slots[heapq.heappop(running)[1]].devices
    return slots


def makespan(slots: Mapping[str, Slot]) -> float:
    """Time at which the last job ends; 0 without jobs."""
    return max((slot.end for slot in slots.values()), default=0.0)
