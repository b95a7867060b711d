"""Streamed images: which are read, when, by whom, and how they are cropped."""

import contextlib
import dataclasses
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageOps
from rich.console import Console

from configs.vgg_ensemble import get_config
from mothernets_jax.architectures import mlp
from mothernets_jax.config.settings import Recipe
from mothernets_jax.data import crops, load
from mothernets_jax.data.streaming import StepReader, own_positions, read_ahead
from mothernets_jax.methods import read_settings
from mothernets_jax.models.variables import abstract_variables, init
from mothernets_jax.runs import experiment
from mothernets_jax.runtime.compilation import Executables, ProgramStore
from mothernets_jax.stages import batches
from mothernets_jax.stages.prepare import prepare_training
from mothernets_jax.stages.stage import Stage, Start
from mothernets_jax.stages.task import make_task, step_spec
from mothernets_jax.stages.trainer import GroupTrainer
from mothernets_jax.training.epoch_inputs import (
    MemberKeys,
    MemberRates,
    make_epoch_inputs,
)
from mothernets_jax.training.group_step import make_steps, new_group
from mothernets_jax.training.member_step import new_state
from mothernets_jax.training.optim import SGD
from mothernets_jax.training.sharding import places_of
from mothernets_jax.utils.pytrees import named_key

pytestmark = pytest.mark.extras  # they need grain

ROOT = Path(__file__).parents[2]
CLASSES, PER_CLASS, SIDE = ("ant", "bee", "cow"), 80, 6
COLOURS = np.array([[180, 60, 60], [60, 180, 60], [60, 60, 180]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    """Coloured noise, 80 images of each class in train/ and 8 in test/."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for split, count in (("train", PER_CLASS), ("test", 8)):
        for name, colour in zip(CLASSES, COLOURS, strict=True):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                noise = rng.integers(-50, 50, (SIDE, SIDE, 3))
                image = Image.fromarray((colour + noise).astype(np.uint8))
                image.save(root / split / name / f"{i:02}.png")
    return str(root)


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    """No test reads or writes the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def stream(folder, **options):
    return load("folder", directory=folder, memory_bytes=0, **options)


def reader_of(images, batch_size=32, seed=7):
    return StepReader(images, batch_size, seed, np.arange(batch_size))


# What is read.


def test_what_fits_is_in_memory_and_what_does_not_is_the_same_streamed(folder):
    needed = 216 * SIDE * SIDE * 3  # nine tenths of 240 train
    memory = load("folder", directory=folder)
    streamed = load("folder", directory=folder, memory_bytes=needed - 1)
    assert not load("folder", directory=folder, memory_bytes=needed).streamed
    assert not memory.streamed and streamed.streamed
    assert streamed.input_shape == memory.input_shape
    np.testing.assert_array_equal(streamed.train_images[:], memory.train_images)
    for name in ("train_labels", "validation_images", "test_images", "mean", "std"):
        np.testing.assert_array_equal(getattr(streamed, name), getattr(memory, name))


def test_batches_are_those_of_an_order_computed_apart(folder):
    data, memory = stream(folder), load("folder", directory=folder)
    reader = reader_of(data.train_images)
    assert reader.steps_per_epoch == 216 // 32
    seen = []
    for epoch in (0, 1, 5):
        order = np.random.RandomState([7, epoch]).permutation(216)
        for step in range(6):
            batch = reader(6 * epoch + step)
            expected = order[32 * step : 32 * (step + 1)]
            np.testing.assert_array_equal(batch.examples, expected)
            np.testing.assert_array_equal(batch.images, memory.train_images[expected])
        seen.append(order)
    assert not np.array_equal(seen[0], seen[1])


@pytest.mark.parametrize("workers", [0, 2])
def test_any_position_can_come_first_and_processes_change_nothing(folder, workers):
    data = stream(folder, crop="resized", image_size=5)
    reader = reader_of(data.train_images)
    first, stop = 4, 9  # across the end of an epoch of 6 steps
    with contextlib.closing(read_ahead(reader, first, stop, workers=workers)) as found:
        batches = list(found)
    assert len(batches) == stop - first
    for step, batch in zip(range(first, stop), batches, strict=True):
        np.testing.assert_array_equal(batch.examples, reader(step).examples)
        np.testing.assert_array_equal(batch.images, reader(step).images)


@pytest.mark.parametrize(
    ("size", "workers", "message"),
    [
        (None, 1, "cannot read the image {}: "),
        ((SIDE, SIDE + 1), 0, "{} is 7x6 pixels .* expected one size"),
    ],
)
def test_an_image_that_cannot_be_read_is_named(
    folder, tmp_path, size, workers, message
):
    root = tmp_path / "damaged"
    for path in Path(folder).rglob("*.png"):
        target = root / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    images = stream(str(root)).train_images
    (encoded,) = images.files(images.numbers[:1])
    if size is None:
        Path(encoded.file).write_bytes(b"no image")
    else:
        Image.new("RGB", size).save(encoded.file)
    with pytest.raises(ValueError, match=message.format(encoded.name)):
        list(read_ahead(reader_of(images, 216), 0, 1, workers=workers))


@pytest.mark.parametrize(
    ("hosts", "places"),
    [
        ([[0, 0, 1, 1]], {0: (0, 1), 1: (2, 3)}),  # a batch over two hosts
        ([[0, 0], [1, 1]], {0: (0, 1), 1: (0, 1)}),  # members over hosts: all read all
        ([[0, 1], [2, 3]], {0: (0,), 1: (1,), 2: (0,), 3: (1,)}),
    ],
)
def test_hosts_read_the_parts_of_their_devices(folder, hosts, places):
    hosts = np.array(hosts)
    assert {host: places_of(hosts, host) for host in places} == places
    num_places, whole = hosts.shape[1], reader_of(stream(folder).train_images)(3)
    for own in places.values():
        positions = own_positions(own, num_places, 32)
        part = StepReader(stream(folder).train_images, 32, 7, positions)(3)
        parts = np.split(whole.examples, num_places)
        expected = np.concatenate([parts[place] for place in own])
        np.testing.assert_array_equal(part.examples, expected)


def test_a_host_draws_the_crops_of_its_part(folder):
    images = stream(folder, crop="resized", image_size=5).train_images
    whole = reader_of(images)(2).images
    part = StepReader(images, 32, 7, own_positions((1,), 4, 32))(2).images
    np.testing.assert_array_equal(part, whole[8:16])


# Crops.


def test_random_boxes_are_inside_and_as_large_and_wide_as_told():
    rng = np.random.default_rng(0)
    width, height = 50, 40
    boxes = [
        crops.random_box(draws, width, height)
        for draws in rng.random((2000, crops.ATTEMPTS, 4))
    ]
    left, top, right, bottom = np.array(boxes).T
    assert left.min() >= 0 and top.min() >= 0
    assert right.max() <= width and bottom.max() <= height
    across, down = right - left, bottom - top
    share, aspect = across * down / (width * height), across / down
    assert 0.08 <= share.min() < 0.1 and 0.9 < share.max() <= 1
    assert 0.749 < aspect.min() < 0.77 and 1.3 < aspect.max() < 1.334
    assert abs(np.median(aspect) - 1) < 0.05


def test_where_no_attempt_fits_the_middle_is_taken():
    draws = np.full((crops.ATTEMPTS, 4), 0.999)
    assert crops.random_box(draws, 30, 10) == pytest.approx((25 / 3, 0, 65 / 3, 10))
    assert crops.random_box(draws, 9, 40) == pytest.approx((0, 14, 9, 26))


@pytest.mark.parametrize("size", [(60, 48), (32, 80)])
def test_evaluation_takes_the_middle_as_pillow_does(tmp_path, size):
    pixels = np.random.default_rng(1).integers(0, 256, (5, 5, 3), np.uint8)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    for split in ("train", "test"):
        for name in CLASSES:
            (tmp_path / split / name).mkdir(parents=True)
            image.save(tmp_path / split / name / "0.png")
    options = {"crop": "resized", "image_size": 28, "validation_fraction": 0.0}
    data = stream(str(tmp_path), **options)
    fitted = ImageOps.fit(image, (28, 28), Image.Resampling.BILINEAR, bleed=1 / 16)
    np.testing.assert_array_equal(data.test_images[0], np.asarray(fitted))
    np.testing.assert_array_equal(data.train_images[:1][0], np.asarray(fitted))
    # The recipe as it is told: the shorter side to 28 / 0.875, then the middle.
    scale = 32 / min(size)
    resized = image.resize(
        [round(scale * side) for side in size], Image.Resampling.BILINEAR
    )
    left, top = (resized.width - 28) // 2, (resized.height - 28) // 2
    middle = np.asarray(resized.crop((left, top, left + 28, top + 28)), int)
    assert np.abs(data.test_images[0] - middle).mean() < 2
    control = np.asarray(image.resize((28, 28), Image.Resampling.BILINEAR), int)
    assert np.abs(data.test_images[0] - control).mean() > 5


def test_crops_differ_from_epoch_to_epoch(tmp_path):
    # Red tells the column and green the row.
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    pixels = np.stack([*np.meshgrid(ramp, ramp), np.zeros((64, 64), np.uint8)], -1)
    for folder in ("train/one", "train/two", "test/one", "test/two"):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / folder / "0.png")
    options = {"crop": "resized", "image_size": 16, "validation_fraction": 0.0}
    reader = reader_of(stream(str(tmp_path), **options).train_images, batch_size=1)
    found = np.stack([reader(step).images[0] for step in range(200)])
    assert found.shape == (200, 16, 16, 3) and found.dtype == np.uint8
    extent = np.ptp(found[..., :2].astype(int), axis=(1, 2)) / 255  # width, height
    # A sixteenth of a crop is lost, as its outermost pixels are means.
    areas = extent.prod(-1) / (15 / 16) ** 2
    assert 0.06 < areas.min() < 0.2 and areas.max() > 0.8
    assert len({image.tobytes() for image in found}) == 200


# What is trained.

NETWORK, BATCH = mlp((5,), batch_norm=True), 32
RECIPE = Recipe(2, BATCH, 0.05, 1e-4, 0.0, "constant", 0.0, "epochs", 1)
VARIED = {"crop_padding": 1, "crop_border": "black", "flip": "random"}


def unequal(data):
    """The same images, a quarter of which have moved to the first class."""
    places = np.arange(len(data.train_labels))
    return data._replace(train_labels=np.where(places % 4, data.train_labels, 0))


def make_problem(folder, **recipe):
    data = unequal(stream(folder))
    task = make_task(data, **VARIED, seed=3, batch_size=BATCH)
    own = dataclasses.replace(RECIPE, **recipe)
    spec = step_spec(task, NETWORK, recipe=Recipe())
    stage = Stage("m", "s", ("a", "b"), own, spec, lambda *_: Start({}, {}))
    keys = jax.random.split(jax.random.key(0), 2)
    starts = [new_state(init(NETWORK, key, data.input_shape, 3), SGD()) for key in keys]
    return task, stage, starts


@pytest.mark.parametrize(
    ("strategy", "weights"), [("vmap", "balanced"), ("loop", "none")]
)
def test_streaming_trains_as_memory_does_in_the_same_order(
    folder, monkeypatch, strategy, weights
):
    task, stage, starts = make_problem(folder, class_weights=weights)
    # Chunks of four steps, the last of two, as an epoch has six.
    monkeypatch.setattr(batches, "_CHUNK_BYTES", 4 * BATCH * 8 * 8 * 3)
    executables = Executables(ProgramStore())
    trainer = GroupTrainer(stage, task, starts, strategy, executables)
    trained = [trainer.run_epoch(epoch, [True, True]) for epoch in (0, 1)]
    assert min(trained) > 0
    assert executables.store.count("train_steps") == 1

    memory = unequal(load("folder", directory=folder))
    inside = make_task(memory, **VARIED, seed=3, batch_size=BATCH).training_data
    if weights == "balanced":
        counts = np.bincount(memory.train_labels)
        assert counts[0] > 1.9 * counts[1:].max()
        inside = inside._replace(class_weights=jnp.asarray(72 / counts, jnp.float32))
    step = make_steps(stage.spec, "vmap")
    state = new_group(starts)
    key = named_key(task.key, "m", "s", "stream")
    seed = int(jax.random.bits(key, dtype=jnp.uint32))
    for epoch in (0, 1):
        order = np.random.RandomState([seed, epoch]).permutation(216)[: 6 * BATCH]
        keys = jnp.stack(
            [named_key(task.key, "m", name, "train") for name in stage.members]
        )
        rates = jnp.full((2, 6), 0.05), jnp.full(2, 1e-4), jnp.zeros(2)
        inputs = make_epoch_inputs(216, BATCH)(
            MemberKeys(keys, keys, keys),
            np.int32(epoch),
            MemberRates(*rates, jnp.ones(2, bool)),
        )
        indices = np.broadcast_to(order.reshape(6, BATCH), (2, 6, BATCH))
        inputs = inputs._replace(indices=jnp.asarray(indices, jnp.int32))
        state = step(state, inside, inputs, np.int32(0), np.int32(6))
    found = trainer.states()
    for i, name in enumerate(stage.members):
        expected = jax.tree.map(lambda leaf, i=i: leaf[i], state.members)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
            found[name],
            expected,
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flip": "alternating"}, "^flip is 'alternating', but the images"),
        ({"crop_border": "reflect"}, "^crop_border is 'reflect', but the"),
    ],
)
def test_what_streams_cannot_do(folder, change, message):
    with pytest.raises(ValueError, match=message):
        make_task(stream(folder), **VARIED | change, seed=3, batch_size=BATCH)


def test_what_was_prepared_for_a_stream_is_what_it_runs(folder):
    task, stage, starts = make_problem(folder)
    task = task._replace(devices=task.devices[:1])
    store = ProgramStore()
    variables = abstract_variables(NETWORK, task.input_shape, 3)
    prepare_training(stage, task, variables, "vmap", store)
    trainer = GroupTrainer(stage, task, starts, "vmap", Executables(store))
    assert store.count("train_steps") == 1
    assert trainer.seconds_per_step() > 0


def settings_of(folder, **overrides):
    config = get_config("folder")
    with config.unlocked():
        config.architectures = {"A": "mlp 8; batch_norm", "B": "mlp 12; batch_norm"}
        config.update_from_flattened_dict(
            {
                "replicas": 2,
                "data.dir": folder,
                "data.crop_padding": 1,
                "data.memory_share": 0.0,
                "train.batch_size": 32,
                "train.epochs": 2,
                "hatch.epochs": 1,
                **overrides,
            }
        )
    return read_settings(config)


def test_a_whole_run_with_streamed_images(folder, tmp_path):
    overrides = {"data.crop": "resized", "data.image_size": 5}
    results = experiment.run(
        settings_of(folder, **overrides),
        name="streamed",
        workdir=tmp_path / "run",
        command="",
        console=Console(file=StringIO()),
    )
    saved = json.loads((tmp_path / "run/results.json").read_text())
    assert saved["data"]["streamed"] is True
    assert saved["data"]["test_images_in_train"] is None
    assert results["methods"].keys() == {"mothernets", "full_data"}
    for entry in results["methods"].values():
        assert entry["ensemble"]["average"]["error"] < 0.2
    assert (tmp_path / "run/report.html").exists()


def launch(folder, *arguments):
    command = ["launch.py", "--config=configs/vgg_ensemble.py:folder"]
    options = (f"--config.data.dir={folder}", "--config.data.memory_share=0.0")
    done = subprocess.run(
        [sys.executable, *command, *options, *arguments],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_plan_of_a_streamed_run(folder):
    code, out, err = launch(folder, "--plan")
    assert code == 0, err
    assert "mothernet_1" in out
    assert "216 training images" in err and "streamed" in err


# What is refused.


def test_without_grain_it_is_told_how_to_install_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(ValueError, match=r"requirements-streaming\.txt"):
        stream(folder)
    assert not load("folder", directory=folder, memory_bytes=2**20).streamed


def test_resized_crops_need_a_size_and_files(folder):
    with pytest.raises(ValueError, match=r"image_size=224"):
        load("folder", directory=folder, crop="resized")
    with pytest.raises(ValueError, match=r"crop='resized' is given, but .*'digits'"):
        load("digits", crop="resized")
    # They are streamed, however much memory there is.
    options = {"crop": "resized", "image_size": 5, "memory_bytes": 2**30}
    assert load("folder", directory=folder, **options).streamed


def test_grain_is_not_imported_unless_something_is_streamed(folder):
    code = (
        "import sys\n"
        "from mothernets_jax import data\n"
        "from mothernets_jax.runs import experiment\n"
        f"data.load('folder', directory={folder!r}, memory_bytes=2**20)\n"
        "assert 'grain' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
