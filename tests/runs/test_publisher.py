"""What was saved is published in the background, and failures are tried again."""

import threading
import time

import pytest

from mothernets_jax.runs import publisher
from mothernets_jax.runs.publisher import Publisher
from mothernets_jax.storage.mirror import TakenOverError


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(publisher, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(publisher, "_LAST_WAIT", 0.0)


def until(reached):
    deadline = time.monotonic() + 30
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert reached()


def test_what_was_saved_is_published_and_the_last_at_the_end():
    calls = []
    own = Publisher(lambda: calls.append(1), "s3://b/run")
    time.sleep(0.02)
    assert calls == []
    own.notify()
    until(lambda: calls == [1])
    assert own.close(None) == ""
    assert calls == [1, 1]


def test_a_failure_is_told_once_and_tried_again(caplog):
    calls = []

    def publish():
        calls.append(1)
        if len(calls) < 4:
            raise OSError("no route to host")

    own = Publisher(publish, "s3://b/run")
    own.notify()
    until(lambda: len(calls) == 4)
    assert own.close(None) == ""
    assert caplog.text.count("s3://b/run could not be written (no route") == 1


def test_at_the_end_it_is_tried_three_times():
    calls = []

    def publish():
        calls.append(1)
        raise OSError("no route to host")

    assert Publisher(publish, "s3://b/run").close(None) == "no route to host"
    assert len(calls) == 3


def test_who_does_not_answer_is_not_waited_for():
    answered = threading.Event()
    own = Publisher(lambda: answered.wait(30), "s3://b/run")
    assert own.close(0.05) == "it took longer than 0.05 s"
    answered.set()


def test_a_mirror_that_was_taken_over_is_left_alone():
    calls = []

    def publish():
        calls.append(1)
        raise TakenOverError("process 3 on host writes it")

    own = Publisher(publish, "s3://b/run")
    own.notify()
    until(lambda: own.taken is not None)
    own.notify()
    assert own.close(None) == "process 3 on host writes it"
    assert calls == [1]
