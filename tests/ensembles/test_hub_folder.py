"""An ensemble in a hub's layout comes back to the bit; nothing else is accepted."""

import hashlib
import json
import os
import random
import shutil
import struct

import jax
import numpy as np
import pytest

import mothernets_jax as mn
from mothernets_jax.ensembles import hub_folder

pytestmark = pytest.mark.extras
SHAPE, CLASSES = (4, 4, 1), ("ant", "bee")
NETWORKS = {"plain": mn.mlp((3,)), "normalised": mn.vgg("(3:2)")}
IMAGES = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), np.uint8)


def made(networks=NETWORKS, **options):
    members = {
        name: (own, mn.init(own, jax.random.key(seed), SHAPE, len(CLASSES)))
        for seed, (name, own) in enumerate(networks.items())
    }
    fixed = {"mean": 100.1, "std": 33.3, "class_names": CLASSES, "input_shape": SHAPE}
    return mn.Ensemble(members, **{**fixed, **options})


@pytest.fixture(scope="module")
def ensemble():
    own = made()
    return own.calibrate(own.member_logits(IMAGES), ["ant", "bee"] * 3)


@pytest.fixture(scope="module")
def exported(ensemble, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "mine"
    ensemble.export_safetensors(folder, license="mit")
    return folder


@pytest.fixture
def copied(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def altered_config(folder, change, *, sealed=True):
    """Writes another config, as a stranger would, whose checksums are right."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    if sealed:
        text = json.dumps(config["ensemble"], sort_keys=True).encode()
        config["sha256"]["ensemble"] = hashlib.sha256(text).hexdigest()
    path.write_text(json.dumps(config))


def altered_weights(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    altered_config(
        folder, lambda own: own["sha256"].update({hub_folder.WEIGHTS: digest})
    )


def test_it_comes_back_to_the_bit(ensemble, exported):
    again = mn.Ensemble.from_safetensors(exported)
    assert again.record == ensemble.record
    for name, member in ensemble.members.items():
        jax.tree.map(
            np.testing.assert_array_equal,
            again.members[name].variables,
            member.variables,
        )
    for combine in ("average", "vote", "greedy"):
        np.testing.assert_array_equal(
            again.predict(IMAGES, combine=combine, calibrated=True),
            ensemble.predict(IMAGES, combine=combine, calibrated=True),
        )


def test_names_of_arrays_tell_member_and_layer(exported):
    content = (exported / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    assert header["plain.params.head.kernel"]["shape"] == [3, 2]
    means = [n for n in header if n.startswith("normalised.batch_stats.")]
    assert all(name.rsplit(".", 1)[1] in ("mean", "var") for name in means)


def test_it_is_replaced_by_another(ensemble, copied):
    other = made({"plain": NETWORKS["plain"]})
    other.export_safetensors(copied)
    assert [*mn.Ensemble.from_safetensors(copied).members] == ["plain"]
    assert "plain" in (copied / "README.md").read_text()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_dtype_is_kept(dtype, tmp_path):
    own = mn.init(NETWORKS["plain"], jax.random.key(0), SHAPE, 2)
    halved = jax.tree.map(lambda leaf: leaf.astype(dtype), own)
    ensemble = mn.Ensemble(
        {"A": (NETWORKS["plain"], halved)}, mean=1.0, std=2.0, input_shape=SHAPE
    )
    ensemble.export_safetensors(tmp_path / "mine")
    again = mn.Ensemble.from_safetensors(tmp_path / "mine")
    leaf = again.members["A"].variables["params"]["head"]["kernel"]
    assert leaf.dtype == dtype
    np.testing.assert_array_equal(again.predict(IMAGES), ensemble.predict(IMAGES))


def test_float64_needs_its_setting(tmp_path):
    with jax.enable_x64(True):
        double = made({"plain": NETWORKS["plain"]})
        double.export_safetensors(tmp_path / "mine")
        found = mn.Ensemble.from_safetensors(tmp_path / "mine").predict(IMAGES)
        np.testing.assert_array_equal(found, double.predict(IMAGES))
    with pytest.raises(ValueError, match="saved in float64, .*: set JAX_ENABLE_X64=1"):
        mn.Ensemble.from_safetensors(tmp_path / "mine")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_every_altered_byte_is_noticed_or_changes_nothing(ensemble, copied, name, seed):
    path, draw = copied / name, random.Random(seed)
    whole, expected = path.read_bytes(), ensemble.record
    refused = 0
    for _ in range(40):
        content = bytearray(whole)
        place = draw.randrange(len(content))
        content[place] ^= 1 << draw.randrange(8)
        path.write_bytes(content[: draw.choice((place, None, None))])
        try:
            assert mn.Ensemble.from_safetensors(copied).record == expected
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 800
            refused += 1
    assert refused == 40 if name == "model.safetensors" else refused > 10


def test_notes_in_the_config_may_be_altered(ensemble, copied):
    """A license or figures that are added by hand have no part in predictions."""
    altered_config(copied, lambda own: own.update(license="gpl-3.0"), sealed=False)
    (copied / "README.md").write_text("# Mine")
    assert mn.Ensemble.from_safetensors(copied).record == ensemble.record


ONE = {"members": {"plain": "mlp 3"}, "weights": {}}
THREE = {
    "members": {
        "A": "mlp 3",
        "plain": "mlp 3",
        "normalised": str(NETWORKS["normalised"]),
    },
    "weights": {},
}
WRONG = [
    (lambda own: own.update(format_version=2), "format_version is 2: expected 1"),
    (lambda own: own.update(library_name="timm"), "names no ensemble of mothernets"),
    (lambda own: own.update(sha256={}), "its sha256 are {}: expected two checksums"),
    (lambda own: own["ensemble"].pop("mean"), "it lacks mean"),
    (lambda own: own["ensemble"].update(std=[0.0]), "std is .*: expected 1 finite"),
    (
        lambda own: own["ensemble"]["members"].update(plain="mlp 4"),
        r"is \(3,\): expected \(4,\)",
    ),
    (lambda own: own["ensemble"].update(ONE), "expected no such array"),
    (lambda own: own["ensemble"].update(THREE), "is missing: expected"),
    (
        lambda own: own["ensemble"]["members"].update(plain="mlp 1000000"),
        "too few for .* parameters",
    ),
    (
        lambda own: own["ensemble"].update(members={"A": "mlp 4; import os"}),
        "not an exported ensemble",
    ),
]


@pytest.mark.parametrize(("change", "reason"), WRONG)
def test_a_strangers_config_is_refused(exported, tmp_path, change, reason):
    folder = shutil.copytree(exported, tmp_path / "copy")
    if "sha256 are" in reason:
        altered_config(folder, change, sealed=False)
    else:
        altered_config(folder, change)
    with pytest.raises(ValueError, match=reason) as refused:
        mn.Ensemble.from_safetensors(folder)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 800


def test_a_strangers_weights_are_refused(copied):
    whole = (copied / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    nans = np.frombuffer(whole[8 + length :], "<f4") * np.nan
    for content, reason in [
        (whole[: 8 + length] + nans.tobytes(), "holds numbers that are not finite"),
        (whole[:-4], "no safetensors file"),
        (struct.pack("<Q", 2**40) + whole[8:], "its header is said to have"),
        (whole + b"\0" * 2**20, "expected a file of at most"),
        (whole[:100], "too few for"),
    ]:
        altered_weights(copied, content)
        with pytest.raises(ValueError, match=reason) as refused:
            mn.Ensemble.from_safetensors(copied)
        assert "\n" not in str(refused.value)


def test_pipes_are_not_waited_for(copied):
    for name in ("model.safetensors", "config.json"):
        (copied / name).unlink()
        os.mkfifo(copied / name)
        with pytest.raises(ValueError, match="expected a file of at most"):
            mn.Ensemble.from_safetensors(copied)


def test_what_could_not_be_loaded_is_not_exported(tmp_path):
    infinite = made()
    kernel = infinite.members["plain"].variables["params"]["head"]["kernel"]
    infinite.members["plain"].variables["params"]["head"]["kernel"] = kernel + np.inf
    with pytest.raises(ValueError, match="cannot be exported: .* not finite"):
        infinite.export_safetensors(tmp_path / "mine")
    with pytest.raises(ValueError, match="weights were not fitted"):
        made().export_safetensors(tmp_path / "mine", combine="greedy")
    with pytest.raises(ValueError, match="license is 'mine!'"):
        made().export_safetensors(tmp_path / "mine", license="mine!")
    assert not (tmp_path / "mine").exists()
