"""Progress: bars for a person, plain lines for a file, and honest accounts."""

import io
import logging
import re

import absl.logging
import pytest
from rich.console import Console

from mothernets_jax.runtime.progress import RunProgress

CURSOR = "\x1b["  # what only a terminal understands


def make_console(*, terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


@pytest.fixture(autouse=True)
def every_line(caplog):
    caplog.set_level(logging.INFO, logger="mothernets_jax")


def drawn(progress):
    """The bars as they would be drawn now, as text: run, then stage."""
    console = Console(file=io.StringIO(), width=120)
    console.print(progress._bars.get_renderable())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def train(progress, name, epochs, flops=1.0):
    progress.start_stage(name, epochs)
    for epoch in range(1, epochs + 1):
        progress.work(flops)
        progress.advance(name, epoch, epochs, f"loss {epoch}", "")
    progress.end_stage(name)


def test_a_file_gets_plain_lines_and_no_bars(caplog):
    console = make_console(terminal=False)
    with RunProgress(3.0, console) as progress:
        train(progress, "mothernets-A", 3)
        progress.message("mothernets: done")
    assert console.file.getvalue().strip() == ""
    assert lines(caplog) == [
        "mothernets-A: training, up to 3 epochs",
        "mothernets-A: epoch 1/3, loss 1",
        "mothernets-A: epoch 2/3, loss 2",
        "mothernets-A: epoch 3/3, loss 3",
        "mothernets: done",
    ]


@pytest.mark.parametrize(("epochs", "expected"), [(10, 10), (45, 12), (300, 10)])
def test_a_long_stage_is_about_ten_lines_and_its_last_is_one(caplog, epochs, expected):
    with RunProgress(1.0, make_console(terminal=False)) as progress:
        train(progress, "A", epochs)
    told = [line for line in lines(caplog) if "epoch " in line]
    assert len(told) == expected  # every tenth of the epochs, rounded down, and the end
    assert told[-1] == f"A: epoch {epochs}/{epochs}, loss {epochs}"


def test_a_person_gets_bars_and_lines_that_stay(caplog):
    console = make_console(terminal=True)
    with RunProgress(3.0, console) as progress:
        train(progress, "mothernets-A", 3)
        progress.message("mothernets: ensemble error 3.20%")
    output = console.file.getvalue()
    assert CURSOR in output
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output)
    assert "mothernets: ensemble error 3.20%" in plain
    assert "run" in plain
    assert "100%" in plain
    assert lines(caplog) == []


def test_the_bars_tell_how_far_and_how_long(monkeypatch):
    now = [1000.0]
    progress = RunProgress(100.0, make_console(terminal=True))
    monkeypatch.setattr(progress._bars, "get_time", lambda: now[0])
    for task in progress._bars._tasks.values():
        task._get_time = lambda: now[0]
    progress._bars.reset(0)
    progress.start_stage("full_data-A", 4)
    for epoch in (1, 2):
        now[0] += 10.0
        progress.work(20.0)
        progress.advance("full_data-A", epoch, 4, "in words", f"loss {1 / epoch}")
    run, stage = drawn(progress)
    assert run.startswith("run ")
    assert "40%" in run  # 2 x 20 of 100
    assert "0:00:30" in run  # 60 remain, at 20 in 10 seconds
    assert stage.startswith("full_data-A ")
    assert " 2/4 " in stage
    assert stage.endswith("loss 0.5")


def test_work_left_out_counts_as_no_work():
    progress = RunProgress(100.0, make_console(terminal=True))
    progress.start_stage("A", 4)
    progress.work(20.0)
    progress.advance("A", 1, 4, "", "")
    assert "20%" in drawn(progress)[0]
    progress.skip(50.0)
    assert "40%" in drawn(progress)[0]
    progress.skip(30.0)
    assert "100%" in drawn(progress)[0]


def test_a_new_stage_starts_from_nothing():
    progress = RunProgress(10.0, make_console(terminal=True))
    assert len(drawn(progress)) == 1  # no stage yet
    train(progress, "A", 2)
    assert "2/2" in drawn(progress)[1]
    progress.start_stage("B", 2)
    assert drawn(progress)[1].startswith("B ")
    assert "0/2" in drawn(progress)[1]


def test_stages_side_by_side_have_a_bar_each():
    progress = RunProgress(10.0, make_console(terminal=True))
    progress.start_stage("A", 2)
    progress.start_stage("B", 4)
    progress.advance("A", 1, 2, "", "")
    progress.advance("B", 1, 4, "", "")
    _, first, second = drawn(progress)
    assert first.startswith("A ")
    assert "1/2" in first
    assert second.startswith("B ")
    assert "1/4" in second
    progress.end_stage("A")  # early
    progress.start_stage("C", 1)
    assert [line[0] for line in drawn(progress)[1:]] == ["B", "C"]


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_to_train_is_no_error(terminal):
    with RunProgress(0.0, make_console(terminal=terminal)) as progress:
        progress.message("everything is done")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_all_that_counts_is_there_however_long_the_texts(width):
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    progress = RunProgress(10.0, console)
    name = "mothernets-mothernet_1-V16A_1-V16A_2"
    progress.start_stage(name, 120, done=30)
    progress.work(4.0)
    words = "loss 0.003, training error 0.0%, validation error 1.7%, 52,943 images/s"
    progress.advance(name, 31, 120, words, "loss 0.003, errors 0.0%, 1.7%")
    shown = Console(file=io.StringIO(), width=width)
    shown.print(progress._bars.get_renderable())
    run, stage = shown.file.getvalue().splitlines()
    assert run.startswith("run ") and " 40% " in run and "━" in run
    assert stage.startswith("mothernets-mothe") and " 31/120 " in stage
    assert run.count("-:--:--") == stage.count("-:--:--") == 1  # the time left
    assert "loss 0.003, errors 0.0%, 1.7%" in stage or words in stage


def test_log_lines_go_above_the_bars_of_a_terminal():
    """What tears the bars is a line on the terminal that they do not know of."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    handler = absl.logging.get_absl_handler().python_handler
    before, terminal = handler.stream, Terminal()
    handler.setStream(terminal)
    try:
        console = make_console(terminal=True)
        with RunProgress(1.0, console):
            handler.stream.write("a line of the log\n")
        assert handler.stream is terminal
    finally:
        handler.setStream(before)
    assert terminal.getvalue() == ""
    assert "a line of the log" in console.file.getvalue()


def test_a_log_that_goes_into_a_file_stays_there():
    handler = absl.logging.get_absl_handler().python_handler
    before, file = handler.stream, io.StringIO()
    handler.setStream(file)
    try:
        with RunProgress(1.0, make_console(terminal=True)):
            handler.stream.write("a line of the log\n")
    finally:
        handler.setStream(before)
    assert file.getvalue() == "a line of the log\n"
