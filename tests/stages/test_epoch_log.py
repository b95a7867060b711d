"""The log of every epoch: what a callback is given, and what becomes of its errors."""

import json
import signal

import pytest

from mothernets_jax.runtime.interruption import InterruptedRunError, Interruption
from mothernets_jax.stages.epoch_log import EpochLog
from mothernets_jax.storage.metrics_log import MetricsLog


def line(epoch, stage="A"):
    return {"stage": stage, "member": "a", "epoch": epoch, "clocks": {"time": "now"}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def lines_of(path):
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_a_callback_is_given_copies_of_the_new_lines_in_order(path):
    given = []

    def spoil(own):
        given.append(json.loads(json.dumps(own)))
        own["clocks"].clear()
        own.clear()

    log = EpochLog(MetricsLog(path), callback=spoil)
    log.append(**line(1, "B"))
    log.forget("A")
    log.mend("A", [{"member": "a", "epoch": 1, "clocks": {"time": "before"}}])
    new = [line(2), line(2, "B"), line(3)]
    for own in new:
        log.append(**own)
    assert given == [line(1, "B"), *new]  # none that an earlier run has written
    assert new[0] == line(2)
    assert lines_of(path) == [
        line(1, "B"),
        line(1) | {"clocks": {"time": "before"}},
        *new,
    ]


def test_a_callback_that_raises_stops_the_run_once_all_is_saved(path):
    given, interruption = [], Interruption()

    def fails(own):
        given.append(own["epoch"])
        raise ConnectionError("no network")

    log = EpochLog(MetricsLog(path), None, fails, interruption)
    with pytest.raises(ConnectionError) as raised, log.raising_failure():
        log.append(**line(1))
        assert interruption.requested() == signal.SIGTERM
        log.append(**line(2))  # of another stage, which has not stopped yet
        interruption.check()
    assert str(raised.value) == "no network"
    (note,) = raised.value.__notes__
    assert "the callback, given epoch 1 of a in A; what was trained is saved" in note
    assert given == [1]
    assert lines_of(path) == [line(1), line(2)]


def test_a_signal_stays_a_signal(path):
    log = EpochLog(MetricsLog(path), callback=print)
    with pytest.raises(InterruptedRunError), log.raising_failure():
        raise InterruptedRunError(signal.SIGINT)
