"""Devices by measured durations: by hand, against every other allotment, and laws."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothernets_jax.runs.allotment import allot, longest_chain
from mothernets_jax.runs.schedule import Job, makespan, replay, simulate

MOTHER = (Job("m", 8.0), Job("a", 4.0, ("m",)), Job("b", 2.0, ("m",)))


def amdahl(jobs, serial):
    """Durations of which a share stays on one device, however many there are."""
    work = {job.name: job.work for job in jobs}
    return lambda name, devices: work[name] * (serial + (1 - serial) / devices)


def end(jobs, devices, counts, seconds):
    lengths = {name: seconds(name, count) for name, count in counts.items()}
    return makespan(replay(jobs, devices, counts, lengths))


def test_the_longest_chain_by_hand():
    seconds = {"m": 8.0, "a": 4.0, "b": 2.0}
    assert longest_chain(MOTHER, seconds) == ["m", "a"]
    assert longest_chain(MOTHER, seconds | {"b": 5.0}) == ["m", "b"]
    assert longest_chain((), {}) == []


def test_a_mothernet_has_all_devices_and_many_members_one_each():
    assert allot(MOTHER, 2, amdahl(MOTHER, 0.1)) == {"m": 2, "a": 1, "b": 1}
    members = tuple(Job(f"x{number}", 1.0) for number in range(8))
    assert set(allot(members, 4, amdahl(members, 0.1)).values()) == {1}


def test_where_two_devices_are_slower_than_one_nothing_is_divided():
    """As where exchanging the gradients of a small network takes longest."""
    slower = amdahl(MOTHER, 1.5)
    assert allot(MOTHER, 8, slower) == {"m": 1, "a": 1, "b": 1}
    even = {name: slot.devices for name, slot in simulate(MOTHER, 8).items()}
    assert end(MOTHER, 8, even, slower) > 12.0


def test_members_of_unequal_length_end_together():
    """Three of 6 beside one of 12, for which two devices are worth most."""
    jobs = (Job("long", 12.0), *(Job(name, 6.0) for name in "abc"))
    seconds = amdahl(jobs, 0.0)
    counts = allot(jobs, 5, seconds)
    assert counts == {"long": 2, "a": 1, "b": 1, "c": 1}
    assert end(jobs, 5, counts, seconds) == 6.0


def test_one_device_leaves_no_choice():
    asked = []

    def seconds(name, devices):
        asked.append(devices)
        return 1.0

    assert allot(MOTHER, 1, seconds) == {"m": 1, "a": 1, "b": 1}
    assert set(asked) == {1}


@st.composite
def graphs(draw):
    """Jobs of whole work, each of which needs at most one of those before it."""
    jobs = []
    for number in range(draw(st.integers(1, 5))):
        names = [job.name for job in jobs]
        needs = draw(st.sets(st.sampled_from(names), max_size=1)) if names else set()
        jobs.append(Job(f"job{number}", float(draw(st.integers(1, 8))), tuple(needs)))
    return tuple(jobs)


@given(graphs(), st.integers(1, 4), st.sampled_from((0.0, 0.1, 0.5, 1.2)))
def test_it_ends_no_later_than_simpler_allotments_and_near_the_best(
    jobs, devices, serial
):
    seconds = amdahl(jobs, serial)
    counts = allot(jobs, devices, seconds)
    assert all(1 <= count <= devices for count in counts.values())
    found = end(jobs, devices, counts, seconds)
    assert found <= end(jobs, devices, dict.fromkeys(counts, 1), seconds)
    even = {name: slot.devices for name, slot in simulate(jobs, devices).items()}
    assert found <= 1.0101 * end(jobs, devices, even, seconds)
    names = [job.name for job in jobs]
    every = itertools.product(range(1, devices + 1), repeat=len(jobs))
    best = min(
        end(jobs, devices, dict(zip(names, own, strict=True)), seconds)
        for own in itertools.islice(every, 1024)
    )
    assert found <= 1.5 * best


def test_an_allotment_is_played_with_the_durations_of_its_own_numbers():
    """On three devices 4, on two 6, on one 7: the even division takes all three."""
    durations = {1: 7.0, 2: 6.0, 3: 4.0}
    job = (Job("only", 1.0),)
    counts = allot(job, 3, lambda name, devices: durations[devices])
    assert counts == {"only": 3}
    assert end(job, 3, counts, lambda _, n: durations[n]) == pytest.approx(4.0)
