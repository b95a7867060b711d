"""A saved ensemble: the same predictions, from raw pixels, and clear refusals."""

import jax
import numpy as np
import pytest
from scipy.special import softmax

import mothernets_jax as mn
from mothernets_jax.models.variables import init
from mothernets_jax.storage import checkpoints
from mothernets_jax.utils.pytrees import named_key

INPUT_SHAPE, CLASSES = (3, 2, 2), ("ant", "bee", "cat")
MEAN, STD = np.array([90.0, 140.0], np.float32), np.array([40.0, 70.0], np.float32)
ARCHITECTURES = {
    "small": mn.mlp((4,)),
    "small_too": mn.mlp((4,)),
    "deep": mn.mlp((5, 3)),
    "normalised": mn.vgg("(3:2)", dense=(3,)),
}


@pytest.fixture(scope="module")
def ensemble():
    members = {
        name: mn.Member(
            architecture,
            init(architecture, named_key(jax.random.key(0), name), INPUT_SHAPE, 3),
        )
        for name, architecture in ARCHITECTURES.items()
    }
    return mn.Ensemble(
        members, mean=MEAN, std=STD, class_names=CLASSES, input_shape=INPUT_SHAPE
    )


@pytest.fixture(scope="module")
def workdir(ensemble, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    ensemble.save(workdir / "ensembles" / "mine")
    return workdir


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (10, *INPUT_SHAPE), np.uint8)


def numpy_logits(variables, images):
    """Of an MLP without normalisation, from raw pixels."""
    features = ((images - MEAN) / STD).reshape(len(images), -1)
    params = jax.device_get(variables["params"])
    head = params.pop("head")
    for name in sorted(params):
        layer = params[name]
        features = np.maximum(features @ layer["kernel"] + layer["bias"], 0)
    return features @ head["kernel"] + head["bias"]


def test_raw_pixels_are_normalised_within(ensemble, images):
    logits = ensemble.member_logits(images)
    assert logits.shape == (4, 10, 3)
    assert logits.dtype == np.float32
    for i, name in enumerate(["small", "small_too", "deep"]):
        expected = numpy_logits(ensemble.members[name].variables, images)
        np.testing.assert_allclose(logits[i], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(logits[0] - logits[1]).max() > 0.1  # the twins have other weights
    expected = softmax(logits.astype(np.float64), axis=-1).mean(axis=0)
    np.testing.assert_allclose(ensemble.predict(images), expected, rtol=1e-5)


def test_the_size_of_a_batch_does_not_matter(ensemble, images):
    logits = ensemble.member_logits(images)
    for batch_size in (1, 4, 10):  # 4: the last batch is half empty
        found = ensemble.member_logits(images, batch_size=batch_size)
        np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-5)


def test_a_loaded_ensemble_is_the_saved_one_bit_for_bit(ensemble, workdir, images):
    loaded = mn.Ensemble.load(workdir)  # the run holds one method
    assert list(loaded.members) == list(ARCHITECTURES)
    for name, member in loaded.members.items():
        assert member.architecture == ARCHITECTURES[name]
    assert loaded.class_names == CLASSES
    assert loaded.input_shape == INPUT_SHAPE
    assert loaded.num_params == ensemble.num_params
    assert loaded.weights == loaded.temperatures == {}
    for combine in ("average", "vote"):
        found = loaded.predict(images, combine=combine)
        np.testing.assert_array_equal(found, ensemble.predict(images, combine=combine))
    np.testing.assert_array_equal(
        mn.Ensemble.load(str(workdir), "mine").member_logits(images),
        ensemble.member_logits(images),
    )


@pytest.fixture(scope="module")
def calibrated(ensemble, images):
    labels = np.random.default_rng(1).integers(0, 3, len(images))
    return ensemble.calibrate(ensemble.member_logits(images), labels)


@pytest.mark.parametrize("name", ["weighted", "greedy", "super_learner"])
def test_fitted_weights_and_temperatures_are_used(calibrated, images, name):
    logits = calibrated.member_logits(images).astype(np.float64)
    weights = calibrated.weights[name]
    mixed = np.tensordot(weights, softmax(logits, axis=-1), axes=1)
    scores = calibrated.predict(images, combine=name)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, mixed, rtol=1e-5)
    temperature = calibrated.temperatures[name]
    expected = softmax(np.log(mixed) / temperature, axis=1)
    found = calibrated.predict(images, combine=name, calibrated=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.abs(found - scores).max() > 1e-3


def test_calibration_leaves_what_needs_none(calibrated, ensemble, images):
    assert ensemble.weights == ensemble.temperatures == {}
    for combine in ("average", "vote"):
        np.testing.assert_array_equal(
            calibrated.predict(images, combine=combine),
            ensemble.predict(images, combine=combine),
        )
        found = calibrated.predict(images, combine=combine, calibrated=True)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_of_members_that_are_all_but_certain_the_surer_wins(images):
    """Though their probabilities, rounded to float32, are equal: those of the run."""
    members = {}
    for name, predicted, margin in (("sure", 1, 20.0), ("surer", 2, 24.0)):
        shapes = init(mn.mlp((4,)), jax.random.key(0), INPUT_SHAPE, 3)
        constant = jax.tree.map(np.zeros_like, jax.device_get(shapes))
        constant["params"]["head"]["bias"][predicted] = margin
        members[name] = mn.Member(mn.mlp((4,)), constant)
    ensemble = mn.Ensemble(
        members, mean=MEAN, std=STD, class_names=CLASSES, input_shape=INPUT_SHAPE
    )
    logits = ensemble.member_logits(images)
    ensemble = ensemble.calibrate(logits, np.arange(10) % 2 + 1)
    assert ensemble.weights["weighted"].tolist() == [0.5, 0.5]
    for combine in ("average", "vote", "weighted"):
        for calibrated in (False, True):
            scores = ensemble.predict(images, combine=combine, calibrated=calibrated)
            assert scores.dtype == np.float32
            assert scores.argmax(axis=1).tolist() == [2] * 10


def test_weights_and_temperatures_are_saved(calibrated, tmp_path, images):
    calibrated.save(tmp_path / "ensembles" / "mine")
    loaded = mn.Ensemble.load(tmp_path)
    assert loaded.temperatures == calibrated.temperatures
    for name in calibrated.weights:
        np.testing.assert_array_equal(
            loaded.predict(images, combine=name, calibrated=True),
            calibrated.predict(images, combine=name, calibrated=True),
        )
    # A record of before knows of neither.
    folder = tmp_path / "ensembles" / "mine"
    record = checkpoints.read_record(folder)
    assert record is not None
    assert list(record.pop("weights")) == ["weighted", "greedy", "super_learner"]
    record.pop("temperatures")
    variables = {n: member.variables for n, member in calibrated.members.items()}
    checkpoints.save(folder, variables, record)
    assert mn.Ensemble.load(tmp_path).weights == {}


def test_what_was_not_fitted_is_refused(ensemble, images):
    how = r"calibration_fraction=0\.1.*ensemble\.calibrate"
    with pytest.raises(ValueError, match=f"'greedy', whose weights were not .*{how}"):
        ensemble.predict(images, combine="greedy")
    with pytest.raises(ValueError, match=f"'vote' has no fitted temperature: .*{how}"):
        ensemble.predict(images, combine="vote", calibrated=True)


def test_what_predict_refuses_it_explains(ensemble, images):
    shape = r"expected uint8 of shape \(batch, 3, 2, 2\), raw pixels"
    for wrong, found in [
        (images.astype(np.float32), r"float32 of shape \(10, 3, 2, 2\)"),
        (images / 255, r"float64 of shape \(10, 3, 2, 2\)"),
        (images[0], r"uint8 of shape \(3, 2, 2\)"),
        (images[:, :, :, :1], r"uint8 of shape \(10, 3, 2, 1\)"),
        (images.transpose(0, 2, 1, 3), r"uint8 of shape \(10, 2, 3, 2\)"),
        ([], r"float64 of shape \(0,\)"),
    ]:
        with pytest.raises(ValueError, match=f"images are {found}: {shape}"):
            ensemble.predict(wrong)
    with pytest.raises(ValueError, match="combine is 'mean': expected one of average"):
        ensemble.predict(images, combine="mean")


def test_nothing_predicts_nothing(ensemble, images):
    for combine in ("average", "vote"):
        scores = ensemble.predict(images[:0], combine=combine)
        assert scores.shape == (0, 3)
        assert scores.dtype == np.float32


def test_loading_explains_what_is_not_there(ensemble, workdir, tmp_path):
    with pytest.raises(ValueError, match="holds no trained ensemble"):
        mn.Ensemble.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="no ensemble of 'other': found mine"):
        mn.Ensemble.load(workdir, "other")
    for name in ("one", "two"):
        ensemble.save(tmp_path / "ensembles" / name)
    with pytest.raises(ValueError, match=r"one, two: name one.*load\(workdir, 'one'\)"):
        mn.Ensemble.load(tmp_path)
    # An unfinished one does not count.
    (tmp_path / "ensembles" / "two" / "record.json").unlink()
    assert list(mn.Ensemble.load(tmp_path).members) == list(ARCHITECTURES)
    variables = {n: member.variables for n, member in ensemble.members.items()}
    checkpoints.save(tmp_path / "ensembles" / "one", variables, {"members": {}})
    with pytest.raises(ValueError, match="is not a saved ensemble"):
        mn.Ensemble.load(tmp_path)


def test_the_number_of_parameters_by_hand(ensemble):
    # Inputs 12, classes 3; the convolution reads 2 channels, norms have 2 a channel.
    small = 12 * 4 + 4 + 4 * 3 + 3
    deep = 12 * 5 + 5 + 5 * 3 + 3 + 3 * 3 + 3
    normalised = 9 * 2 * 2 + 2 * 2 + 2 * 3 + 2 * 3 + 3 * 3 + 3
    assert ensemble.num_params == 2 * small + deep + normalised
