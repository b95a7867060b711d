"""A stranger's ensemble is used or refused with one message, and nothing else read."""

import math
import os
import random
import resource
import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from storage.test_saved_arrays import get, put, repeated

import mothernets_jax as mn
from mothernets_jax.ensembles.record import from_json
from mothernets_jax.storage import checkpoints, manifest

ALTERED = int(os.environ.get("MOTHERNETS_JAX_DAMAGES", "15"))
NETWORK = mn.parse("mlp 4")
SHAPE, CLASSES = (2, 2, 1), ("dark", "bright")
RECORD = {
    "members": {"A": "mlp 4"},
    "mean": [1.0],
    "std": [2.0],
    "class_names": list(CLASSES),
    "input_shape": list(SHAPE),
    "weights": {"greedy": [1.0]},
    "temperatures": {"average": 1.5},
}


def variables():
    return mn.init(NETWORK, jax.random.key(0), SHAPE, len(CLASSES))


def save(workdir, record, members):
    """As a stranger would, whose checksums are right."""
    checkpoints.save(workdir / "ensembles" / "mine", members, record)
    return workdir


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save(tmp_path_factory.mktemp("saved"), RECORD, {"A": variables()})


def test_this_one_is_used(saved):
    images = np.zeros((3, *SHAPE), np.uint8)
    assert mn.Ensemble.load(saved).predict(images, combine="greedy").shape == (3, 2)


WRONG = [
    ("members", 5),
    ("members", {}),
    ("members", {"A": 5}),
    ("members", {"A": "mlp"}),
    ("members", {"A": "mlp 4; import os"}),
    ("members", {"../A": "mlp 4"}),
    ("members", {"/tmp/A": "mlp 4"}),
    ("members", {f"A{number}": "mlp 4" for number in range(1000)}),
    ("members", {"A": "mlp 5"}),
    ("members", {"B": "mlp 4"}),
    ("members", {"A": "mlp 1000000000"}),
    ("members", {"A": "vgg " + " | ".join(["(3:1000000)x200"] * 5)}),
    ("input_shape", None),
    ("input_shape", "221"),
    ("input_shape", [2, 2]),
    ("input_shape", [2, 2, "1"]),
    ("input_shape", [2, 2, 0]),
    ("input_shape", [2, 2, -1]),
    ("input_shape", [2, 2, True]),
    ("input_shape", [2.0, 2, 1]),
    ("input_shape", [10**400, 2, 1]),
    ("input_shape", [2**20, 2**20, 1]),
    ("class_names", None),
    ("class_names", ["x" * 5000, "y"]),
    ("class_names", "ab"),
    ("class_names", [1, 2]),
    ("class_names", []),
    ("mean", None),
    ("mean", ["a"]),
    ("mean", [None]),
    ("mean", [10**400]),
    ("mean", [math.nan]),
    ("mean", [1.0, 1.0]),
    ("mean", [1e308]),
    ("mean", [True]),
    ("std", [0.0]),
    ("std", [-1.0]),
    ("std", [1e-300]),
    ("std", [1e308]),
    ("weights", 5),
    ("weights", [1.0]),
    ("weights", "abc"),
    ("weights", {"greedy": "a"}),
    ("weights", {"greedy": [math.nan]}),
    ("weights", {"greedy": [0.5, 0.5]}),
    ("weights", {"greedy": [-1.0]}),
    ("weights", {"unheard_of": [1.0]}),
    ("temperatures", 5),
    ("temperatures", {"average": "x"}),
    ("temperatures", {"average": 0}),
    ("temperatures", {"average": -1}),
    ("temperatures", {"average": math.nan}),
    ("temperatures", {"average": 1e-300}),
    ("temperatures", {"average": 10**400}),
    ("members", {"A": "mlp 4 " * 10**6}),
]


@pytest.mark.parametrize(
    ("field", "value"), WRONG, ids=[f"{f}-{n}" for n, (f, _) in enumerate(WRONG)]
)
def test_a_field_that_cannot_be_is_refused(saved, tmp_path, field, value):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "ensembles" / "mine"
    record = {**RECORD, field: value}
    manifest.write(folder / "record.json", folder / "variables", record)
    with pytest.raises(ValueError) as caught:
        mn.Ensemble.load(tmp_path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 800


@pytest.mark.parametrize("field", ["members", "mean", "std", "class_names"])
def test_a_field_that_is_missing_is_named(field):
    record = {name: value for name, value in RECORD.items() if name != field}
    with pytest.raises(ValueError, match=f"lacks {field}"):
        from_json(record)


@pytest.mark.parametrize("place", ["", "variables", "record.json"])
def test_links_are_not_followed(tmp_path, place):
    folder = save(tmp_path, RECORD, {"A": variables()}) / "ensembles" / "mine"
    path = folder / place if place else folder
    elsewhere = path.rename(tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    with pytest.raises(ValueError, match="is a link"):
        mn.Ensemble.load(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path):
    folder = save(tmp_path, RECORD, {"A": variables()}) / "ensembles" / "mine"
    (folder / "record.json").unlink()
    os.mkfifo(folder / "record.json")
    with pytest.raises(ValueError, match="expected a file"):
        mn.Ensemble.load(tmp_path)


@pytest.mark.parametrize("content", ["[[]," * 2**25, "[" * 10**6, '{"a":' * 10**6])
def test_a_record_that_is_a_bomb_is_refused(tmp_path, content):
    folder = save(tmp_path, RECORD, {"A": variables()}) / "ensembles" / "mine"
    (folder / "record.json").write_text(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="record.json is damaged"):
        mn.Ensemble.load(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (".zarray", b'{"dtype": [["x", "<f4", [1000000000]]], "shape": [4, 4]}'),
        (".zarray", b"[" * 4000),
        ("0.0", repeated(8 * 2**30)),
    ],
)
def test_a_bomb_among_the_arrays_is_refused(tmp_path, key, value):
    """With checksums that are right; none of it is decoded."""
    folder = save(tmp_path, RECORD, {"A": variables()}) / "ensembles" / "mine"
    put(folder / "variables", f"A.params.dense1.kernel/{key}", value)
    manifest.write(folder / "record.json", folder / "variables", RECORD)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError) as refused:
        mn.Ensemble.load(tmp_path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 800
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB


def test_altered_descriptions_are_refused_or_change_nothing(tmp_path, seed):
    """Bytes of what the store holds, so that its own checksums are right, too."""
    folder = save(tmp_path, RECORD, {"A": variables()}) / "ensembles" / "mine"
    images, draw = np.arange(12, dtype=np.uint8).reshape(3, *SHAPE), random.Random(seed)
    expected = mn.Ensemble.load(tmp_path).predict(images).tolist()
    whole = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    refused = 0
    for _ in range(ALTERED):
        name = draw.choice((".zarray", ".zarray", "_METADATA"))
        if name == "_METADATA":
            path = folder / "variables" / name
            path.write_bytes(altered(path.read_bytes(), draw))
        else:
            key = f"A.params.{draw.choice(('dense1', 'head'))}.kernel/{name}"
            content = get(folder / "variables", key)
            put(folder / "variables", key, altered(content, draw))
        manifest.write(folder / "record.json", folder / "variables", RECORD)
        try:
            found = mn.Ensemble.load(tmp_path).predict(images).tolist()
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 800
            refused += 1
        else:
            assert found == expected
        for path in (p for p in folder.rglob("*") if p.is_file()):
            path.write_bytes(whole[path]) if path in whole else path.unlink()
    assert refused > ALTERED // 2


def altered(content, draw):
    """Changes a digit, or cuts, repeats or drops a part."""
    start = draw.randrange(len(content))
    end = min(len(content), start + draw.randrange(1, 12))
    digits = [n for n, byte in enumerate(content) if 48 <= byte < 58]
    how = draw.choice(("digit", "digit", "cut", "repeat", "drop"))
    if how == "digit":
        place = draw.choice(digits)
        return content[:place] + b"%d" % draw.randrange(10) + content[place + 1 :]
    if how == "cut":
        return content[:start]
    if how == "repeat":
        return content[:end] + content[start:]
    return content[:start] + content[end:]


def test_a_path_that_orbax_cannot_read_is_no_damage(saved, tmp_path):
    moved = tmp_path / "run [1]"
    shutil.copytree(saved, moved)
    with pytest.raises(ValueError, match="in its path.*move what is there") as refused:
        mn.Ensemble.load(moved)
    assert "delete" not in str(refused.value)


def test_files_that_no_such_ensemble_needs_are_refused(tmp_path):
    folder = save(tmp_path, RECORD, {"A": variables()}) / "ensembles" / "mine"
    with (folder / "variables" / "more").open("wb") as file:
        file.truncate(2**25)
    manifest.write(folder / "record.json", folder / "variables", RECORD)
    with pytest.raises(ValueError, match="are needed at most"):
        mn.Ensemble.load(tmp_path)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path, number):
    members = {"A": jax.tree.map(lambda leaf: leaf * number, variables())}
    save(tmp_path, RECORD, members)
    with pytest.raises(ValueError, match="of the member A holds numbers that are not"):
        mn.Ensemble.load(tmp_path)


def test_answers_that_are_no_numbers_are_an_error(tmp_path):
    members = {"A": jax.tree.map(lambda leaf: leaf * 0 + 1e38, variables())}
    ensemble = mn.Ensemble.load(save(tmp_path, RECORD, members))
    with pytest.raises(ValueError, match="the member A answers some of these images"):
        ensemble.predict(np.full((3, *SHAPE), 255, np.uint8))


def save_by_hand(folder, members, save_args):
    """Variables as Orbax, but not `checkpoints.save`, would write them."""
    save(folder, RECORD, {"A": variables()})
    own = folder / "ensembles" / "mine" / "variables"
    handler = ocp.PyTreeCheckpointHandler(use_ocdbt=save_args is not None)
    with ocp.Checkpointer(handler) as checkpointer:
        args = save_args and jax.tree.map(lambda _: save_args, members)
        checkpointer.save(own, ocp.args.PyTreeSave(members, save_args=args), force=True)
    manifest.write(own.parent / "record.json", own, RECORD)


def test_files_that_are_named_after_arrays_are_refused(tmp_path):
    """Without the manifest, an array's name is its path."""
    save_by_hand(tmp_path, {"A": variables()}, None)
    with pytest.raises(ValueError, match=r"manifest\.ocdbt is missing"):
        mn.Ensemble.load(tmp_path)


def test_arrays_that_their_files_cannot_hold_are_refused(tmp_path):
    """Zeros take no room on the disk, whatever room they are said to take."""
    width = 1_000_000
    network = mn.parse(f"mlp {width} 16")
    huge = mn.init(mn.parse("mlp 4 16"), jax.random.key(0), SHAPE, len(CLASSES))
    huge["params"]["dense1"] = {
        "kernel": np.zeros((4, width), np.float32),
        "bias": np.zeros(width, np.float32),
    }
    huge["params"]["dense2"]["kernel"] = np.zeros((width, 16), np.float32)
    record = {**RECORD, "members": {"A": str(network)}}
    save(tmp_path, record, {"A": huge})
    with pytest.raises(ValueError, match="bytes are said to be in files of"):
        mn.Ensemble.load(tmp_path)
