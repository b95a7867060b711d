"""List scheduling: against hand-drawn schedules, its laws, and waves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothernets_jax.runs.schedule import (
    Job,
    by_priority,
    longest_paths,
    makespan,
    replay,
    simulate,
    startable,
)

# Two clusters: a MotherNet that takes 8 with members of 4 and 2, another of 2 with 6.
CLUSTERS = (
    Job("m1", 8.0),
    Job("a", 4.0, ("m1",)),
    Job("b", 2.0, ("m1",)),
    Job("m2", 2.0),
    Job("c", 6.0, ("m2",)),
)


def test_longest_paths_by_hand():
    paths = longest_paths(CLUSTERS)
    assert paths == {"m1": 12.0, "a": 4.0, "b": 2.0, "m2": 8.0, "c": 6.0}
    assert [job.name for job in by_priority(CLUSTERS)] == ["m1", "m2", "c", "a", "b"]


def test_members_do_not_wait_for_another_cluster_s_mothernet():
    slots = simulate(CLUSTERS, 2)
    assert slots["m1"][:2] == (0.0, 8.0) and slots["m2"][:2] == (0.0, 2.0)
    assert slots["c"][:2] == (2.0, 8.0)  # in waves it would begin at 8
    assert (slots["a"][:2], slots["b"][:2]) == ((8.0, 12.0), (8.0, 10.0))
    assert makespan(slots) == 12.0  # in waves: 8, then 6 beside 4 + 2


def test_free_devices_are_divided_among_few_jobs():
    slots = simulate(CLUSTERS, 8)
    assert (slots["m1"].devices, slots["m2"].devices) == (4, 4)
    assert slots["m2"].end == 0.5 and slots["c"] == (0.5, 2.0, 4)
    assert slots["a"].devices == slots["b"].devices == 4
    assert makespan(slots) == 2 + 1  # 8 / 4, and then 4 / 4
    assert makespan({}) == 0.0 and simulate((), 3) == {}


@st.composite
def graphs(draw):
    """Jobs of whole work, each of which needs some of those before it."""
    jobs = []
    for number in range(draw(st.integers(1, 9))):
        names = [job.name for job in jobs]
        needs = draw(st.sets(st.sampled_from(names), max_size=2)) if names else set()
        work = float(draw(st.integers(1, 8)))
        jobs.append(Job(f"job{number}", work, tuple(sorted(needs))))
    return tuple(jobs)


@given(graphs(), st.integers(1, 6))
def test_laws_of_a_schedule(jobs, devices):
    slots = simulate(jobs, devices)
    assert slots.keys() == {job.name for job in jobs}
    for job in jobs:
        slot = slots[job.name]
        assert slot.end == pytest.approx(slot.start + job.work / slot.devices)
        assert all(slots[need].end <= slot.start for need in job.needs)
    for moment in {slot.start for slot in slots.values()}:  # never more than there are
        at_once = [s for s in slots.values() if s.start <= moment < s.end]
        assert sum(slot.devices for slot in at_once) <= devices
    # Graham's bound holds for any list schedule on single devices; more devices for a
    # job leave none idle.
    total, longest = sum(job.work for job in jobs), max(longest_paths(jobs).values())
    assert makespan(slots) <= total / devices + longest + 1e-9
    if devices == 1:
        assert makespan(slots) == pytest.approx(total)


def test_a_job_for_which_too_few_devices_are_free_is_overtaken():
    counts = {"wide": 3, "a": 1, "b": 2}
    assert startable(["wide", "a", "b"], counts, 4) == ["wide", "a"]
    assert startable(["wide", "a", "b"], counts, 2) == ["a"]
    assert startable(["wide", "b", "a"], counts, 2) == ["b"]
    assert startable([], counts, 2) == startable(["wide"], counts, 0) == []


def test_a_replay_by_hand():
    """Two devices for m1, one of which waits for m2 to end; then a before b."""
    counts = {"m1": 2, "m2": 1, "a": 1, "b": 1, "c": 1}
    seconds = {"m1": 10.0, "m2": 3.0, "a": 1.0, "b": 6.0, "c": 2.0}
    slots = replay(CLUSTERS, 2, counts, seconds)
    assert slots["m1"] == (0.0, 10.0, 2) and slots["m2"] == (10.0, 13.0, 1)
    assert slots["a"] == (10.0, 11.0, 1)  # its path is longer, if it is itself shorter
    assert slots["b"] == (11.0, 17.0, 1) and slots["c"] == (13.0, 15.0, 1)
    assert makespan(slots) == 17.0


@given(graphs(), st.integers(1, 6))
def test_a_replay_of_a_simulation_is_the_simulation(jobs, devices):
    slots = simulate(jobs, devices)
    counts = {name: slot.devices for name, slot in slots.items()}
    seconds = {job.name: job.work / counts[job.name] for job in jobs}
    assert replay(jobs, devices, counts, seconds) == slots
