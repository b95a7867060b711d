"""ONNX files predict in onnxruntime what the ensemble predicts here."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawn_networks import CLASSES, NETWORKS, SHAPE, drawn

import mothernets_jax as mn
from mothernets_jax.data.preparation import Preparation
from mothernets_jax.ensembles.combine import NAMES
from mothernets_jax.ensembles.export import onnx_file

TOLERANCE = {"rtol": 0, "atol": 1e-5}
OF_IMAGES = {
    "mean": np.array([110.0, 120.0, 130.0]),
    "std": np.array([55.0, 60.0, 65.0]),
    "input_shape": SHAPE,
}
# What another program does: no more than onnxruntime and NumPy.
SERVE = """
import sys
import numpy
import onnxruntime

model, inputs, outputs = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
(probabilities,) = session.run(None, {"inputs": numpy.load(inputs)})
numpy.save(outputs, probabilities)
ours = {"jax", "flax", "onnx", "mothernets_jax"}
print(sorted(ours & sys.modules.keys()))
"""


def session(path):
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(path), full_check=True)
    return onnxruntime.InferenceSession(path)


def run(own, inputs):
    (probabilities,) = own.run(["probabilities"], {"inputs": inputs})
    assert probabilities.dtype == np.float32
    return probabilities


@pytest.fixture(scope="module")
def all_families():
    """An ensemble, images, and what each member predicts for them."""
    members = {name: (own, drawn(own, name)) for name, own in NETWORKS.items()}
    ensemble = mn.Ensemble(members, **OF_IMAGES)
    images = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), np.uint8)
    return ensemble, images, ensemble.predict(images, members=True, batch_size=64)


@pytest.mark.extras
@pytest.mark.parametrize("name", NETWORKS)
def test_every_family_predicts_the_same_in_batches_of_any_size(
    name, all_families, tmp_path
):
    ensemble, images, predicted = all_families
    expected = predicted[list(NETWORKS).index(name)]
    assert expected.std(axis=0).max() > 0.01  # images are told apart
    alone = {name: ensemble.members[name]}
    mn.Ensemble(alone, **OF_IMAGES).export(tmp_path / "own.onnx")
    own = session(tmp_path / "own.onnx")
    for size in (1, 7, 40):
        np.testing.assert_allclose(
            run(own, images[:size]), expected[:size], **TOLERANCE
        )
    assert run(own, images[:0]).shape == (0, CLASSES)


@pytest.mark.extras
def test_a_program_without_jax_runs_the_whole_ensemble(all_families, tmp_path):
    ensemble, images, _ = all_families
    ensemble.export(tmp_path / "all.onnx")
    np.save(tmp_path / "images.npy", images)
    files = [tmp_path / name for name in ("all.onnx", "images.npy", "found.npy")]
    command = [sys.executable, "-c", SERVE, *map(str, files)]
    given = {"cwd": tmp_path, "capture_output": True, "text": True}
    done = subprocess.run(command, check=False, **given)
    assert done.stdout == "[]\n", done.stderr
    expected = ensemble.predict(images, batch_size=64)
    np.testing.assert_allclose(np.load(files[2]), expected, **TOLERANCE)


@pytest.fixture(scope="module")
def features():
    """An ensemble of features with every combination fitted, and examples."""
    networks = {name: mn.mlp((5,)) for name in ("one", "second", "other_one")}
    members = {n: (own, drawn(own, n, (1, 1, 6), 3)) for n, own in networks.items()}
    weights = {
        "weighted": np.array([0.7, 0.2, 0.1]),
        "greedy": np.array([0.6, 0.0, 0.4]),
        "super_learner": np.array([0.0, 1.0, 0.0]),
    }
    ensemble = mn.Ensemble(
        members,
        mean=np.arange(6) * 1e3,
        std=np.arange(1, 7),
        input_shape=(1, 1, 6),
        class_names=("no", "yes", "\udcffé"),
        weights=weights,
        temperatures=dict(zip(NAMES, (0.4, 0.7, 1.3, 2.0, 9.0), strict=True)),
        input_dtype=np.float32,
    )
    draw = np.random.default_rng(0).normal(size=(30, 6))
    examples = (ensemble.mean + 3 * ensemble.std * draw).astype(np.float32)
    return ensemble, examples


@pytest.mark.extras
@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("combine", NAMES)
def test_every_combination_is_within(combine, calibrated, features, tmp_path):
    ensemble, examples = features
    path, options = tmp_path / "own.onnx", {"combine": combine}
    options["calibrated"] = calibrated
    ensemble.export(path, **options)
    own = session(path)
    expected = ensemble.predict(examples, **options)
    assert expected.std(axis=0).max() > 0.05
    np.testing.assert_allclose(run(own, examples), expected, **TOLERANCE)
    found = own.get_modelmeta()
    assert found.producer_name == "mothernets_jax"
    said = found.custom_metadata_map
    assert said.pop("combine") == combine
    said = {name: json.loads(text) for name, text in said.items()}
    assert said["class_names"] == ["no", "yes", "\udcffé"]
    assert said.get("temperature") == (
        ensemble.temperatures[combine] if calibrated else None
    )
    names = ["one", "second", "other_one"]
    all_of_them = ensemble.weights.get(combine, np.full(3, 1 / 3))
    weights = dict(zip(names, all_of_them, strict=True))
    assert said["weights"] == {n: w for n, w in weights.items() if w > 0}
    assert said["members"] == dict.fromkeys(said["weights"], "mlp 5")
    assert said["mean"] == [0, 1e3, 2e3, 3e3, 4e3, 5e3]


@pytest.mark.extras
def test_the_same_ensemble_makes_the_same_file_which_may_be_replaced(tmp_path):
    shape = (4, 4, 1)
    network = mn.mlp((2,))
    ensemble = mn.Ensemble(
        {"A": (network, drawn(network, "A", shape))},
        mean=1.0,
        std=2.0,
        input_shape=shape,
        preparation=Preparation(4),
    )
    path = tmp_path / "own.onnx"
    ensemble.export(path)
    written = path.read_bytes()
    ensemble.export(str(path))
    assert path.read_bytes() == written
    assert [own.name for own in tmp_path.iterdir()] == ["own.onnx"]
    said = session(path).get_modelmeta().custom_metadata_map
    assert json.loads(said["preparation"]) == Preparation(4)._asdict()


@pytest.mark.extras
def test_the_code_on_exporting_runs(tmp_path, monkeypatch):
    page = Path(__file__).parents[3] / "docs" / "exporting.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    network, shape = mn.mlp((2,)), (32, 32, 3)
    members = {"A": (network, drawn(network, "A", shape))}
    options = {"mean": 1.0, "std": 2.0, "input_shape": shape}
    monkeypatch.chdir(tmp_path)
    mn.Ensemble(members, **options).export("photos.onnx")
    names = {}
    exec(code, names)  # noqa: S102 (our own documentation)
    assert names["probabilities"].shape == (4, CLASSES)
    assert names["class_names"] == list("0123")


@pytest.mark.extras
def test_more_than_a_file_can_hold_is_refused(features, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "_MOST_BYTES", 100)
    ensemble, _ = features
    with pytest.raises(ValueError, match="less than 2 GiB"):
        ensemble.export(tmp_path / "own.onnx")
    assert not list(tmp_path.iterdir())
