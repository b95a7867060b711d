"""`MotherNetsClassifier`: scikit-learn's own checks, and what they do not look at."""

import json
import pickle
import tempfile

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

import mothernets_jax as mn
from mothernets_jax import api

TINY = {
    "members": {"A": "mlp 3", "B": "mlp 4"},
    "epochs": 4,
    "learning_rate": 0.05,
    "random_state": 0,
}
# Of scikit-learn's checks those that are quick: most train nothing.
QUICK = """
    check_estimator_cloneable check_no_attributes_set_in_init check_mixin_order
    check_estimators_unfitted check_parameters_default_constructible check_fit1d
    check_get_params_invariance check_set_params check_requires_y_none
    check_classifiers_one_label check_classifiers_regression_target check_complex_data
    check_supervised_y_no_nan check_estimator_sparse_tag check_fit2d_1sample
    check_estimators_empty_data_messages check_valid_tag_types
""".split()


@pytest.fixture(scope="module")
def blobs():
    features, labels = make_blobs(40, 3, centers=2, random_state=0)
    return features, np.where(labels, "yes", "no")


@pytest.fixture(scope="module")
def fitted(blobs, tmp_path_factory):
    """A fit, which leaves no files."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.chdir(folder)
        classifier = mn.MotherNetsClassifier(**TINY).fit(*blobs)
    assert not list(folder.iterdir())
    return classifier


def test_checks_of_scikit_learn_that_are_quick():
    found = set()
    for estimator, check in estimator_checks_generator(mn.MotherNetsClassifier(**TINY)):
        name = check.func.__name__
        if name in QUICK:
            found.add(name)
            check(estimator)
    assert found == set(QUICK)


@pytest.mark.slow
def test_every_check_of_scikit_learn():
    members = {"A": "mlp 8", "B": "mlp 12"}
    estimator = mn.MotherNetsClassifier(members, epochs=20, learning_rate=0.03)
    done = check_estimator(estimator, on_skip=None)
    assert {own["status"] for own in done} <= {"passed", "skipped"}
    assert len(done) > 40


def test_labels_keep_their_kind(fitted, blobs):
    features, labels = blobs
    assert fitted.classes_.tolist() == ["no", "yes"]
    assert fitted.n_features_in_ == 3
    assert fitted.score(features, labels) > 0.8
    probabilities = fitted.predict_proba(features)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    chosen = np.array(["no", "yes"])[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(fitted.predict(features), chosen)


def test_negative_labels_and_equal_fits(fitted, blobs):
    features, labels = blobs
    numbers = np.where(labels == "no", -3, 7)
    again = clone(fitted).fit(features, numbers)
    assert again.classes_.tolist() == [-3, 7]
    np.testing.assert_array_equal(
        again.predict_proba(features), fitted.predict_proba(features)
    )


def test_rows_do_not_depend_on_one_another(fitted, blobs):
    features, _ = blobs
    alone = [fitted.predict_proba(features[i : i + 1])[0] for i in range(5)]
    np.testing.assert_array_equal(fitted.predict_proba(features)[:5], alone)


@pytest.mark.parametrize("library", [pickle, joblib])
def test_a_pickle_holds_the_networks_as_saved_files(library, fitted, blobs, tmp_path):
    path = tmp_path / "classifier"
    with path.open("wb") as file:
        library.dump(fitted, file)
    with path.open("rb") as file:
        again = library.load(file)
    features, _ = blobs
    np.testing.assert_array_equal(
        again.predict_proba(features), fitted.predict_proba(features)
    )
    assert isinstance(fitted.__getstate__()["ensemble_"], bytes)


def test_a_damaged_pickle_is_refused(fitted):
    state = fitted.__getstate__()
    state["ensemble_"] = state["ensemble_"][:-50]
    with pytest.raises(ValueError, match="no archive of an ensemble"):
        mn.MotherNetsClassifier().__setstate__(state)


def test_a_workdir_keeps_the_run_and_its_page(blobs, tmp_path, monkeypatch):
    pages = []
    monkeypatch.setattr(api, "write_report", lambda *of_page: pages.append(of_page))
    features, labels = blobs
    classifier = mn.MotherNetsClassifier(**TINY, workdir=tmp_path / "run")
    classifier.fit(features, labels)
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["data"]["test_examples"] == 4  # a tenth of 40
    assert results["data"]["train_examples"] == 36
    error = results["methods"]["mothernets"]["ensemble"]["average"]["error"]
    assert classifier.validation_score_ == 1 - error
    assert classifier.ensemble_.workdir == tmp_path / "run"
    assert len(pages) == 1
    with pytest.raises(ValueError, match="data"):
        clone(classifier).fit(-features, labels)


def test_selection_and_pipelines_in_threads(blobs):
    twice = np.tile(blobs[0], (2, 1)), np.tile(blobs[1], 2)
    pipeline = make_pipeline(StandardScaler(), mn.MotherNetsClassifier(**TINY))
    with joblib.parallel_backend("threading"):
        scores = cross_val_score(pipeline, *twice, cv=2, n_jobs=2)
    assert scores.min() > 0.7
    grid = {"mothernetsclassifier__learning_rate": [0.0, 0.05]}
    search = GridSearchCV(pipeline, grid, cv=2, refit=False).fit(*twice)
    assert search.best_params_ == {"mothernetsclassifier__learning_rate": 0.05}


@pytest.mark.slow
def test_processes_of_joblib(blobs):
    classifier = mn.MotherNetsClassifier(**TINY)
    assert cross_val_score(classifier, *blobs, cv=2, n_jobs=2).min() > 0.7


def test_a_fit_is_quiet(fitted, blobs, caplog, capfd):
    """Even where rows are held out whose equals train, as in `twice` above."""
    twice = np.tile(blobs[0][:20], (2, 1)), np.tile(blobs[1][:20], 2)
    clone(fitted).fit(*twice)
    assert not [own for own in caplog.records if own.levelname != "INFO"]
    assert capfd.readouterr() == ("", "")


def test_rows_can_be_images():
    images = np.random.default_rng(0).integers(0, 99, (24, 6), dtype=np.uint8)
    labels = np.arange(24) % 2
    classifier = mn.MotherNetsClassifier(
        {"A": "mlp 3"}, epochs=1, image_shape=(2, 3, 1), random_state=0
    )
    classifier.fit(images, labels)
    assert classifier.ensemble_.input_shape == (2, 3, 1)
    assert classifier.ensemble_.input_dtype == np.uint8
    assert classifier.predict(images).shape == (24,)
    classifier.set_params(image_shape=(4, 3, 1))
    with pytest.raises(ValueError, match="6 features: expected height"):
        classifier.fit(images, labels)


@pytest.mark.parametrize(
    ("labels", "parameters", "message"),
    [
        ([1] * 8, {}, "y has one class, 1: expected at least two"),
        (list(range(8)), {}, "8 examples of 8 classes"),
        ([0, 1] * 4, {"validation_fraction": 0.0}, "validation_fraction is 0.0"),
        ([0, 1] * 4, {"epochs": 0}, "settings.train.epochs is 0"),
        ([0, 1] * 4, {"random_state": -1}, "settings.seed is -1"),
    ],
)
def test_parameters_that_cannot_be_used(labels, parameters, message):
    features = np.random.default_rng(0).normal(size=(8, 2))
    with pytest.raises(ValueError, match=message):
        mn.MotherNetsClassifier(**TINY | parameters).fit(features, labels)
