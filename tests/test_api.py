"""An ensemble in one call: what it trains, keeps, repeats and refuses."""

import json

import numpy as np
import pytest
from fake_runs import without_clocks
from faults import smallest

import mothernets_jax as mn
from mothernets_jax.methods import read_settings
from mothernets_jax.runs import stage_results

pytestmark = pytest.mark.usefixtures("unrendered_plots")

RNG = np.random.default_rng(0)
LABELS = RNG.permutation(np.repeat([3, 5, 9], 40))
# Three clouds, of features on very different scales.
CENTRES = 3 * np.eye(4)[np.searchsorted([3, 5, 9], LABELS)]
FEATURES = (RNG.normal(size=(120, 4)) + CENTRES) * [1, 100, 0.01, 1e4]
MEMBERS = {"A": mn.mlp((4,), batch_norm=True), "B": "mlp 6; batch_norm"}
RECIPE = {
    "train": {"epochs": 8},
    "settings": {"hatch.epochs": 2, "hatch.warmup_epochs": 0.0},
    "progress": False,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("api") / "run"
    return mn.train(FEATURES, LABELS, members=MEMBERS, workdir=workdir, **RECIPE)


def test_features_are_learned_and_standardised(trained):
    assert trained.class_names == ("3", "5", "9")
    assert trained.input_shape == (1, 1, 4) and trained.input_dtype == np.float32
    assert trained.members.keys() == {"A", "B"}
    data = mn.Dataset.from_arrays(FEATURES, LABELS)
    train = data.train_images[:, 0, 0].astype(np.float64)
    np.testing.assert_allclose(trained.mean, train.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(trained.std, train.std(axis=0), rtol=1e-5)
    predicted = np.asarray(trained.class_names)[trained.predict(FEATURES).argmax(1)]
    assert (predicted.astype(int) != LABELS).mean() < 0.2  # 0.67 by guessing
    error = trained.results["methods"]["mothernets"]["ensemble"]["average"]["error"]
    tested = trained.predict(data.test_images).argmax(axis=1)
    assert (tested != data.test_labels).mean() == pytest.approx(error)


def test_the_run_is_whole_and_the_page_is_there(trained):
    again = mn.Ensemble.load(trained.workdir)
    images = FEATURES[:7]
    np.testing.assert_array_equal(again.predict(images), trained.predict(images))
    assert json.loads((trained.workdir / "results.json").read_text()) == trained.results
    assert trained.of_method("mothernets").members.keys() == trained.members.keys()
    with pytest.raises(ValueError, match="full_data"):
        trained.of_method("full_data")
    page = (trained.workdir / "report.html").read_text()
    assert str(trained.report()) == str(trained.workdir / "report.html")
    assert (trained.workdir / "report.html").read_text() == page


def test_the_same_call_trains_nothing_again(trained, monkeypatch):
    monkeypatch.setattr(stage_results, "run_stage", None)
    given = {"members": MEMBERS, "workdir": trained.workdir, **RECIPE}
    again = mn.train(FEATURES, LABELS, **given)
    assert again.results == trained.results
    with pytest.raises(ValueError, match="other data: labels of the"):
        mn.train(FEATURES, LABELS[::-1], **given)
    with pytest.raises(ValueError, match="another experiment: .*seed is 0 there and 1"):
        mn.train(FEATURES, LABELS, seed=1, **given)


def test_without_a_folder_the_same_call_finds_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = []

    def fake(settings, *, workdir, dataset, **_):
        folders.append(workdir)
        assert settings.data.name == "arrays" and settings.data.flip == "none"
        assert settings.data.crop_padding == 0 and settings.train.batch_size == 8
        raise ValueError("enough")

    monkeypatch.setattr("mothernets_jax.api.train_and_evaluate", fake)
    for labels, seed in ((LABELS, 0), (LABELS, 0), (LABELS[::-1], 0), (LABELS, 1)):
        with pytest.raises(ValueError, match="enough"):
            mn.train(FEATURES, labels, seed=seed, **RECIPE)
    assert folders[0] == folders[1] and len(set(folders)) == 3
    assert all(folder.parent.name == "runs" for folder in folders)


@pytest.mark.parametrize(
    ("name", "flip", "padding"),
    [("digits", "none", 1), ("mnist", "none", 4), ("cifar10", "random", 4)],
)
def test_signs_are_not_mirrored_nor_pushed_out_of_the_picture(
    name, flip, padding, tmp_path, monkeypatch
):
    found = []

    def fake(settings, **_):
        found.append(settings.data)
        raise ValueError("enough")

    monkeypatch.setattr("mothernets_jax.api.train_and_evaluate", fake)
    own = {"data": {"flip": "alternating", "crop_padding": 2}}
    for settings in ({}, own):
        with pytest.raises(ValueError, match="enough"):
            mn.train(name, settings=settings, workdir=tmp_path)
    assert [(data.flip, data.crop_padding) for data in found] == [
        (flip, padding),
        ("alternating", 2),
    ]


def test_from_python_and_from_a_config_the_bits_are_the_same(tmp_path):
    config = smallest.get_config("smallest")
    settings = json.loads(json.dumps(config.to_dict()))
    settings["train"]["epochs"] = settings["hatch"]["epochs"] = 1
    settings["budget"]["epochs"] = 6.0
    del settings["data"]["name"]
    members = settings.pop("architectures")
    one = mn.train(
        "digits",
        members=members,
        workdir=tmp_path / "python",
        settings=settings,
        progress=False,
    )
    config.update_from_flattened_dict(smallest.EPOCHS)
    config.methods = tuple(settings["methods"])
    two = smallest.run(tmp_path / "config", read_settings(config))
    expected = without_clocks(two["methods"])
    assert without_clocks(one.results["methods"]) == expected
    other = mn.Ensemble.load(tmp_path / "config")
    images = np.zeros((3, 8, 8, 1), np.uint8)
    np.testing.assert_array_equal(
        one.member_logits(images), other.member_logits(images)
    )


DATASET = mn.Dataset.from_arrays(FEATURES, LABELS)


@pytest.mark.parametrize(
    ("data", "labels", "given", "message"),
    [
        (FEATURES, None, {}, "labels is missing"),
        (DATASET, LABELS, {}, "labels given, and data is Dataset, which has its own"),
        ("digits", None, {"groups": LABELS}, "groups given, and data is 'digits'"),
        (DATASET, None, {"settings": {"data.test_fraction": 0.5}}, "make the Dataset"),
        (FEATURES, LABELS, {"settings": {"data.fold": 1}}, "settings.data.fold is 1"),
        (FEATURES, LABELS, {"train": {"lr": 1}}, "mean settings.train.learning_rate"),
        (FEATURES, LABELS, {"epochs": 3}, "no setting settings.epochs"),
        (FEATURES, LABELS, {"budget": "3 bananas"}, "settings.budget.limit is '3 ban"),
        (FEATURES, LABELS, {"budget": True}, "budget is True: expected text such as"),
        (FEATURES, LABELS, {"members": {"A": "mlp x"}}, "settings.architectures.A: "),
        (FEATURES, LABELS, {"members": ["mlp 4"]}, "members is .*: expected networks"),
        (FEATURES, LABELS, {"settings": 3}, "settings is 3: expected settings by name"),
        (FEATURES, LABELS, {"train": 3}, "settings.train is 3: expected a group of"),
        (
            FEATURES,
            LABELS,
            {"settings": {"seed": 1, "seed.x": 2}},
            "settings.seed is 1 and {'x': 2}: expected only one of them",
        ),
        (FEATURES, LABELS, {"augment": 3}, "the augmentation is a int: expected a fun"),
        ("no/such/folder", None, {}, "no/such/folder"),
        ("ciffar10", None, {}, "unknown data set 'ciffar10'.* mean 'cifar10'"),
    ],
)
def test_what_cannot_be_meant(tmp_path, data, labels, given, message):
    with pytest.raises((ValueError, OSError), match=message) as caught:
        mn.train(data, labels, workdir=tmp_path / "run", progress=False, **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
