"""A cascade answers as its rule says, image by image, and is fitted as it states."""

import math

import jax
import numpy as np
import pytest
from scipy.special import softmax

import mothernets_jax as mn
from mothernets_jax.ensembles.cascade import Cascade, fit_cascade

SHAPE, CLASSES = (2, 2, 1), ("ant", "bee", "cow")
WIDTHS = {"wide": 5, "narrow": 3, "middle": 4}  # not in the order of their costs
IMAGES = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), np.uint8)
LABELS = np.random.default_rng(1).integers(0, 3, 40)


@pytest.fixture(scope="module")
def ensemble():
    members = {}
    for seed, (name, width) in enumerate(WIDTHS.items()):
        network = mn.mlp((width,))
        members[name] = network, mn.init(network, jax.random.key(seed), SHAPE, 3)
    return mn.Ensemble(
        members, mean=100.0, std=30.0, class_names=CLASSES, input_shape=SHAPE
    )


@pytest.fixture(scope="module")
def logits(ensemble):
    return ensemble.member_logits(IMAGES)


def rescaled(probabilities, temperature):
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("batch_size", [512, 16])
@pytest.mark.parametrize(
    "thresholds",
    [(0, 0), (0.1, 0.4), (0.3, 0.3), (0.8, 0.2), (0.5, math.inf), (math.inf,) * 2],
)
def test_each_image_is_answered_as_the_rule_says(
    ensemble, logits, thresholds, batch_size
):
    temperatures = 0.7, 1.2, 1.5
    cascade = Cascade(ensemble, temperatures=temperatures, thresholds=thresholds)
    found = cascade.predict(IMAGES, batch_size=batch_size)
    assert cascade.order == ("narrow", "middle", "wide")
    # Two FLOPs for each weight of 4 inputs, the hidden layer and 3 classes.
    costs = [2 * (4 * width + width * 3) for width in (3, 4, 5)]
    assert cascade.flops.tolist() == costs
    by_cost = softmax(logits[[1, 2, 0]].astype(np.float64), axis=-1)
    asked = []
    for place in range(len(IMAGES)):
        for count in (1, 2, 3):
            mean = by_cost[:count, place].mean(axis=0)
            answer = rescaled(mean, temperatures[count - 1])
            second, first = sorted(answer)[-2:]
            if count == 3 or first - second >= thresholds[count - 1]:
                break
        asked.append(count)
        np.testing.assert_allclose(found.probabilities[place], answer, atol=1e-5)
        assert found.flops[place] == sum(costs[:count])
    assert found.asked.tolist() == asked
    expected = {(0, 0): {1}, (math.inf,) * 2: {3}, (0.5, math.inf): {1, 3}}
    assert set(asked) == expected.get(thresholds, set(asked))
    assert thresholds in expected or len(set(asked)) > 1


def test_with_all_members_asked_it_is_the_calibrated_ensemble(ensemble, logits):
    fitted = ensemble.calibrate(logits, LABELS)
    cascade = fit_cascade(ensemble, logits, LABELS)
    assert cascade.temperatures[-1] == pytest.approx(fitted.temperatures["average"])
    everyone = Cascade(
        ensemble, temperatures=cascade.temperatures, thresholds=(math.inf,) * 2
    )
    np.testing.assert_allclose(
        everyone.predict(IMAGES).probabilities,
        fitted.predict(IMAGES, calibrated=True),
        atol=1e-6,
    )


@pytest.mark.parametrize("loss", [0, 0.01, 0.05, 1])
def test_no_more_is_expected_to_be_lost_than_stated(ensemble, logits, loss):
    """By the whole ensemble's probabilities, on the images of the fit."""
    names = np.asarray(CLASSES)[LABELS]  # labels may be names
    cascade = fit_cascade(ensemble, logits, names, accuracy_loss=loss)
    found = cascade.predict(IMAGES)
    whole = ensemble.calibrate(logits, LABELS).predict(IMAGES, calibrated=True)
    answers = found.probabilities.argmax(axis=1)
    lost = whole.max(axis=1) - whole[np.arange(len(IMAGES)), answers]
    assert lost.mean() <= loss + 1e-6
    right = (answers == LABELS).mean()
    assert right >= (whole.argmax(axis=1) == LABELS).mean() - loss - 1e-9
    if loss == 1:
        assert (found.asked == 1).all()
    if loss == 0:
        assert (lost == 0).all()


def test_no_images_are_no_error(ensemble):
    cascade = Cascade(ensemble, temperatures=(1, 1, 1), thresholds=(0.5, 0.5))
    found = cascade.predict(IMAGES[:0])
    assert found.probabilities.shape == (0, 3)
    assert len(found.asked) == len(found.flops) == 0


def test_what_cannot_be_is_refused(ensemble, logits):
    for temperatures in ((1, 1), (1, 1, 0), (1, 1, math.nan)):
        with pytest.raises(ValueError, match="temperatures are .*: expected 3 numbers"):
            Cascade(ensemble, temperatures=temperatures, thresholds=(0.5, 0.5))
    for thresholds in ((0.5,), (0.5, -0.1), (math.nan, 0.5)):
        with pytest.raises(ValueError, match="thresholds are .*: expected 2 numbers"):
            Cascade(ensemble, temperatures=(1, 1, 1), thresholds=thresholds)
    for loss in (-0.1, 1.1, "0.1", math.nan):
        with pytest.raises(ValueError, match="accuracy_loss is .*: expected a share"):
            fit_cascade(ensemble, logits, LABELS, accuracy_loss=loss)
    with pytest.raises(ValueError, match="logits are"):
        fit_cascade(ensemble, logits[:2], LABELS)
    cascade = Cascade(ensemble, temperatures=(1, 1, 1), thresholds=(0.5, 0.5))
    with pytest.raises(ValueError, match="expected uint8 of shape"):
        cascade.predict(IMAGES.astype(float))
    with pytest.raises(ValueError, match="batch_size is 0"):
        cascade.predict(IMAGES, batch_size=0)


def test_a_member_that_answers_nothing_finite_is_named(ensemble):
    members = dict(ensemble.members)
    network, variables = members["narrow"]
    broken = jax.tree.map(lambda leaf: leaf * np.nan, variables)
    members["narrow"] = mn.Member(network, broken)
    other = mn.Ensemble(members, mean=100.0, std=30.0, input_shape=SHAPE)
    cascade = Cascade(other, temperatures=(1, 1, 1), thresholds=(0.5, 0.5))
    with pytest.raises(ValueError, match="the member narrow answers"):
        cascade.predict(IMAGES)
