"""What a stage does beside training: after an epoch, or without any."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import pytest
from step_specs import OPTIMIZER
from tiny_stages import (
    EPOCH_FLOPS,
    RECIPE,
    STARTS,
    Account,
    make_dataset,
    tiny_context,
    train_stage,
)

from mothernets_jax.architectures import mlp
from mothernets_jax.config.settings import Recipe
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.stages.run_stage import run_stage
from mothernets_jax.stages.stage import EpochEnd, Stage, Start, planned_flops
from mothernets_jax.stages.task import make_task, step_spec
from mothernets_jax.training.member_step import new_state


@pytest.fixture(scope="module")
def store():
    return ProgramStore()


def with_head(state, change):
    head = jax.tree.map(change, state.params["head"])
    return state._replace(params={**state.params, "head": head})


def test_members_go_on_from_what_the_end_of_an_epoch_makes_of_them(store):
    """Heads are turned at every end: an odd number of times makes all wrong."""
    seen = []

    def turn(epoch, states):
        seen.append((epoch, sorted(states)))
        return {
            name: with_head(state, lambda leaf: -leaf) for name, state in states.items()
        }

    options = {"epochs": 3, "stop": "epochs"}  # the learning rate is 0
    epoch_end = EpochEnd(turn, flops=100.0)
    result, _, account, (stage, task) = train_stage(
        store, STARTS, epoch_end=epoch_end, **options
    )
    assert seen == [(epoch, ["a", "b"]) for epoch in (1, 2, 3)]
    history = result.record["history"]
    # Trained as it was before, evaluated and saved as it is afterwards.
    assert history["a"]["train_error"] == [0.0, 1.0, 0.0]
    assert history["a"]["validation_error"] == [1.0, 0.0, 1.0]
    expected = -STARTS[0]["params"]["head"]["kernel"]
    chex.assert_trees_all_equal(result.states["a"].params["head"]["kernel"], expected)
    assert result.record["train_flops"] == 2 * 3 * (EPOCH_FLOPS + 100)
    assert account.done == planned_flops(stage, task) == 2 * 3 * (EPOCH_FLOPS + 100)


def test_a_mean_over_epochs_is_such_an_end(store):
    """Equal weights over all epochs, against the mean of the states without it."""
    options = {"stop": "epochs", "learning_rate": 0.02}
    alone = [
        train_stage(store, STARTS[1:], names=("b",), epochs=epochs, **options)[0]
        for epochs in (1, 2)
    ]
    kept = []

    def average(epoch, states):
        kept.append(states["b"].params)
        if epoch < 2:
            return {}
        mean = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *kept)
        return {"b": states["b"]._replace(params=mean)}

    result, *_ = train_stage(
        store,
        STARTS[1:],
        names=("b",),
        epochs=2,
        epoch_end=EpochEnd(average),
        **options,
    )
    expected = jax.tree.map(
        lambda *leaves: sum(leaves) / 2, *(own.states["b"].params for own in alone)
    )
    chex.assert_trees_all_close(result.states["b"].params, expected, rtol=1e-6)
    # The control: the mean is not the last.
    last = alone[1].states["b"].params["head"]["kernel"]
    assert jnp.abs(result.states["b"].params["head"]["kernel"] - last).max() > 1e-4


def test_a_stage_without_epochs_is_what_its_start_makes(store):
    """The mean of two trained networks, counted as its start says, and not compiled."""
    options = {"crop_padding": 0, "crop_border": "black", "flip": "none"}
    task = make_task(make_dataset(4), **options, seed=0, batch_size=4)
    one, two = (new_state(start, OPTIMIZER) for start in STARTS)

    def start(trained, executables):
        del executables
        mean = jax.tree.map(lambda a, b: (a + b) / 2, trained["one"], trained["two"])
        return Start({"mean": mean}, {})

    stage = Stage(
        "method",
        "mean",
        ("mean",),
        dataclasses.replace(RECIPE, epochs=0),
        step_spec(task, mlp((1,)), recipe=Recipe()),
        start,
        ("one", "two"),
        start_flops=7.0,
    )
    programs, account = store.count("train_steps"), Account()
    context = tiny_context(store, account)
    result = run_stage(stage, task, {"one": one, "two": two}, context)
    assert jnp.abs(result.states["mean"].params["head"]["kernel"]).max() == 0
    assert result.record["train_flops"] == 7.0 == planned_flops(stage, task)
    assert result.record["epochs"] == {"mean": 0}
    assert account.done == 7.0 and account.skipped == 0
    assert store.count("train_steps") == programs
