"""Running averages of the weights through a stage, and the statistics at its end."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from step_specs import OPTIMIZER
from tiny_stages import EPOCH_FLOPS, STARTS, StopAt, train_stage

from mothernets_jax.architectures import mlp
from mothernets_jax.models.variables import init
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.runtime.interruption import InterruptedRunError
from mothernets_jax.stages import trainer
from mothernets_jax.stages.autosave import StageAutosave
from mothernets_jax.stages.stage import planned_flops
from mothernets_jax.training.member_step import new_state

STEPS = 4  # of an epoch
# 4 batches of 4 images, forward: a third of an epoch.
END_FLOPS = EPOCH_FLOPS / 3
AVERAGED = {"stop": "epochs", "epochs": 2, "learning_rate": 0.02, "average": "tail"}
NORMALISED = mlp((2,), batch_norm=True)


@pytest.fixture(scope="module")
def store():
    return ProgramStore()


def steps_of(store, monkeypatch, **options):
    """The parameters of `b` after each step, as a run without averages has them."""
    monkeypatch.setattr(trainer, "_CALL_SECONDS", 0.0)  # a step a call
    seen = []
    call = trainer.GroupTrainer._call

    def watched(self, *args):
        seconds = call(self, *args)
        seen.append(self.states()["b"].params)
        return seconds

    with monkeypatch.context() as patch:
        patch.setattr(trainer.GroupTrainer, "_call", watched)
        train_stage(store, STARTS, **{**AVERAGED, **options, "average": "none"})
    return seen


@pytest.mark.parametrize("strategy", ["unroll", "vmap", "loop"])
def test_a_tail_is_the_mean_of_its_steps(store, monkeypatch, strategy):
    horizon = {"average_epochs": 1.5}
    seen = steps_of(store, monkeypatch)
    assert len(seen) == 2 * STEPS
    result, entries, account, (stage, task) = train_stage(
        store, STARTS, strategy=strategy, **AVERAGED, **horizon
    )
    expected = jax.tree.map(lambda *leaves: sum(leaves) / 6, *seen[2:])
    state = result.states["b"]
    chex.assert_trees_all_close(state.predictor["params"], expected, rtol=1e-5)
    # What was trained is there, too, and no different for being averaged.
    chex.assert_trees_all_close(state.params, seen[-1], rtol=1e-6)
    moved = state.params["head"]["bias"] - state.predictor["params"]["head"]["bias"]
    assert jnp.abs(moved).max() > 1e-3
    assert len(entries) == 4
    assert result.record["average"].keys() == {"a", "b"}
    own = result.record["average"]["a"]
    assert own.keys() == {"validation_error", "validation_loss"}
    assert own["validation_error"] == 0.0 < own["validation_loss"] < np.log(2)
    flops = 2 * (2 * EPOCH_FLOPS + END_FLOPS)
    assert result.record["train_flops"] == pytest.approx(flops)
    assert planned_flops(stage, task) == pytest.approx(flops)
    assert account.done + account.skipped == pytest.approx(flops)


def test_statistics_are_those_of_the_training_batches(store):
    """Means of the batches' means and variances, in NumPy, for both members."""
    starts = [init(NORMALISED, jax.random.key(i), (2, 2, 1), 2) for i in (0, 1)]
    options = {**AVERAGED, "average": "ema", "average_epochs": 0.5}
    result, _, _, (_, task) = train_stage(
        store, starts, architecture=NORMALISED, **options
    )
    images = (np.asarray(task.dataset.train_images, np.float64) / 255 - 0.5) * 2
    for state in result.states.values():
        variables = jax.device_get(state.predictor)
        kernel = np.float64(variables["params"]["dense1"]["kernel"])
        values = images.reshape(16, 4) @ kernel
        (own,) = variables["batch_stats"].values()
        # All images once: the mean of the batches' means is that of all.
        np.testing.assert_allclose(own["mean"], values.mean(0), rtol=1e-5, atol=1e-6)
        # The variances are those within batches, whose means differ.
        assert (own["var"] <= values.var(0) + 1e-5).all()
        assert (own["var"] > 0.2 * values.var(0)).all()
        # The control: those of training lag behind.
        (trained,) = jax.device_get(state.batch_stats).values()
        assert not np.allclose(trained["mean"], own["mean"], rtol=1e-2)


def test_stopped_and_resumed_averages_are_the_same_bits(store, monkeypatch, tmp_path):
    monkeypatch.setattr(trainer, "_CALL_SECONDS", 0.0)
    starts = [init(NORMALISED, jax.random.key(i), (2, 2, 1), 2) for i in (0, 1)]
    options = {"architecture": NORMALISED, **AVERAGED, "average_epochs": 1.25}
    expected, *_ = train_stage(store, starts, **options)
    for asked in (2, STEPS, STEPS + 3, 2 * STEPS):
        folder = tmp_path / str(asked)
        with pytest.raises(InterruptedRunError):
            work = StageAutosave(folder, interval_seconds=0.0)
            asks = {"work": work, "interruption": StopAt(asked)}
            try:
                train_stage(store, starts, **options, **asks)
            finally:
                work.close()
        work = StageAutosave(folder, interval_seconds=0.0)
        result, *_ = train_stage(store, starts, **options, work=work)
        work.close()
        chex.assert_trees_all_equal(result.states, expected.states)
        assert result.record["average"] == expected.record["average"]


def test_a_later_stage_begins_an_average_of_its_own(store):
    """It goes on from what was trained, not from the average."""
    first, *_ = train_stage(store, STARTS, **AVERAGED)
    state = first.states["b"]
    assert state.average is not None
    still = {**AVERAGED, "learning_rate": 0.0, "epochs": 1}
    later, *_ = train_stage(store, [state.variables], names=("b",), **still)
    chex.assert_trees_all_close(later.states["b"].average["params"], state.params)
    alone = new_state(state.variables, OPTIMIZER)
    assert alone.predictor == alone.variables
