"""`Ensemble.save` and `Ensemble.load` are inverses, and spare what is not theirs."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mothernets_jax as mn
from mothernets_jax.data.preparation import Preparation
from mothernets_jax.storage import checkpoints

INPUT_SHAPE, CLASSES = (4, 4, 1), ("ant", "bee")
NETWORKS = {"plain": mn.mlp((3,)), "normalised": mn.vgg("(3:2)")}
IMAGES = np.random.default_rng(0).integers(0, 256, (6, *INPUT_SHAPE), np.uint8)
COMBINATIONS = ("average", "vote", "weighted", "greedy", "super_learner")


def variables_of(name, seed=0):
    return mn.init(NETWORKS[name], jax.random.key(seed), INPUT_SHAPE, len(CLASSES))


def ensemble_of(variables, **changes):
    members = {n: mn.Member(NETWORKS[n], own) for n, own in variables.items()}
    options = {
        "mean": np.array([100.1], np.float32),
        "std": np.array([33.3], np.float32),
        "class_names": CLASSES,
        "input_shape": INPUT_SHAPE,
    }
    return mn.Ensemble(members, **{**options, **changes})


@pytest.fixture(scope="module")
def plain():
    return {"plain": variables_of("plain")}


@pytest.fixture(scope="module")
def ensemble():
    made = ensemble_of({name: variables_of(name) for name in NETWORKS})
    return made.calibrate(made.member_logits(IMAGES), np.array([0, 1] * 3))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Paths may be relative."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_same(found, expected):
    """All that an ensemble has and predicts, bit for bit."""
    leaves = [
        {name: (str(m.architecture), m.variables) for name, m in e.members.items()}
        for e in (found, expected)
    ]
    assert jax.tree.structure(leaves[0]) == jax.tree.structure(leaves[1])
    jax.tree.map(np.testing.assert_array_equal, *leaves)
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.std, expected.std)
    assert (found.class_names, found.input_shape) == (CLASSES, INPUT_SHAPE)
    assert found.temperatures == expected.temperatures
    assert found.weights.keys() == expected.weights.keys()
    for name, own in expected.weights.items():
        np.testing.assert_array_equal(found.weights[name], own)
    for combine in COMBINATIONS:
        for calibrated in (False, True):
            np.testing.assert_array_equal(
                found.predict(IMAGES, combine=combine, calibrated=calibrated),
                expected.predict(IMAGES, combine=combine, calibrated=calibrated),
            )


@pytest.mark.parametrize("path", ["mine", "a/b/mine", Path("mine"), "~/mine"])
def test_what_is_saved_is_loaded_from_the_same_path(ensemble, path, here, monkeypatch):
    monkeypatch.setenv("HOME", str(here / "home"))
    ensemble.save(path)
    check_same(mn.Ensemble.load(path), ensemble)
    assert (here / "home" / "mine").exists() == str(path).startswith("~")
    assert not Path("~").exists()


def test_one_of_a_run_is_loaded_by_its_method_or_by_its_own_folder(ensemble):
    other = ensemble_of({"plain": variables_of("plain", 1)})
    ensemble.save("run/ensembles/mine")
    other.save("run/ensembles/other")
    check_same(mn.Ensemble.load("run", "mine"), ensemble)
    check_same(mn.Ensemble.load("run/ensembles/mine"), ensemble)
    assert list(mn.Ensemble.load("run/ensembles/other").members) == ["plain"]
    for method in ("mine", "other"):  # never ignored
        with pytest.raises(ValueError, match=f"leave out the method, .* '{method}'"):
            mn.Ensemble.load("run/ensembles/mine", method)


def test_a_damaged_ensemble_does_not_hide_the_others(ensemble):
    ensemble.save("run/ensembles/mine")
    ensemble.save("run/ensembles/other")
    Path("run/ensembles/other/record.json").write_text("{")
    check_same(mn.Ensemble.load("run", "mine"), ensemble)
    with pytest.raises(ValueError, match=r"other/record\.json is damaged"):
        mn.Ensemble.load("run", "other")


def test_a_saved_ensemble_is_replaced_and_files_beside_it_stay(ensemble):
    ensemble_of({"plain": variables_of("plain", 1)}).save("mine")
    Path("mine/README.md").write_text("about it")
    ensemble.save("mine")
    check_same(mn.Ensemble.load("mine"), ensemble)
    found = {path.name for path in Path("mine").iterdir()}
    assert found == {"record.json", "variables", "README.md"}


def test_an_interrupted_save_leaves_nothing_in_the_way(ensemble, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    for path in ("new", "mine"):
        ensemble.save("mine")
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints.manifest, "write", fail)
            with pytest.raises(KeyboardInterrupt):
                ensemble.save(path)
        with pytest.raises(ValueError, match="holds no trained ensemble: it is empty"):
            mn.Ensemble.load(path)
        ensemble.save(path)
        check_same(mn.Ensemble.load(path), ensemble)


# What a user has in the folder, and the file that the message names.
OTHERS = [
    (["notes.txt"], "notes.txt"),
    (["photos/0.png"], "photos"),
    (["variables"], "variables"),
    (["variables/0.csv"], "variables"),
    (["record.json"], "record.json"),
    (["record.json", "variables/0.csv"], "record.json"),
    (["variables/manifest.ocdbt"], "variables"),  # of Orbax, but whose?
    (["variables.orbax-checkpoint-tmp-7/0"], "variables.orbax-checkpoint-tmp-7"),
]


@pytest.mark.parametrize(("names", "named"), OTHERS)
def test_files_of_others_are_neither_deleted_nor_mixed_with(ensemble, names, named):
    for name in names:
        Path("mine", name).parent.mkdir(parents=True, exist_ok=True)
        Path("mine", name).write_text("{}")
    with pytest.raises(ValueError, match=f"^mine is neither .* found '{named}'"):
        ensemble.save("mine")
    found = {str(p.relative_to("mine")) for p in Path("mine").rglob("*") if p.is_file()}
    assert found == set(names)
    assert all(Path("mine", name).read_text() == "{}" for name in names)


@pytest.mark.parametrize("name", ["variables/notes.txt", "variables.csv"])
def test_files_that_replacing_would_delete_are_named(ensemble, name):
    ensemble.save("mine")
    Path("mine", name).write_text("a")
    with pytest.raises(ValueError, match=f"^mine is neither .* found '{name}'"):
        ensemble.save("mine")
    assert Path("mine", name).read_text() == "a"


def test_no_link_is_followed_when_saving(ensemble, here):
    ensemble.save("elsewhere")
    before = Path("elsewhere/record.json").read_bytes()
    other = ensemble_of({"plain": variables_of("plain", 1)})
    for target in ("elsewhere", "nowhere", "."):
        os.symlink(target, "link")
        with pytest.raises(ValueError, match="^link is a link: expected the path of"):
            other.save("link")
        os.unlink("link")
    for name in ("record.json", "variables"):
        folder = Path(f"linked_{name}")
        folder.mkdir()
        (folder / name).symlink_to(here / "elsewhere" / name)
        with pytest.raises(ValueError, match=f"found '{name}'"):
            other.save(folder)
    assert Path("elsewhere/record.json").read_bytes() == before
    check_same(mn.Ensemble.load("elsewhere"), ensemble)
    os.symlink(here, here / "above")  # folders above may be links
    other.save("above/new")
    assert Path("new/record.json").is_file()


def test_a_path_that_is_no_folder_is_refused(ensemble):
    Path("file").write_text("a")
    with pytest.raises(ValueError, match="^file is a file: expected the path of a"):
        ensemble.save("file")
    with pytest.raises(ValueError, match="^file/mine is in .*file, which is a file"):
        ensemble.save("file/mine")
    for act in (ensemble.save, mn.Ensemble.load):
        with pytest.raises(ValueError, match="path is 5: expected a path"):
            act(5)
        with pytest.raises(ValueError, match="path is '~nobody-here/x': Could not"):
            act("~nobody-here/x")
    assert Path("file").read_text() == "a"


def test_loading_says_what_is_there_instead(ensemble):
    Path("file").write_text("a")
    Path("empty").mkdir()
    for number in range(7):
        Path(f"photos/{number}").mkdir(parents=True)
    ensemble.save("run/ensembles/mine")
    expected = r"Expected a finished run's folder, .*ensembles/.* Ensemble\.save has"
    for path, found in [
        ("nothing", "it does not exist"),
        ("file", "it is a file"),
        ("empty", "it is empty"),
        ("photos", "found '0', '1', '2', '3', '4' and 2 more there"),
        ("run/ensembles", "found 'mine' there"),
    ]:
        message = f"^{path} holds no trained ensemble: {found}. {expected}"
        with pytest.raises(ValueError, match=message):
            mn.Ensemble.load(path)


UNSAVEABLE = [
    ({"class_names": (0, 1)}, r"class_names are \[0, 1\]: expected texts"),
    ({"input_shape": (5, 4, 1)}, r"is \(16, 3\): expected \(20, 3\)"),
    ({"weights": {"mine": np.ones(1)}}, "weights are .*: expected some of weighted"),
    ({"temperatures": {"vote": np.nan}}, "temperatures is .*: expected 1 finite"),
]


@pytest.mark.parametrize(("changes", "reason"), UNSAVEABLE)
def test_what_could_not_be_loaded_is_not_saved(plain, changes, reason):
    ensemble_of(plain).save("mine")
    wrong = ensemble_of(plain, **changes)
    with pytest.raises(ValueError, match=f"the ensemble cannot be saved: .*{reason}"):
        wrong.save("mine")
    assert list(mn.Ensemble.load("mine").members) == ["plain"]  # the old one is there


def test_a_name_that_could_not_be_loaded_is_not_saved(ensemble):
    wrong = mn.Ensemble(
        {"V5-a": ensemble.members["plain"]},
        mean=ensemble.mean,
        std=ensemble.std,
        class_names=CLASSES,
        input_shape=INPUT_SHAPE,
    )
    with pytest.raises(ValueError, match="cannot be saved: a member is 'V5-a'"):
        wrong.save("mine")
    assert not Path("mine").exists()


def test_lists_and_scalars_of_numpy_are_saved_as_well(plain):
    made = ensemble_of(
        {"plain": {"params": plain["plain"]["params"]}},  # no statistics to keep
        weights={"greedy": [1]},
        temperatures={"vote": np.float32(1.5)},
        input_shape=tuple(np.int64(size) for size in INPUT_SHAPE),
    )
    made.save("mine")
    loaded = mn.Ensemble.load("mine")
    assert loaded.temperatures == {"vote": 1.5}
    assert loaded.weights["greedy"].dtype == np.float64
    np.testing.assert_array_equal(
        loaded.predict(IMAGES, combine="greedy"),
        made.predict(IMAGES, combine="greedy"),
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_dtype_is_kept(plain, dtype):
    halved = jax.tree.map(lambda leaf: leaf.astype(dtype), plain)
    made = ensemble_of(halved)
    made.save("mine")
    loaded = mn.Ensemble.load("mine")
    leaf = loaded.members["plain"].variables["params"]["head"]["kernel"]
    assert leaf.dtype == jnp.dtype(dtype)
    np.testing.assert_array_equal(loaded.predict(IMAGES), made.predict(IMAGES))


def test_with_float64_enabled_a_good_ensemble_is_not_called_damaged(ensemble, x64):
    ensemble.save("mine")
    loaded = mn.Ensemble.load("mine")
    check_same(loaded, ensemble)
    leaf = loaded.members["plain"].variables["params"]["head"]["kernel"]
    assert leaf.dtype == jnp.float32


def test_float64_is_loaded_where_it_is_enabled():
    with jax.enable_x64(True):
        made = ensemble_of({"plain": variables_of("plain")})
        made.save("mine")
        found = mn.Ensemble.load("mine").predict(IMAGES)
        np.testing.assert_array_equal(found, made.predict(IMAGES))
    with pytest.raises(ValueError, match=r"saved in float64, .*: set JAX_ENABLE_X64=1"):
        mn.Ensemble.load("mine")


def test_how_images_were_made_of_files_is_saved(plain):
    for preparation in (Preparation(4, resize="pad"), Preparation(), None):
        ensemble_of(plain, preparation=preparation).save("mine")
        assert mn.Ensemble.load("mine").preparation == preparation
    made = mn.Ensemble.load("mine")
    made = made.calibrate(made.member_logits(IMAGES), np.array([0, 1] * 3))
    assert made.preparation is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (..., ""),  # of an earlier version
        ("crop", "preparation is 'crop': expected null, or an object of image_size"),
        ({"image_size": 4}, "expected null, or an object of image_size, crop, resize"),
        ({"image_size": 8, "crop": "shift", "resize": "pad"}, "image_size is 8: "),
        ({"image_size": True, "crop": "shift", "resize": "pad"}, "image_size is True"),
        ({"image_size": 4, "crop": [], "resize": "pad"}, r"crop=\[\] and resize='pad'"),
    ],
)
def test_another_record_of_files_is_read_strictly(plain, value, reason):
    ensemble_of(plain, preparation=Preparation(4)).save("mine")
    record = checkpoints.read_record(Path("mine"))
    assert record is not None
    if value is ...:
        del record["preparation"]
    else:
        record["preparation"] = value
    checkpoints.save(Path("mine"), plain, record)
    if value is ...:
        assert mn.Ensemble.load("mine").preparation is None
        return
    with pytest.raises(ValueError, match=f"is not a saved ensemble: .*{reason}"):
        mn.Ensemble.load("mine")
