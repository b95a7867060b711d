"""Saved stages: all or nothing, exact, never pickle, and damage is named."""

import ast
import errno
import gc
import json
import os
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorstore

from mothernets_jax.storage import checkpoints, files, manifest

PACKAGE = Path(checkpoints.__file__).parent


def make_variables(scale=1.0):
    kernel = jnp.asarray([[0.1, -0.0, jnp.inf], [1e-45, jnp.nan, 3.0]], jnp.float32)
    head = {"kernel": scale * kernel, "bias": jnp.full(3, scale)}
    return {
        "plain": {"params": {"head": head}, "batch_stats": {}},
        "normalised": {
            "params": {"block1_conv1": {"kernel": jnp.ones((3, 3, 1, 2))}},
            "batch_stats": {"block1_conv1": {"norm": {"mean": jnp.full(2, scale)}}},
        },
    }


def shapes(variables):
    return jax.eval_shape(lambda: variables)


def restore(folder, template):
    checkpoints.verify(folder, template)
    return checkpoints.read(folder, template)


def bits(tree):
    """Every leaf by its path: shape, dtype and bytes, so that NaN equals itself."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    arrays = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    return {path: (a.shape, a.dtype, a.tobytes()) for path, a in arrays.items()}


@pytest.fixture
def orbax_leaves_tasks():
    """For tests in which Orbax fails: it then drops tasks that nothing awaits.

    They must be collected here, where they are ignored, and not in whichever
    test comes next.
    """
    yield
    gc.collect()


def orbax_fails(test):
    """Marks a test in which Orbax fails, see `orbax_leaves_tasks`."""
    for warning in ("pytest.PytestUnraisableExceptionWarning", "RuntimeWarning"):
        test = pytest.mark.filterwarnings(f"ignore::{warning}")(test)
    return pytest.mark.usefixtures("orbax_leaves_tasks")(test)


@pytest.fixture
def folder(tmp_path):
    """A finished save; two levels of folders had to be made for it."""
    folder = tmp_path / "stages" / "mothernets-A"
    checkpoints.save(folder, make_variables(), {"epochs": 3, "loss": float("nan")})
    return folder


def test_what_is_saved_is_restored_bit_for_bit(folder):
    saved = make_variables()
    restored = restore(folder, shapes(saved))
    assert bits(restored) == bits(saved)
    assert jax.tree.structure(restored) == jax.tree.structure(saved)  # empty ones too
    assert bits(make_variables(2.0)) != bits(saved)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(restored))
    record = checkpoints.read_record(folder)
    assert record is not None
    assert record["epochs"] == 3
    assert np.isnan(record["loss"])  # of a member that diverged


def test_a_relative_folder_is_as_good(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints.save(Path("run"), make_variables(), {})
    restored = restore(Path("run"), shapes(make_variables()))
    assert bits(restored) == bits(make_variables())


@orbax_fails
def test_saving_again_replaces_everything(folder):
    smaller = {"other": make_variables(2.0)["plain"]}
    checkpoints.save(folder, smaller, {"epochs": 4})
    assert checkpoints.read_record(folder) == {"epochs": 4}
    assert bits(restore(folder, shapes(smaller))) == bits(smaller)
    with pytest.raises(ValueError, match="cannot be restored"):
        restore(folder, shapes(make_variables()))


@pytest.mark.parametrize("nothing", [{}, {"a": {"params": {}, "batch_stats": {}}}])
def test_a_save_without_arrays_is_its_record(folder, nothing):
    """As of a stage whose members all diverged; over one that has arrays."""
    checkpoints.save(folder, nothing, {"epochs": 2})
    assert [path.name for path in folder.iterdir()] == ["record.json"]
    assert checkpoints.is_finished(folder)
    assert checkpoints.read_record(folder) == {"epochs": 2}
    assert restore(folder, nothing) == nothing
    with pytest.raises(ValueError, match="is missing there and"):
        checkpoints.verify(folder, shapes(make_variables()))
    checkpoints.save(folder, make_variables(), {})  # and the other way around
    assert bits(restore(folder, shapes(make_variables()))) == bits(make_variables())
    with pytest.raises(ValueError, match="there and unknown here"):
        checkpoints.verify(folder, nothing)


def test_damage_to_a_record_alone_is_found(folder):
    checkpoints.save(folder, {}, {"epochs": 2})
    path = folder / "record.json"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"2", b"3", 1))
    with pytest.raises(ValueError, match="is damaged"):
        checkpoints.read_record(folder)
    path.write_bytes(content)
    for name in ("_METADATA", "d/0"):
        file = folder / "variables" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"a stranger's")
        with pytest.raises(ValueError, match=f"its file {name} was not saved with it"):
            checkpoints.verify(folder, {})
        shutil.rmtree(folder / "variables")
    checkpoints.verify(folder, {})


def test_what_cannot_be_deleted_is_not_sealed_as_nothing(folder, monkeypatch):
    monkeypatch.setattr(shutil, "rmtree", lambda *args, **kwargs: None)
    with pytest.raises(FileExistsError, match="variables"):
        checkpoints.save(folder, {}, {})
    assert checkpoints.read_record(folder) is None


def test_what_is_not_finished_is_not_there(folder, monkeypatch):
    assert checkpoints.read_record(folder.with_name("nothing")) is None

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    # Interrupted while the record is written, and while the variables are.
    for module, name in ((os, "replace"), (checkpoints.ocp, "StandardCheckpointer")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                checkpoints.save(folder, make_variables(2.0), {"epochs": 4})
        assert checkpoints.read_record(folder) is None  # nor is the older one left
    checkpoints.save(folder, make_variables(2.0), {"epochs": 5})
    restored = restore(folder, shapes(make_variables()))
    assert bits(restored) == bits(make_variables(2.0))


def alter(variables, change):
    """A copy of the variables in which `change` was made to the plain one's head."""
    copied = jax.tree.map(lambda leaf: leaf, variables)
    change(copied["plain"]["params"]["head"])
    return copied


OTHER_SHAPES = {
    "wider": lambda head: head.update(kernel=jnp.zeros((2, 4))),
    "narrower": lambda head: head.update(kernel=jnp.zeros((2, 2))),
    "transposed": lambda head: head.update(kernel=jnp.zeros((3, 2))),
    "flat": lambda head: head.update(kernel=jnp.zeros(6)),
    "a leaf more": lambda head: head.update(scale=jnp.zeros(3)),
    "a leaf less": lambda head: head.pop("bias"),
    "another name": lambda head: head.update(offset=head.pop("bias")),
}


@orbax_fails
@pytest.mark.parametrize("change", OTHER_SHAPES.values(), ids=OTHER_SHAPES)
def test_other_shapes_are_refused_by_name(folder, change):
    with pytest.raises(ValueError) as caught:
        restore(folder, shapes(alter(make_variables(), change)))
    check_message(caught.value, folder)


@orbax_fails
def test_another_dtype_is_refused(folder):
    template = shapes(make_variables())
    bias = jax.ShapeDtypeStruct((3,), jnp.bfloat16)
    template["plain"]["params"]["head"]["bias"] = bias
    with pytest.raises(ValueError, match="float32 .* there and bfloat16") as caught:
        restore(folder, template)
    check_message(caught.value, folder)


@orbax_fails
def test_links_are_refused(folder, tmp_path):
    (file,) = folder.glob("variables/manifest.*")
    elsewhere = file.rename(tmp_path / "elsewhere")
    file.symlink_to(elsewhere)  # the content is as it was
    with pytest.raises(ValueError, match="is a link or no plain file") as caught:
        restore(folder, shapes(make_variables()))
    check_message(caught.value, folder)


def test_tensorstore_takes_no_name_that_leads_out(tmp_path):
    """Which of the files in its folder holds an array, a save tells TensorStore."""
    (tmp_path / "outside").write_text("outside")
    inside = tmp_path / "inside"
    inside.mkdir()
    for driver in ({"driver": "file", "path": f"{inside}/"}, f"file://{inside}/"):
        store = tensorstore.KvStore.open(driver).result()
        for name in ("../outside", "a/../../outside", str(tmp_path / "outside")):
            with pytest.raises(ValueError, match="Invalid key"):
                store.read(name).result()


@orbax_fails
def test_what_cannot_be_written_is_an_error_of_the_system(folder):
    """Files of more than 200 bytes cannot be; Orbax would tell so on many lines."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            checkpoints.save(folder, make_variables(), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(folder)
    assert checkpoints.read_record(folder) is None


def test_what_cannot_be_read_is_not_called_damaged(folder, monkeypatch):
    """A stage is not trained again because too many files are open."""

    def too_many(*args):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a file")

    monkeypatch.setattr(manifest.hashlib, "file_digest", too_many)
    with pytest.raises(OSError, match="Too many open files"):
        checkpoints.verify(folder, shapes(make_variables()))


def test_a_folder_in_place_of_a_file_is_damage(folder):
    (folder / "record.json").unlink()
    (folder / "record.json").mkdir()
    with pytest.raises(checkpoints.DamagedError, match="delete"):
        checkpoints.read_record(folder)
    checkpoints.save(folder, make_variables(), {"epochs": 5})
    assert checkpoints.read_record(folder) == {"epochs": 5}


def test_a_record_whose_content_was_altered_is_named(folder):
    path = folder / "record.json"
    path.write_text(path.read_text().replace('"epochs": 3', '"epochs": 4'))
    with pytest.raises(ValueError, match=r"record\.json is damaged .*checksum"):
        checkpoints.read_record(folder)


def check_message(error, folder):
    """One line that names the folder and says what to do."""
    message = str(error)
    assert "\n" not in message
    assert f"{folder}/variables cannot be restored" in message
    assert f"delete {folder} to train it again" in message


def damage(folder, how):
    """Damages the file that holds the arrays and the manifest, one by one."""
    files = [*folder.glob("variables/manifest.*"), *folder.glob("variables/d/*")]
    assert len(files) == 2
    for file in files:
        content = file.read_bytes()
        file.write_bytes(how(content))
        yield
        file.write_bytes(content)


DAMAGE = {
    "cut in half": lambda content: content[: len(content) // 2],
    "cut by a byte": lambda content: content[:-1],
    "empty": lambda content: b"",
    "a byte altered": lambda content: content[:-9] + b"x" + content[-8:],
}


@orbax_fails
@pytest.mark.parametrize("how", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_named(folder, how):
    template = shapes(make_variables())
    for _ in damage(folder, how):
        with pytest.raises(ValueError) as caught:
            restore(folder, template)
        check_message(caught.value, folder)
    assert bits(restore(folder, template)) == bits(make_variables())


@orbax_fails
def test_the_message_on_damage_can_be_read(folder):
    for _ in damage(folder, DAMAGE["empty"]):
        with pytest.raises(ValueError, match="cannot be restored") as caught:
            restore(folder, shapes(make_variables()))
        assert len(str(caught.value)) < 3 * len(str(folder)) + 300


@orbax_fails
def test_missing_variables_are_named(folder):
    shutil.rmtree(folder / "variables")
    with pytest.raises(ValueError) as caught:
        restore(folder, shapes(make_variables()))
    check_message(caught.value, folder)


@pytest.mark.parametrize("content", [b"", b'{"epochs": 3', b"\xff\xfe{}"])
def test_a_damaged_record_is_named(folder, content):
    (folder / "record.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"record\.json is damaged .*delete"):
        checkpoints.read_record(folder)


def test_json_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    files.write_json(path, {"error": 0.25, "names": ("a", "é")})
    before = path.read_bytes()
    assert json.loads(before) == {"error": 0.25, "names": ["a", "é"]}
    with pytest.raises(TypeError):
        files.write_json(path, {"error": 0.5, "then": object()})
    assert path.read_bytes() == before
    files.write_json(path, [1])
    assert files.read_json(path) == [1]


def test_json_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    events = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: (events.append("sync"), sync(f)))
    monkeypatch.setattr(
        os, "replace", lambda a, b: (events.append(Path(b).name), replace(a, b))
    )
    files.write_json(tmp_path / "a.json", 1)
    assert events == ["sync", "a.json", "sync"]  # the file, its name, the folder


def test_nothing_is_pickled(folder):
    names = {path.suffix for path in folder.rglob("*")}
    assert not names & {".pkl", ".pickle", ".npy", ".npz"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = set()
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {node.module}
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert getattr(node.value, "value", None) is False, path
            assert not names & {"pickle", "cloudpickle", "dill", "joblib", "shelve"}


def test_threads_can_save_at_once(tmp_path):
    kernels = {f"stage{i}": np.full(4, float(i), np.float32) for i in range(8)}

    def save(name):
        checkpoints.save(tmp_path / name, {"a": {"kernel": kernels[name]}}, {})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, kernels))
    for name, kernel in kernels.items():
        template = shapes({"a": {"kernel": jnp.asarray(kernel)}})
        found = restore(tmp_path / name, template)
        np.testing.assert_array_equal(found["a"]["kernel"], kernel)


def test_a_copy_is_whole_and_its_own(tmp_path):
    variables = {"A": {"kernel": np.arange(6.0, dtype=np.float32)}}
    source, copied = tmp_path / "source", tmp_path / "deep" / "copied"
    checkpoints.save(source, variables, {"epochs": 3})
    (copied / "variables").mkdir(parents=True)  # of a copy that was killed
    (copied / "variables" / "rest").write_text("x")
    checkpoints.copy(source, copied)
    assert checkpoints.read_record(copied) == {"epochs": 3}
    np.testing.assert_array_equal(
        checkpoints.read(copied, variables)["A"]["kernel"], variables["A"]["kernel"]
    )
    files = [path for path in source.rglob("*") if path.is_file()]
    for path in files:  # no hard links, by which one would change the other
        assert path.stat().st_nlink == 1
    assert not (copied / "variables" / "rest").exists()


def test_a_copy_of_a_record_alone(tmp_path):
    checkpoints.save(tmp_path / "source", {}, {"left_out": "all"})
    checkpoints.copy(tmp_path / "source", tmp_path / "copied")
    assert checkpoints.read_record(tmp_path / "copied") == {"left_out": "all"}
