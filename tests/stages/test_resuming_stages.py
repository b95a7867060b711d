"""A stage that is stopped anywhere and goes on ends in the same bits.

The members are the networks of one hidden unit of `tiny_stages`.
"""

import errno
import itertools
import json
import logging
import math
import os
import types

import chex
import jax
import jax.numpy as jnp
import pytest
from fake_runs import without_clocks
from tiny_stages import STARTS, StopAt, solution, train_stage

from mothernets_jax.ensembles.prediction import ValidationScores, validation_scores
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.runtime.interruption import InterruptedRunError
from mothernets_jax.stages import autosave, clock, divergence, run_stage, trainer
from mothernets_jax.stages.autosave import KEPT, StageAutosave
from mothernets_jax.stages.divergence import RETRY_RATE, divergence_reason
from mothernets_jax.stages.state import beginning
from mothernets_jax.storage import checkpoints, files
from mothernets_jax.training.member_step import MemberState, Metrics

STEPS = 4  # of an epoch: 16 images in batches of 4


@pytest.fixture(scope="module")
def store():
    return ProgramStore()


@pytest.fixture
def train(store, monkeypatch, tmp_path):
    """A function that trains a stage, stopping where it is told; saves every step."""
    monkeypatch.setattr(trainer, "_CALL_SECONDS", 0.0)  # a step a call

    def run(folder=None, stop_at=0, starts=STARTS, **options):
        recipe = {"learning_rate": 0.02, "epochs": 3, "stop": "epochs"}
        work = StageAutosave(folder, interval_seconds=0.0)
        asks = {"work": work, "interruption": StopAt(stop_at)}
        try:
            result, entries, *_ = train_stage(
                store, starts, **recipe, **asks, **options
            )
        finally:
            work.close()
        return result, entries

    return run


@pytest.mark.parametrize("strategy", ["unroll", "vmap", "loop"])
def test_stopped_at_any_step_it_ends_in_the_same_bits(train, tmp_path, strategy):
    expected, logged = train(strategy=strategy)
    for asked in (1, STEPS, STEPS + 1, 2 * STEPS + 2, 3 * STEPS):
        folder = tmp_path / str(asked)
        with pytest.raises(InterruptedRunError, match="stopped by SIGTERM") as stopped:
            train(folder, asked, strategy=strategy)
        assert stopped.value.exit_code == 143
        result, entries = train(folder, strategy=strategy)
        chex.assert_trees_all_equal(result.states, expected.states)
        assert without_clocks(result.record) == without_clocks(expected.record)
        key = ("stage", "epoch", "member")
        entries.sort(key=lambda entry: [entry[name] for name in key])
        logged.sort(key=lambda entry: [entry[name] for name in key])
        assert without_clocks(entries) == without_clocks(logged)


def test_taught_by_two_networks_and_stopped_it_ends_in_the_same_bits(train, tmp_path):
    teachers = {"teachers": (solution(1), solution(0.5))}
    expected, _ = train(**teachers)
    with pytest.raises(InterruptedRunError):
        train(tmp_path, STEPS + 1, **teachers)
    result, _ = train(tmp_path, **teachers)
    chex.assert_trees_all_equal(result.states, expected.states)
    assert without_clocks(result.record) == without_clocks(expected.record)
    alone, _ = train()  # the control: they were taught
    kernels = [own.states["a"].params["head"]["kernel"] for own in (alone, expected)]
    assert (kernels[0] != kernels[1]).any()


def test_stopped_again_and_again(train, tmp_path):
    expected, _ = train()
    for _ in range(3 * STEPS - 1):
        with pytest.raises(InterruptedRunError):
            train(tmp_path, 2)  # at the second step from where it went on
        if sum(1 for _ in tmp_path.iterdir()) > KEPT:
            pytest.fail("older saves are left")
        record = checkpoints.read_record(max(tmp_path.iterdir()))
        assert record is not None
        if record["epoch"] == 3:
            break
    result, _ = train(tmp_path)
    chex.assert_trees_all_equal(result.states, expected.states)
    assert without_clocks(result.record) == without_clocks(expected.record)


def test_seconds_count_once(train, tmp_path, monkeypatch):
    ticks = itertools.count()  # a second passes whenever somebody looks at the clock
    clock = types.SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(trainer, "time", clock)
    whole, _ = train()
    with pytest.raises(InterruptedRunError):
        train(tmp_path, 2 * STEPS + 2)
    record = checkpoints.read_record(max(tmp_path.iterdir()))
    assert record is not None
    result, _ = train(tmp_path)
    seconds = whole.record["clocks"]["train_seconds"]
    assert 0 < record["clocks"]["train_seconds"] < seconds
    assert result.record["clocks"]["train_seconds"] == seconds


def test_seconds_are_those_of_the_whole_machine(train, monkeypatch):
    """Or stages on one device each would seem slower than one stage on all."""
    ticks = itertools.count()
    ticking = types.SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(trainer, "time", ticking)
    monkeypatch.setattr(clock, "time", ticking)
    train()  # whatever is to be compiled, whose clock is another
    alone, _ = train()
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    beside_others, _ = train()
    for name in ("train_seconds", "eval_seconds"):
        seconds = alone.record["clocks"][name]
        assert seconds > 1
        found = beside_others.record["clocks"][name]
        assert found == pytest.approx(seconds / 4, rel=0.01)


def test_saving_takes_at_most_a_hundredth_of_the_time(tmp_path, monkeypatch):
    now = [0.0]
    clock = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(autosave, "time", clock)
    took = [0.0]

    def save(*args):
        now[0] += took[0]

    monkeypatch.setattr(checkpoints, "save", save)
    work = StageAutosave(tmp_path, interval_seconds=10.0)

    def next_save():
        """Seconds until the next one is due, to a quarter."""
        begun = now[0]
        while not work.due():
            now[0] += 0.25
        return now[0] - begun

    assert next_save() == 10.0
    for seconds, expected in ((0.05, 10.0), (0.5, 50.0), (0.0, 10.0)):
        took[0] = seconds
        begun = now[0]
        work.save({}, {})
        work.wait()
        now[0] = begun
        assert next_save() == expected
    work.close()


def test_a_damaged_save_goes_when_there_is_a_newer_one(tmp_path, caplog):
    variables, record = {"now": {"w": jnp.ones(3)}}, {"epoch": 1}
    work = StageAutosave(tmp_path)
    for _ in range(2):
        work.save(variables, record)
    work.close()
    (tmp_path / "000002" / "record.json").write_text("{}")
    work = StageAutosave(tmp_path)
    assert work.latest(lambda _: None, lambda _: variables) is not None
    assert "000002" in caplog.text
    assert (tmp_path / "000002").exists()  # nothing is lost before there is a newer one
    work.save(variables, record)
    work.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001", "000003"]


def test_a_save_that_cannot_be_read_is_stepped_over(tmp_path, monkeypatch, caplog):
    variables = {"now": {"w": jnp.ones(3)}}
    work = StageAutosave(tmp_path)
    for epoch in (1, 2):
        work.save(variables, {"epoch": epoch})
    work.close()
    read = files.read_json

    def bad_sector(path, *bounds, **more):
        if path.parent.name == "000002":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return read(path, *bounds, **more)

    monkeypatch.setattr(files, "read_json", bad_sector)
    found = StageAutosave(tmp_path).latest(lambda _: None, lambda _: variables)
    assert found is not None and found[1] == {"epoch": 1}
    assert "000002/record.json" in caplog.text


def test_a_damaged_save_is_named_and_stepped_over(train, tmp_path, caplog):
    expected, _ = train()
    with pytest.raises(InterruptedRunError):
        train(tmp_path, STEPS + 2)
    older, newest = sorted(tmp_path.iterdir())
    file = max(newest.rglob("d/*"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING, logger="mothernets_jax"):
        result, _ = train(tmp_path)
    assert f"{newest}/variables cannot be restored" in caplog.text
    assert str(older) not in caplog.text
    chex.assert_trees_all_equal(result.states, expected.states)
    assert without_clocks(result.record) == without_clocks(expected.record)


def test_with_every_save_damaged_it_starts_again(train, tmp_path, caplog):
    expected, _ = train()
    with pytest.raises(InterruptedRunError):
        train(tmp_path, STEPS + 2)
    for record in tmp_path.glob("*/record.json"):
        content = json.loads(record.read_text())
        content["record"]["epoch"] += 1  # the checksum is that of before
        record.write_text(json.dumps(content))
    result, _ = train(tmp_path)
    assert caplog.text.count("is damaged") == KEPT
    chex.assert_trees_all_equal(result.states, expected.states)


# Numerical trouble.


def nan_start():
    start = solution(1)
    start["params"]["head"]["bias"] = jnp.array([jnp.nan, 0.0])
    return start


@pytest.mark.parametrize("strategy", ["unroll", "vmap", "loop"])
def test_who_diverges_twice_is_left_out_and_the_others_are_untouched(
    train, strategy, caplog
):
    fine, _ = train(strategy=strategy, starts=(solution(1), solution(-1)))
    result, entries = train(strategy=strategy, starts=(nan_start(), solution(-1)))
    assert list(result.states) == ["b"]
    chex.assert_trees_all_equal(result.states["b"], fine.states["b"])
    mine, theirs = (without_clocks(own.record["history"]) for own in (result, fine))
    assert mine["b"] == theirs["b"]
    assert "epoch 1" in result.record["left_out"]["a"]
    assert "loss is nan" in result.record["left_out"]["a"]
    assert result.record["epochs"] == {"a": 2, "b": 3}  # both of them were paid for
    assert {entry["member"] for entry in entries} == {"b"}
    assert "a in epoch 1: its training loss is nan; it goes back" in caplog.text
    assert "left out of the ensemble" in caplog.text


@pytest.mark.parametrize("stop_at", [0, 1, STEPS + 1, 2 * STEPS])
def test_a_stage_whose_only_member_diverges_has_a_record_alone(
    train, stop_at, tmp_path
):
    alone = {"starts": (nan_start(),), "names": ("a",)}
    if stop_at:  # before it goes back, after that, or when it is left out
        with pytest.raises(InterruptedRunError):
            train(tmp_path / "work", stop_at, **alone)
    result, entries = train(tmp_path / "work", **alone)
    assert result.states == {} and entries == []
    assert result.record["left_out"].keys() == {"a"}
    assert result.record["epochs"] == {"a": 2}
    checkpoints.save(tmp_path / "stage", result.states, result.record)
    assert checkpoints.read_record(tmp_path / "stage") == result.record


def test_who_predicts_nothing_finite_goes_back_too(train, monkeypatch, caplog):
    """Though the loss is finite: in every epoch, and so is left out."""
    fine, _ = train()
    measured = []

    def overflows(architecture, variables, dataset, **options):
        del architecture, variables, dataset, options
        measured.append(math.nan if len(measured) in (0, 2) else 0.5)
        return ValidationScores(measured[-1], measured[-1])

    monkeypatch.setattr(run_stage, "validation_scores", overflows)
    result, entries = train()
    why = "its predictions of the validation images are not finite"
    assert result.record["left_out"] == {
        "a": f"in epoch 1 {why}, at {RETRY_RATE} of the learning rate too"
    }
    assert f"a in epoch 1: {why}; it goes back" in caplog.text
    chex.assert_trees_all_equal(result.states, {"b": fine.states["b"]})
    for name in ("error", "loss"):
        assert {entry[f"validation_{name}"] for entry in entries} == {0.5}


def test_overflow_on_validation_images_is_no_error_rate(store):
    """Half of the images overflow: what is largest of NaN would be class 0."""
    start = solution(1)
    start["params"]["head"]["kernel"] = jnp.array([[-3e38, 3e38]])
    _, _, _, (stage, task) = train_stage(store, STARTS, epochs=1)
    options = {"batch_size": 512, "executables": Executables(store)}
    for variables, expected in ((start, math.nan), (solution(-1), 1.0)):
        error, loss = validation_scores(
            stage.architecture, variables, task.dataset, **options
        )
        assert error == pytest.approx(expected, nan_ok=True)
        assert math.isnan(loss) == math.isnan(expected)


@pytest.mark.parametrize("left_out", [{"a": "why"}, {"a": "why", "b": "why"}])
def test_who_cannot_begin_is_left_out_and_never_trained(train, left_out, monkeypatch):
    fine, _ = train()
    monkeypatch.setattr(
        run_stage, "beginning", lambda *args: beginning(*args[:3], left_out)
    )
    result, entries = train()
    kept = {name: fine.states[name] for name in "ab" if name not in left_out}
    chex.assert_trees_all_equal(result.states, kept)
    assert result.record["left_out"] == left_out
    assert result.record["epochs"] == {n: 0 if n in left_out else 3 for n in "ab"}
    assert {entry["member"] for entry in entries} == kept.keys()


@pytest.fixture
def trouble_once(monkeypatch):
    """Member a is found to have diverged in its second epoch, at the full rate."""
    seen = []

    def judged(state, metrics, num_classes):
        del num_classes
        seen.append(state)
        return "told so" if len(seen) == 3 else None  # a, b, then a again

    monkeypatch.setattr(divergence, "divergence_reason", judged)
    return seen


def test_who_diverges_once_trains_on_at_a_lower_rate(train, trouble_once):
    result, _ = train()
    assert result.record["retried"] == ["a"]
    assert result.record["left_out"] == {}
    assert result.record["epochs"] == {"a": 4, "b": 3}
    rates = result.record["history"]["a"]["learning_rate"]
    low = pytest.approx(0.02 * RETRY_RATE)
    assert rates == [pytest.approx(0.02), low, low]
    assert result.record["history"]["b"]["learning_rate"] == [pytest.approx(0.02)] * 3


def test_stopped_in_an_epoch_that_is_tried_again(train, trouble_once, tmp_path):
    expected, _ = train()
    asked = 2 * STEPS + 2  # in the second epoch for the second time
    trouble_once.clear()
    with pytest.raises(InterruptedRunError):
        train(tmp_path, asked)
    record = checkpoints.read_record(max(tmp_path.iterdir()))
    assert record is not None
    assert record["retrying"] and record["active"] == {"a": True, "b": False}
    result, _ = train(tmp_path)
    chex.assert_trees_all_equal(result.states, expected.states)
    assert without_clocks(result.record) == without_clocks(expected.record)


def test_trouble_in_words():
    fine = MemberState({"w": jnp.ones(2)}, {}, {})
    broken = fine._replace(batch_stats={"mean": jnp.array([0.0, jnp.inf])})
    accuracy = 0.1
    limit = 100 * math.log(10)
    for state, loss, expected in (
        (fine, 2.3, None),
        (fine, 0.99 * limit, None),
        (fine, 1.01 * limit, "its training loss is 233, more than 230"),
        (fine, math.inf, "its training loss is inf"),
        (broken, 2.3, "its parameters are no longer numbers"),
    ):
        assert divergence_reason(state, Metrics(loss, accuracy), 10) == expected
