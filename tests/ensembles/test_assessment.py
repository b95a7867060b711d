"""Members' own predictions, doubt, and measures on labelled images."""

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, roc_auc_score

import mothernets_jax as mn

SHAPE, CLASSES = (3, 3, 1), ("ant", "bee", "cow")
NETWORKS = {"A": mn.mlp((4,)), "B": mn.mlp((5,)), "C": mn.mlp((4,))}
DRAWN = np.random.default_rng(0)
IMAGES = DRAWN.integers(0, 256, (12, *SHAPE), np.uint8)
OTHERS = DRAWN.integers(0, 50, (7, *SHAPE), np.uint8)
LABELS = np.arange(12) % 3


@pytest.fixture(scope="module")
def ensemble():
    members = {
        name: (network, mn.init(network, jax.random.key(i), SHAPE, 3))
        for i, (name, network) in enumerate(NETWORKS.items())
    }
    return mn.Ensemble(
        members, mean=120, std=30, class_names=CLASSES, input_shape=SHAPE
    )


@pytest.fixture(scope="module")
def calibrated(ensemble):
    return ensemble.calibrate(
        ensemble.member_logits(OTHERS), ["ant", "cow"] * 3 + ["bee"]
    )


def test_members_predict_by_themselves(ensemble, calibrated):
    found = ensemble.predict(IMAGES, members=True)
    assert found.shape == (3, 12, 3) and found.dtype == np.float32
    for own, (name, member) in zip(found, ensemble.members.items(), strict=True):
        alone = mn.Ensemble(
            {name: member}, mean=120, std=30, class_names=CLASSES, input_shape=SHAPE
        )
        np.testing.assert_array_equal(own, alone.predict(IMAGES))
    np.testing.assert_allclose(found.mean(axis=0), ensemble.predict(IMAGES), rtol=1e-6)
    assert ensemble.predict(IMAGES[:0], members=True).shape == (3, 0, 3)
    for options in ({"combine": "vote"}, {"calibrated": True}):
        with pytest.raises(ValueError, match="members is True, .*leave these two out"):
            calibrated.predict(IMAGES, members=True, **options)


def test_doubt_is_that_of_the_members_predictions(ensemble, calibrated):
    probabilities = ensemble.predict(IMAGES, members=True).astype(np.float64)
    mean = probabilities.mean(axis=0)
    found = ensemble.uncertainty(IMAGES, batch_size=5)
    np.testing.assert_allclose(found.entropy, stats.entropy(mean, axis=1), rtol=1e-4)
    information = found.entropy - stats.entropy(probabilities, axis=2).mean(axis=0)
    np.testing.assert_allclose(found.mutual_information, information, atol=1e-5)
    predicted = mean.argmax(axis=1)
    spread = probabilities[:, np.arange(12), predicted].std(axis=0)
    np.testing.assert_allclose(found.spread, spread, atol=1e-5)
    assert found.disagreement.max() > 0
    for own, again in zip(
        found, calibrated.uncertainty(IMAGES, batch_size=5), strict=True
    ):
        np.testing.assert_array_equal(own, again)


def test_a_member_that_has_failed_is_named(ensemble):
    (network, variables), broken = ensemble.members["A"], {}
    broken = jax.tree.map(lambda leaf: leaf * np.inf, variables)
    made = mn.Ensemble({"A": (network, broken)}, mean=120, std=30, input_shape=SHAPE)
    for ask in (
        made.uncertainty,
        lambda images: made.predict(images, members=True),
        lambda images: made.evaluate(images, LABELS),
    ):
        with pytest.raises(ValueError, match="the member A answers some of these"):
            ask(IMAGES)


def test_measures_are_scikit_learns(ensemble):
    found = ensemble.evaluate(IMAGES, LABELS, ood_images=OTHERS)
    probabilities = ensemble.predict(IMAGES).astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    average, predicted = found["ensemble"]["average"], probabilities.argmax(axis=1)
    assert average["error"] == pytest.approx(1 - accuracy_score(LABELS, predicted))
    assert average["nll"] == pytest.approx(log_loss(LABELS, probabilities), rel=1e-5)
    counts = np.zeros((3, 3), int)
    for true, answer, number in found["confusion"]:
        counts[true, answer] = number
    np.testing.assert_array_equal(counts, confusion_matrix(LABELS, predicted))
    for name, own in zip("ABC", ensemble.predict(IMAGES, members=True), strict=True):
        entry = found["members"][name]
        error = 1 - accuracy_score(LABELS, own.argmax(axis=1))
        assert entry["error"] == pytest.approx(error)
        assert entry["architecture"] == str(NETWORKS[name])
    assert found["members"]["A"]["parameters"] == 9 * 4 + 4 + 4 * 3 + 3
    doubt = [1 - ensemble.predict(own).max(axis=1) for own in (IMAGES, OTHERS)]
    area = roc_auc_score([0] * 12 + [1] * 7, np.concatenate(doubt))
    assert found["ood"]["auroc_max_probability"] == pytest.approx(area)


def test_labels_may_be_names(ensemble):
    names = [CLASSES[label] for label in LABELS]
    assert ensemble.evaluate(IMAGES, names) == ensemble.evaluate(IMAGES, LABELS)


def test_calibrated_measures_are_at_the_ensembles_temperature(calibrated):
    found = calibrated.evaluate(IMAGES, LABELS)
    average = found["ensemble"]["average"]
    assert average["temperature"] == calibrated.temperatures["average"]
    of_ensemble = {
        "nll": average["calibrated"]["nll"],
        "temperature": "the calibration split",
    }
    assert found["deep_ensemble_equivalent"] == of_ensemble
    assert found["ensemble"].keys() >= {"weighted", "greedy", "super_learner"}


def test_what_cannot_be_measured_is_told(ensemble):
    for images, labels, message in [
        (IMAGES, LABELS[:4], "12 images and 4 labels: expected equally many"),
        (IMAGES[:0], [], "0 images and 0 labels: .*at least one"),
        (IMAGES, ["ant"] * 11 + ["dog"], "1 of 12 labels are 'dog'"),
        (IMAGES / 255, LABELS, "images are float64"),
    ]:
        with pytest.raises(ValueError, match=message):
            ensemble.evaluate(images, labels)
    with pytest.raises(ValueError, match="0 ood_images: expected at least one"):
        ensemble.evaluate(IMAGES, LABELS, ood_images=IMAGES[:0])
