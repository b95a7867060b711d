"""Which strategy is chosen: told, remembered, or the fastest where a trial can pay."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from step_specs import plain_spec

from mothernets_jax.architectures import mlp
from mothernets_jax.stages import strategy
from mothernets_jax.stages.stage import strategy_without_trial
from mothernets_jax.stages.strategy import StrategyMemory, choose_strategy


def make_stage(members=2, epochs=10):
    recipe = SimpleNamespace(epochs=epochs, batch_size=4)
    names = tuple(f"m{i}" for i in range(members))
    return SimpleNamespace(
        name="stage",
        members=names,
        architecture=mlp((3,)),
        recipe=recipe,
        spec=plain_spec(mlp((3,))),
    )


TASK = SimpleNamespace(
    dataset=SimpleNamespace(train_labels=np.zeros(400), mean=jnp.zeros(1)),
    devices=(SimpleNamespace(device_kind="cpu"),),
    dtype=None,
)


@pytest.fixture
def timed(monkeypatch):
    """Stands for trials: seconds a step by strategy; notes what was tried."""
    seconds = {"loop": 0.02, "unroll": 0.01, "vmap": 0.03}
    found = SimpleNamespace(seconds=seconds, compile_seconds=1.0, tried=[])

    class Trainer:
        def __init__(self, stage, task, states, strategy, executables, references):
            found.tried.append(strategy)
            self.compile_seconds = found.compile_seconds
            self.seconds_per_step = lambda: seconds[strategy]

    monkeypatch.setattr(strategy, "GroupTrainer", Trainer)
    return found


def choose(stage, memory, requested="auto"):
    return choose_strategy(requested, stage, TASK, [], None, memory)


def test_one_member_is_a_loop_and_what_is_asked_for_is_done(timed):
    one, two = make_stage(1), make_stage(2)
    assert (
        strategy_without_trial("auto", one)
        == strategy_without_trial("vmap", one)
        == "loop"
    )
    assert strategy_without_trial("vmap", two) == "vmap"
    assert strategy_without_trial("auto", two) is None
    assert choose(make_stage(2), StrategyMemory(), "unroll") == "unroll"
    assert timed.tried == []


@pytest.mark.parametrize(("unroll", "expected"), [(0.01, "unroll"), (0.03, "loop")])
def test_the_fastest_wins(timed, unroll, expected):
    timed.seconds["unroll"] = unroll
    # 1,000 steps of 20 ms: a third of 20 s is more than 2 x 1 s of compiling.
    assert choose(make_stage(), StrategyMemory()) == expected
    assert timed.tried == ["loop", "unroll"]


@pytest.mark.parametrize(
    ("members", "epochs", "compile_seconds"), [(2, 1, 1.0), (2, 10, 4.0), (5, 10, 0.1)]
)
def test_no_trial_where_it_cannot_pay(timed, members, epochs, compile_seconds):
    """Too few steps, too long to compile, or too many members to unroll."""
    timed.compile_seconds = compile_seconds
    assert choose(make_stage(members, epochs), StrategyMemory()) == "loop"
    assert timed.tried == ["loop"]


def test_a_choice_is_kept_in_the_folder_whatever_is_faster_later(timed, tmp_path):
    path = tmp_path / "run" / "strategies.json"
    assert choose(make_stage(), StrategyMemory(path)) == "unroll"
    timed.seconds["unroll"] = 1.0
    timed.tried.clear()
    assert choose(make_stage(), StrategyMemory(path)) == "unroll"
    assert timed.tried == []
    # The control: another number of members is another choice.
    assert choose(make_stage(3), StrategyMemory(path)) == "loop"


def test_a_damaged_memory_is_named(tmp_path):
    path = tmp_path / "strategies.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="strategies.json is damaged"):
        StrategyMemory(path)
