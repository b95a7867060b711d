"""Stages: who stops when, what it costs, what is logged, and what is compiled.

The members are networks of one hidden unit that tell bright images from dark ones.
"""

import math
import time
from datetime import datetime

import chex
import jax
import jax.numpy as jnp
import pytest
from fake_runs import without_clocks
from tiny_stages import EPOCH_FLOPS, STARTS, train_stage

from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.stages.stage import planned_flops


def largest_difference(one, other):
    """The largest absolute difference of two trees' entries; NaN if there is one."""
    differences = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), one, other)
    return float(jnp.stack(jax.tree.leaves(differences)).max())


@pytest.fixture(scope="module")
def store():
    return ProgramStore()


@pytest.fixture(scope="module")
def run(store):
    """A function that trains a stage: its result, and the entries that it logged."""

    def train(starts, names=("a", "b"), strategy="unroll", validation=4, **recipe):
        options = {"strategy": strategy, "validation": validation, **recipe}
        result, entries, account, (stage, task) = train_stage(
            store, starts, names, **options
        )
        # However early members stop, what was planned is accounted for.
        planned = planned_flops(stage, task)
        assert planned == EPOCH_FLOPS * len(names) * stage.recipe.epochs
        assert account.done + account.skipped == pytest.approx(planned)
        epochs = sum(result.record["epochs"].values())
        assert result.record["train_flops"] == epochs * EPOCH_FLOPS
        assert account.done == pytest.approx(epochs * EPOCH_FLOPS)
        return result, entries

    return train


@pytest.mark.parametrize("patience", [1, 4])
def test_training_that_never_improves_stops_after_its_patience(run, patience):
    result, _ = run(STARTS, patience_epochs=patience)  # the learning rate is 0
    epochs, history = result.record["epochs"], result.record["history"]
    assert epochs == {"a": 1 + patience, "b": 1 + patience}
    for name, error in (("a", 0.0), ("b", 1.0)):
        assert history[name]["train_error"] == [error] * (1 + patience)
        assert history[name]["validation_error"] == [error] * (1 + patience)
        # Logits of bright images are (-2, 2), of dark ones (2, -2), or the opposite.
        nats = math.log1p(math.exp(-4)) + 4 * error
        losses = history[name]["validation_loss"]
        assert losses == pytest.approx([nats] * (1 + patience), rel=1e-6)
    chex.assert_trees_all_equal(
        tuple(s.variables for s in result.states.values()), STARTS
    )


def test_without_the_rule_it_trains_to_the_end_and_logs_every_epoch(run):
    before = time.time()
    result, entries = run(STARTS, stop="epochs")
    assert result.record["epochs"] == {"a": 12, "b": 12}
    assert [entry["step"] for entry in entries[::2]] == [*range(4, 49, 4)]  # of 16 / 4
    stamps = [
        datetime.fromisoformat(entry["clocks"]["time"]).timestamp() for entry in entries
    ]
    assert stamps == sorted(stamps)  # to the millisecond
    assert before - 1e-3 <= stamps[0] and stamps[-1] <= time.time()
    assert [(e["stage"], e["member"], e["epoch"]) for e in entries] == [
        ("method-label", name, epoch) for epoch in range(1, 13) for name in ("a", "b")
    ]


@pytest.mark.parametrize("strategy", ["unroll", "loop"])
def test_each_member_of_a_group_stops_for_itself(run, strategy):
    """The first is right from the start; the second must first unlearn."""
    options = {"strategy": strategy, "learning_rate": 0.02}
    result, entries = run(STARTS, **options)
    epochs, history = result.record["epochs"], result.record["history"]
    assert epochs["a"] == 1 + 3
    assert 1 + 3 < epochs["b"] < 12
    errors = history["b"]["train_error"]
    assert errors.index(min(errors)) == epochs["b"] - 1 - 3
    assert len(entries) == sum(epochs.values())
    assert largest_difference(result.states["a"].variables, STARTS[0]) > 1e-3
    # What each has learned is what it learns in as many epochs without the rule.
    for name, count in epochs.items():
        fixed, _ = run(STARTS, stop="epochs", epochs=count, **options)
        chex.assert_trees_all_equal(result.states[name], fixed.states[name])
        own, alone = (without_clocks(h) for h in (history, fixed.record["history"]))
        assert own[name] == alone[name]


def test_a_member_learns_alone_what_it_learns_in_a_group(run):
    options = {"learning_rate": 0.02, "stop": "epochs", "epochs": 3}
    together, _ = run(STARTS, **options)
    alone, _ = run(STARTS[1:], names=("b",), strategy="auto", **options)
    assert alone.record["strategy"] == "loop"
    chex.assert_trees_all_close(
        alone.states["b"],
        together.states["b"],
        rtol=1e-5,
        atol=1e-7,
    )
    # The control: another name draws another order.
    other, _ = run(STARTS[1:], names=("c",), strategy="loop", **options)
    assert largest_difference(other.states["c"], alone.states["b"]) > 1e-5


def test_a_second_group_of_a_known_shape_compiles_nothing(run):
    run(STARTS, epochs=1)
    result, _ = run(STARTS[::-1], names=("c", "d"), epochs=2)
    assert result.record["clocks"]["compile_seconds"] == 0
    assert result.record["clocks"]["train_seconds"] > 0


def test_without_validation_images_there_is_no_validation_error(run):
    result, entries = run(STARTS, validation=0, epochs=1)
    assert result.record["history"]["a"]["validation_error"] == [None]
    assert entries[0]["validation_error"] is None
    assert entries[0]["validation_loss"] is None
