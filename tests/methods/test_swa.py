"""SWA: its schedule, its mean, and an ensemble of one network."""

import chex
import jax
import numpy as np
import pytest
from tiny_methods import STEPS, compose, noise_task
from tiny_stages import Account, tiny_context

from mothernets_jax.ensembles.summary import combination_metrics, diversity_metrics
from mothernets_jax.methods import swa
from mothernets_jax.runtime.compilation import ProgramStore
from mothernets_jax.stages.run_stage import run_stage
from mothernets_jax.stages.stage import EpochEnd, stage_average_weights, stage_rates


@pytest.fixture(scope="module")
def task():
    return noise_task()


def authors_run(epochs, lr_init, swa_start, swa_lr):
    """The rate of each epoch, and the epochs averaged: `train.py` of the authors."""

    def schedule(epoch):
        t = (epoch) / swa_start
        lr_ratio = swa_lr / lr_init
        if t <= 0.5:
            factor = 1.0
        elif t <= 0.9:
            factor = 1.0 - (1.0 - lr_ratio) * (t - 0.5) / 0.4
        else:
            factor = lr_ratio
        return lr_init * factor

    rates, averaged = [], []
    for epoch in range(epochs):
        rates.append(schedule(epoch))
        if (epoch + 1) >= swa_start:
            averaged.append(epoch)
    return rates, averaged


@pytest.mark.parametrize(
    ("epochs", "share", "start"),
    [(4, 0.75, 3), (300, 161 / 300, 161), (20, 1.0, 20), (7, 0.01, 1), (1, 0.75, 1)],
)
def test_the_schedule_is_the_authors(task, epochs, share, start):
    options = {
        "train.epochs": epochs,
        "swa.start_share": share,
        "train.stop": "plateau",
    }
    (stage,) = compose(task, "swa", **options).stages
    assert stage.recipe.stop == "epochs" and stage.recipe.epochs == epochs
    rates, averaged = authors_run(epochs, 0.1, start, 0.05)
    found = stage_rates(stage, task)
    np.testing.assert_allclose(found, np.tile(rates, (STEPS, 1)).T, rtol=1e-6)
    # `moving_average(swa_model, model, 1.0 / (swa_n + 1))` at the end of each of them.
    weights = np.zeros((epochs, STEPS))
    for swa_n, epoch in enumerate(averaged):
        weights[epoch, -1] = 1.0 / (swa_n + 1)
    found = stage_average_weights(stage, task)
    np.testing.assert_allclose(found, weights, rtol=1e-6)


def test_a_rate_may_rise_to_the_last_one():
    rates = swa.rates(0.01, 0.05, 10, 10, 1)
    expected, _ = authors_run(10, 0.01, 10, 0.05)
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    assert rates.argmax() == 9


def test_the_only_member_is_the_mean_of_the_last_epochs(task):
    networks = {"architectures": {"B": "mlp 6; batch_norm"}}
    # From the end of the second epoch of four.
    plan = compose(task, "swa", **networks, **{"swa.start_share": 0.5})
    (stage,) = plan.stages
    assert plan.members == {"B": stage.architecture}
    seen = []

    def look(epoch, states):
        seen.append(jax.device_get(states["B"].params))
        return {}

    context = tiny_context(ProgramStore(), Account())
    looking = stage._replace(epoch_end=EpochEnd(look))
    result = run_stage(looking, task, {}, context)
    state = result.states["B"]
    expected = jax.tree.map(lambda *leaves: sum(leaves) / 3, *seen[1:])
    chex.assert_trees_all_close(state.predictor["params"], expected, rtol=2e-5)
    # The control: it is neither the last epoch's nor the mean of all.
    for other in (seen[-1], jax.tree.map(lambda *own: sum(own) / 4, *seen)):
        kernel = state.predictor["params"]["head"]["kernel"] - other["head"]["kernel"]
        assert np.abs(kernel).max() > 1e-3
    assert result.record["average"].keys() == {"B"}


def test_the_end_of_the_mean_is_paid_for(task):
    """Statistics of 10 batches, forward: a third of an epoch."""
    options = {"budget.reference": "B"}
    for epochs, afforded in ((6.5, 6), (6.3, 5), (6.0, 5)):
        budget = {**options, "budget.epochs": epochs}
        (stage,) = compose(task, "swa", **budget).stages
        assert stage.recipe.epochs == afforded
        assert stage.spec.averaged


def test_measures_of_an_ensemble_of_one():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(1, 30, 4)), rng.integers(0, 4, 30)
    found = combination_metrics(logits, labels, {}, {})
    errors = {name: own["error"] for name, own in found.items()}
    assert set(errors.values()) == {np.mean(logits[0].argmax(1) != labels)}
    diversity = diversity_metrics(logits, labels)
    assert diversity["disagreement"] is None and diversity["covariance"] is None
    assert diversity["mutual_information"] == pytest.approx(0.0, abs=1e-12)
