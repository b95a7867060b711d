"""Stages in waves against stages by their graph, simulated and in real seconds.

In waves all stages that are ready run side by side, and the next begin when the last of
them is done; by the graph each begins as soon as its own needs are met. Simulated in
training FLOPs of the slowest device, for two clusters of the paper's V5 on eight
devices; measured with stages that sleep for a time in proportion to those.

python -m benchmarks.scheduling --out=FILE.json
"""

import math
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from absl import app, flags

from benchmarks.turns import write_results
from configs import vgg_ensemble
from mothernets_jax.methods import METHODS, read_settings
from mothernets_jax.runs.load_task import load_task
from mothernets_jax.runs.schedule import (
    Job,
    by_priority,
    makespan,
    simulate,
    startable,
)
from mothernets_jax.runs.stage_jobs import stage_jobs
from mothernets_jax.stages.stage import planned_flops

_OUT = flags.DEFINE_string("out", None, "Where the figures are written, as JSON.")
DEVICES, REPEATS, SECONDS = 8, 5, 4.0  # SECONDS: of the waves, asleep


def make_jobs() -> list[Job]:
    """MotherNets of two clusters of V5, and their members, two of each."""
    config = vgg_ensemble.get_config("digits")
    config.num_clusters = 2
    settings = read_settings(config)
    task = load_task(settings)
    plan = METHODS["mothernets"](task, settings, settings.members)
    return stage_jobs(plan.stages, lambda stage: planned_flops(stage, task))


def waves(jobs: Sequence[Job], devices: int) -> list[list[tuple[Job, int]]]:
    """Jobs and their devices by wave, as they were run before there was a graph."""
    waiting, done, found = list(jobs), set(), []
    while waiting:
        ready = [job for job in waiting if done.issuperset(job.needs)]
        size = devices // min(len(ready), devices)
        found.append([(job, size) for job in sorted(ready, key=lambda j: -j.work)])
        done |= {job.name for job in ready}
        waiting = [job for job in waiting if job.name not in done]
    return found


def waves_makespan(jobs: Sequence[Job], devices: int) -> float:
    """When the last wave ends, in the unit of the jobs' work."""
    total = 0.0
    for wave in waves(jobs, devices):
        places = [0.0] * min(len(wave), devices)
        for job, size in wave:  # the longest first, each to the place that is free
            place = places.index(min(places))
            places[place] += job.work / size
        total += max(places)
    return total


def sleep_in_waves(jobs: Sequence[Job], devices: int, scale: float) -> float:
    """Seconds that it takes, asleep."""
    started = time.perf_counter()
    for wave in waves(jobs, devices):
        with ThreadPoolExecutor(min(len(wave), devices)) as pool:
            for job, size in wave:
                pool.submit(time.sleep, scale * job.work / size)
    return time.perf_counter() - started


def sleep_by_graph(jobs: Sequence[Job], devices: int, scale: float) -> float:
    """Seconds that it takes, asleep."""
    counts = {n: slot.devices for n, slot in simulate(jobs, devices).items()}
    by_name, started = {job.name: job for job in jobs}, time.perf_counter()
    waiting, running, done, free = by_priority(jobs), {}, set(), devices
    with ThreadPoolExecutor(devices) as pool:
        while waiting or running:
            ready = [job.name for job in waiting if done.issuperset(job.needs)]
            for name in startable(ready, counts, free):
                job = by_name[name]
                free -= counts[name]
                waiting.remove(job)
                seconds = scale * job.work / counts[name]
                running[pool.submit(time.sleep, seconds)] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                done.add(job.name)
                free += counts[job.name]
    return time.perf_counter() - started


def main(_argv: list[str]) -> None:
    jobs = make_jobs()
    in_waves, by_graph = (
        waves_makespan(jobs, DEVICES),
        makespan(simulate(jobs, DEVICES)),
    )
    scale = SECONDS / in_waves
    ratios = [
        sleep_by_graph(jobs, DEVICES, scale) / sleep_in_waves(jobs, DEVICES, scale)
        for _ in range(REPEATS)
    ]
    total = math.fsum(job.work for job in jobs)
    results = {
        "devices": DEVICES,
        "jobs": [job._asdict() for job in jobs],
        "simulated_flops": {"waves": in_waves, "graph": by_graph},
        "simulated_ratio": by_graph / in_waves,
        "lower_bound_ratio": total / DEVICES / in_waves,
        "measured_ratios": ratios,
        "measured_ratio": statistics.median(ratios),
    }
    print(
        f"graph / waves: simulated {results['simulated_ratio']:.3f}, "
        f"asleep {results['measured_ratio']:.3f} (median of {REPEATS})"
    )
    if _OUT.value:
        write_results(_OUT.value, results)


if __name__ == "__main__":
    app.run(main)
