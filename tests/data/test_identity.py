"""A run notices that its data are no longer those that it was begun on.

A tiny run on a folder of images is finished, or stopped when all its stages are done;
then the images are changed, and the same settings are run again.
"""

import hashlib
import json
import logging
import shutil
from io import StringIO

import jax
import numpy as np
import pytest
from fake_runs import without_clocks
from forked import launch
from PIL import Image
from rich.console import Console

from configs.vgg_ensemble import get_config
from mothernets_jax import data
from mothernets_jax.config import identity as settings_identity
from mothernets_jax.config.identity import digest
from mothernets_jax.data import identity
from mothernets_jax.data.digests import digest_of
from mothernets_jax.methods import read_settings
from mothernets_jax.runs import experiment, load_task, stage_results
from mothernets_jax.runtime.compilation import ProgramStore

STORE = ProgramStore()
OVERRIDES = {
    "methods": ("full_data",),
    "replicas": 1,
    "train.epochs": 1,
    "train.batch_size": 16,
    "data.name": "folder",
    "data.crop_padding": 0,
    "data.ood_name": "folder",
}
NETWORKS = {"A": "mlp 6"}
CONFIG = f"""
from configs.vgg_ensemble import get_config as get_example

def get_config():
    config = get_example("digits")
    config.architectures = {NETWORKS}
    config.update_from_flattened_dict({OVERRIDES})
    return config
"""


def write_images(root):
    """Grey images; BMP, which has as many bytes whatever it shows."""
    draw = np.random.default_rng(0)
    for kind, level in (("known/{}/bee", 70), ("known/{}/cow", 160), ("odd/{}/x", 99)):
        for split, count in (("train", 40), ("test", 8)):
            folder = root / kind.format(split)
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = level + draw.integers(-40, 40, (8, 8))
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(folder / f"{number:02}.bmp")


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    """No test reads or writes the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def settings_of(images, **overrides):
    config = get_config("digits")
    config.architectures = NETWORKS
    places = {"data.dir": f"{images}/known", "data.ood_dir": f"{images}/odd"}
    config.update_from_flattened_dict({**OVERRIDES, **places, **overrides})
    return read_settings(config)


def run(workdir, images, **overrides):
    return experiment.train_and_evaluate(
        settings_of(images, **overrides),
        name="tiny",
        workdir=workdir,
        console=Console(file=StringIO()),
        store=STORE,
    )


def stop(workdir):
    """Makes a finished run one that was stopped before its evaluation."""
    (workdir / "results.json").unlink()
    shutil.rmtree(workdir / "ensembles")


def listing(folder):
    """Every file with its content; the lock names who looked at the folder last."""
    paths = [p for p in sorted(folder.rglob("*")) if p.name != ".lock"]
    return {str(p): p.read_bytes() if p.is_file() else None for p in paths}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run and its images, and what it found."""
    top = tmp_path_factory.mktemp("trained")
    write_images(top / "images")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(top / "cache"))
        return top, run(top / "run", top / "images")


@pytest.fixture(params=["finished", "stopped"])
def again(request, trained, tmp_path):
    """A copy of the run and of its images, and what it found."""
    top, results = trained
    for name in ("run", "images"):
        shutil.copytree(top / name, tmp_path / name)
    if request.param == "stopped":
        stop(tmp_path / "run")
    return tmp_path / "run", tmp_path / "images", results


def repaint(path):
    """Changes one pixel of an image by one level; the second time, back again."""
    pixels = np.array(Image.open(path))
    pixels[3, 4] ^= 1
    Image.fromarray(pixels).save(path)


def split_of(images, path):
    """In which split an image is, found by its pixels."""
    dataset = data.load("folder", directory=str(images / "known"))
    pixels = np.array(Image.open(path))[..., None]
    parts = {"training": dataset.train_images, "validation": dataset.validation_images}
    (found,) = [n for n, part in parts.items() if (part == pixels).all((1, 2, 3)).any()]
    return found


def swap(images):
    for split in ("train", "test"):
        folder = images / "known" / split
        (folder / "bee").rename(folder / "x")
        (folder / "cow").rename(folder / "bee")
        (folder / "x").rename(folder / "cow")


def rename(images):
    for split in ("train", "test"):
        (images / "known" / split / "bee").rename(images / "known" / split / "zebra")


def move_one(images):
    train = images / "known" / "train"
    (train / "bee" / "07.bmp").rename(train / "cow" / "99.bmp")


def copy_one(images):
    train = images / "known" / "train" / "bee"
    shutil.copy(train / "00.bmp", train / "99.bmp")


def new_class(images):
    for split in ("train", "test"):
        folder = images / "known" / split
        shutil.copytree(images / "odd" / split / "x", folder / "dog")


# What is changed, and what must be said of it, besides what must not.
CHANGES = {
    "two classes swapped": (swap, "pixels of the training images differ"),
    "a class renamed": (rename, "the classes were bee, cow and are cow, zebra"),
    "a class added": (new_class, "the classes were bee, cow and are bee, cow, dog"),
    "a label": (move_one, "labels of the training images differ"),
    "one more": (copy_one, "there were 72 training images and are 73"),
    "one less": (
        lambda images: (images / "known/train/cow/03.bmp").unlink(),
        "there were 72 training images and are 71",
    ),
    "one test image less": (
        lambda images: (images / "known/test/cow/03.bmp").unlink(),
        "there were 16 test images and are 15;",
    ),
    "one odd image less": (
        lambda images: (images / "odd/test/x/03.bmp").unlink(),
        "there were 8 out-of-distribution images and are 7.",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_data_are_refused_before_anything_is_written(again, change):
    workdir, images, _ = again
    alter, message = CHANGES[change]
    alter(images)
    before = listing(workdir)
    with pytest.raises(ValueError) as refused:
        run(workdir, images)
    text = str(refused.value)
    assert text.startswith(f"{workdir} holds a run on other data: ")
    assert message.removesuffix(";").removesuffix(".") in text
    assert text.endswith("Restore the data as they were, or choose another --workdir")
    assert listing(workdir) == before


@pytest.mark.parametrize(
    "path",
    ["known/train/bee/00.bmp", "known/train/cow/11.bmp", "known/test/cow/05.bmp"],
)
def test_one_pixel_is_told_by_its_split_alone(again, path):
    workdir, images, _ = again
    split = "test" if "test" in path else split_of(images, images / path)
    repaint(images / path)
    with pytest.raises(ValueError) as refused:
        run(workdir, images)
    clause = f"on other data: pixels of the {split} images differ. Restore"
    assert clause in str(refused.value)


def test_one_pixel_of_another_kind_of_images(again):
    workdir, images, _ = again
    repaint(images / "odd/test/x/00.bmp")
    with pytest.raises(
        ValueError, match=r"data: pixels of the out-of-distribution images differ\. Re"
    ):
        run(workdir, images)
    repaint(images / "odd/test/x/00.bmp")
    repaint(images / "odd/train/x/00.bmp")  # of no use to anyone
    run(workdir, images)


def test_the_folder_of_images_may_move(again, caplog):
    workdir, images, results = again
    moved = images.with_name("elsewhere")
    images.rename(moved)
    assert without_clocks(run(workdir, moved)) == without_clocks(results)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    own = digest(settings_of(images))
    assert digest(settings_of(moved)) != own  # that is, the default folder of the run


def test_data_restored_are_the_same(again):
    workdir, images, results = again
    swap(images)
    with pytest.raises(ValueError, match="other data"):
        run(workdir, images)
    swap(images)
    assert without_clocks(run(workdir, images)) == without_clocks(results)


def test_a_run_of_an_earlier_version_is_warned_of(again, trained, caplog):
    """And gets no record, which would vouch for what nobody has compared.

    Its images must be where they were, as that version had it.
    """
    workdir, moved, results = again
    (workdir / "data.json").unlink()
    own = trained[0] / "images"
    assert without_clocks(run(workdir, own)) == without_clocks(results)
    (warning,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "cannot be checked, as it has no data.json" in warning.getMessage()
    assert not (workdir / "data.json").exists()
    with pytest.raises(ValueError, match=r"another experiment: config\.data\.dir is "):
        run(workdir, moved)


@pytest.mark.parametrize("content", ["", "null", "{}", "altered"])
def test_a_damaged_record_is_named(again, content):
    workdir, images, _ = again
    path = workdir / "data.json"
    text = path.read_text().replace('"images": 72', '"images": 73')
    path.write_text(text if content == "altered" else content)
    before = listing(workdir)
    with pytest.raises(ValueError) as refused:
        run(workdir, images)
    assert f"{path} is damaged" in str(refused.value)
    assert "delete the file alone, and the run goes on" in str(refused.value)
    assert listing(workdir) == before


def test_a_finished_run_without_its_images_stays_done(trained, tmp_path, caplog):
    top, results = trained
    shutil.copytree(top / "run", tmp_path / "run")
    assert run(tmp_path / "run", tmp_path / "gone") == results
    (warning,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "cannot be checked: no folder" in warning.getMessage()


def test_data_may_be_corrected_before_anything_is_trained(trained, tmp_path):
    top, _ = trained
    for name in ("run", "images"):
        shutil.copytree(top / name, tmp_path / name)
    stop(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "stages")
    rename(tmp_path / "images")
    run(tmp_path / "run", tmp_path / "images")
    record = json.loads((tmp_path / "run" / "data.json").read_text())
    assert record["data"]["class_names"] == ["cow", "zebra"]


def test_the_record_is_there_before_anything_is_trained(trained, tmp_path, monkeypatch):
    top, _ = trained
    monkeypatch.setattr(stage_results, "run_stage", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "run", top / "images")
    assert (tmp_path / "run" / "data.json").exists()
    assert not [p for p in (tmp_path / "run" / "stages").rglob("*") if p.is_file()]


def test_another_precision_is_told_and_not_refused(again, monkeypatch, caplog):
    """As where a run goes on without the accelerator that it was begun on."""
    workdir, images, results = again
    finished = (workdir / "results.json").exists()
    monkeypatch.setattr(load_task, "compute_dtype", lambda precision: np.float16)
    again = run(workdir, images)
    recorded = again["provenance"].pop("changed on the way", None)
    assert without_clocks(again) == without_clocks(results)
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == (0 if finished else 1)
    for warning in warnings:
        assert "was begun otherwise: precision was float32 and is bfloat16" in warning
    assert recorded == (None if finished else "precision was float32 and is bfloat16")


def test_another_jax_is_told_and_recorded(again, monkeypatch, caplog):
    """In the run's folder at once, and in the results; also where it changes back."""
    workdir, images, _ = again
    (workdir / "results.json").unlink(missing_ok=True)
    own = load_task.versions()["jax"]
    monkeypatch.setattr(load_task, "versions", lambda: {"jax": "0.1"})
    run(workdir, images)
    assert "was begun otherwise: commit was" in caplog.text
    assert f"jax was {own} and is 0.1" in caplog.text
    record = json.loads((workdir / "data.json").read_text())
    assert [each["jax"] for each in record["went_on_with"]] == ["0.1"]
    (workdir / "results.json").unlink()
    monkeypatch.setattr(load_task, "versions", lambda: {"jax": own})
    found = run(workdir, images)["provenance"]["changed on the way"]
    assert f"jax was {own} and is 0.1" in found
    assert found.endswith(f", then jax was 0.1 and is {own}")


RANDOM = {
    "JAX_DEFAULT_PRNG_IMPL": ("jax_default_prng_impl", "rbg", "threefry2x32"),
    "JAX_THREEFRY_PARTITIONABLE": ("jax_threefry_partitionable", False, "True"),
    "JAX_RANDOM_SEED_OFFSET": ("jax_random_seed_offset", 7, "0"),
}


@pytest.mark.parametrize("variable", RANDOM)
def test_other_random_numbers_are_refused(again, variable):
    """Where the run is finished, they change nothing any more."""
    workdir, images, results = again
    setting, value, before = RANDOM[variable]
    finished = (workdir / "results.json").exists()
    files = listing(workdir)
    default = getattr(jax.config, setting)
    jax.config.update(setting, value)
    try:
        if finished:
            assert run(workdir, images) == results
            shutil.rmtree(workdir / "ensembles")  # of which something is to be made
            files = listing(workdir)
        with pytest.raises(ValueError) as refused:
            run(workdir, images)
    finally:
        jax.config.update(setting, default)
    assert f"{variable} was {before} and is {value}. Set the env" in str(refused.value)
    assert f"{variable}={before}" in str(refused.value)
    assert listing(workdir) == files
    assert without_clocks(run(workdir, images)) == without_clocks(results)


@pytest.mark.extras
def test_a_run_does_not_go_on_with_streamed_images(again, monkeypatch, caplog):
    """Their mean is that of a sample; a finished one is compared in the rest."""
    workdir, images, results = again
    monkeypatch.setattr(load_task, "memory_bytes", lambda: 0)
    text = "the training images were in memory and are streamed here"
    if (workdir / "results.json").exists():
        assert run(workdir, images) == results
        assert text in caplog.text
        rename(images)
        with pytest.raises(ValueError, match="the classes were bee, cow and are cow"):
            run(workdir, images)
        return
    where = r", as this machine's memory and config\.data\.memory_share have it"
    with pytest.raises(ValueError, match=text + where):
        run(workdir, images)


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    top = tmp_path_factory.mktemp("streamed")
    write_images(top / "images")
    results = run(top / "run", top / "images", **{"data.memory_share": 0.0})
    assert results["data"]["streamed"]
    return top, results


@pytest.mark.extras
@pytest.mark.parametrize("finished", [True, False])
def test_other_streamed_data_are_refused(streamed, tmp_path, finished):
    top, results = streamed
    for name in ("run", "images"):
        shutil.copytree(top / name, tmp_path / name)
    workdir, images = tmp_path / "run", tmp_path / "images"
    if not finished:
        stop(workdir)
    bee = images / "known" / "train" / "bee"
    sample = next(p for p in sorted(bee.iterdir()) if split_of(images, p) == "training")
    share = {"data.memory_share": 0.0}

    def refusal():
        with pytest.raises(ValueError) as refused:
            run(workdir, images, **share)
        return str(refused.value).partition("data: ")[2].partition(". Restore")[0]

    before = listing(workdir)
    sample.rename(sample.with_suffix(".BMP"))  # in the same place among the others
    assert refusal() == "names, sizes or order of the training images' files differ"
    sample.with_suffix(".BMP").rename(sample)
    repaint(sample)  # of as many bytes
    assert refusal() == "pixels of the training images differ"
    repaint(sample)
    move_one(images)
    assert "labels of the training images differ" in refusal()
    train = images / "known" / "train"
    (train / "cow" / "99.bmp").rename(train / "bee" / "07.bmp")
    assert listing(workdir) == before
    moved = images.with_name("elsewhere")
    images.rename(moved)
    assert without_clocks(run(workdir, moved, **share)) == without_clocks(results)


@pytest.mark.slow  # `test_launch.py` has how the command ends
def test_the_command_ends_with_exit_code_2(trained, tmp_path):
    top, _ = trained
    for name in ("run", "images"):
        shutil.copytree(top / name, tmp_path / name)
    rename(tmp_path / "images")
    (tmp_path / "tiny.py").write_text(CONFIG)
    images = tmp_path / "images"
    done = launch(
        "--config=tiny.py",
        "--workdir=run",
        f"--config.data.dir={images}/known",
        f"--config.data.ood_dir={images}/odd",
        cwd=tmp_path,
    )
    assert done.returncode == 2, done.stderr
    (line,) = [s for s in done.stderr.splitlines() if s.startswith("error: ")]
    assert "run holds a run on other data: the classes were bee, cow and are" in line
    assert "Traceback" not in done.stderr


# Without a run.


def test_a_digest_is_of_the_digests_of_16_mib_each():
    content = np.random.default_rng(0).integers(0, 256, 2**24 + 5, np.uint8)
    parts = content.tobytes()[: 2**24], content.tobytes()[2**24 :]
    inner = b"".join(hashlib.sha256(part).digest() for part in parts)
    assert digest_of(content) == hashlib.sha256(inner).hexdigest()
    small = np.arange(6, dtype=np.int32).reshape(2, 3)
    inner = hashlib.sha256(b"".join(n.to_bytes(4, "little") for n in range(6))).digest()
    assert digest_of(small) == hashlib.sha256(inner).hexdigest()
    assert digest_of(small.T) != digest_of(small)
    assert digest_of(small[:0]) == hashlib.sha256(b"").hexdigest()


def described(**changes):
    none = {"images": 0, "labels": "", "pixels": ""}
    whole = {
        "name": "digits",
        "version": "",
        "class_names": ["a", "b"],
        "image_shape": [8, 8, 1],
        "streamed": False,
        "mean": [0.5],
        "std": [2.0],
        "splits": {"training": {"images": 3, "labels": "x", "pixels": "y"}},
    }
    whole["splits"] |= dict.fromkeys(("calibration", "validation", "test"), none)
    return whole | changes


MANY = [f"c{i}" for i in range(1000)]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({}, {}, []),
        ({"version": "a/1.0.0"}, {"version": "a/1.0.1"}, ["the version was a/1.0.0"]),
        ({}, {"image_shape": [9, 8, 1]}, ["the images were 8x8x1 and are 9x8x1"]),
        ({}, {"mean": [0.25]}, ["mean and deviation of the training images' channels"]),
        ({}, {"mean": [0.25], "streamed": True}, []),
        ({"class_names": MANY}, {"class_names": MANY[::-1]}, ["in another order"]),
        (
            {"class_names": MANY},
            {"class_names": MANY[12:]},
            ["988, without c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 2 more"],
        ),
    ],
)
def test_differences_in_words(before, now, expected):
    found = identity.differences(described(**before), described(**now))
    assert len(found) == len(expected)
    for text, part in zip(found, expected, strict=True):
        assert part in text


@pytest.mark.parametrize(
    ("missing", "value", "refused"),
    [
        ("crop", "shift", None),
        ("crop", "resized", "config.data.crop is 'shift' there and 'resized' here"),
        ("flip", "none", "config.data.flip is None there and 'none' here"),
    ],
)
def test_settings_of_an_earlier_version(again, monkeypatch, missing, value, refused):
    """A field that it did not have stands for what it did."""
    workdir, images, _ = again
    earlier = {"data.crop": "shift", "data.no_such": 3, "train.no_such": 3}
    monkeypatch.setattr(settings_identity, "_EARLIER", earlier)
    config = json.loads((workdir / "config.json").read_text())
    del config["data"][missing]
    (workdir / "config.json").write_text(json.dumps(config))
    changes = {f"data.{missing}": value}
    changes |= {"data.image_size": 8} if value == "resized" else {}
    if refused is None:
        run(workdir, images, **changes)
        return
    with pytest.raises(ValueError) as error:
        run(workdir, images, **changes)
    assert refused in str(error.value)


def test_a_new_setting_changes_no_digest_of_an_earlier_version(monkeypatch):
    """So that the default folder is found again."""
    own = settings_of("/images")
    before = own.to_json()
    del before["data"]["crop"]
    monkeypatch.setattr(settings_identity, "_EARLIER", {})
    expected = settings_identity.digest_of(settings_identity.result_relevant(before))
    assert digest(own) != expected
    monkeypatch.setattr(settings_identity, "_EARLIER", {"data.crop": "shift"})
    assert digest(own) == expected
    other = settings_of("/images", **{"data.crop": "resized"})
    assert digest(other) != expected
