"""Data sets of TFDS: read by the real reader, and what is refused, all offline.

The data sets are prepared here, by TFDS, from a few images each. TensorFlow cannot be
imported and no connection can be made, whatever this machine has.
"""

import importlib.util
import io
import json
import pickle
import socket
import sys
import threading
import time
from functools import cache

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

from mothernets_jax.data import (
    checks,
    identity,
    image_files,
    load,
    prepare,
    tfds_builder,
)
from mothernets_jax.data.streaming import StepReader
from mothernets_jax.data.tfds_source import load_tfds


def no_connection(*_, **__):
    raise OSError("no network in this test")


class NoTensorFlow:
    """Not installed, that is; None in `sys.modules` would look installed to TFDS."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", no_connection)
    monkeypatch.setattr(socket, "getaddrinfo", no_connection)
    monkeypatch.setattr(sys, "meta_path", [NoTensorFlow, *sys.meta_path])


def pixels_of(number: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, shape, np.uint8)


def png(pixels: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    file.seek(0)
    return file


def prepare_like(builder, directory, splits):
    """Prepares `splits[name] = [record, ...]` as the real builder would."""

    class Tiny(builder, skip_registration=True):
        name = builder.name
        pkg_dir_path = builder.pkg_dir_path

        def _split_generators(self, _):
            return {split: enumerate(records) for split, records in splits.items()}

    Tiny(data_dir=directory, file_format="array_record").download_and_prepare()
    return directory


CIFAR_SHAPE = (32, 32, 3)
# Numbers of images by split; the label of each is its number modulo 10.
CIFAR = {"train": range(40), "test": range(40, 50)}


def prepare_cifar10(name, directory):
    """Has the arguments of `tfds_builder.download_and_prepare`."""
    assert name == "cifar10"
    records = {
        split: [
            {"id": str(n), "image": png(pixels_of(n, CIFAR_SHAPE)), "label": n % 10}
            for n in numbers
        ]
        for split, numbers in CIFAR.items()
    }
    return prepare_like(tfds.builder_cls("cifar10"), directory, records)


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory) -> str:
    return str(prepare_cifar10("cifar10", tmp_path_factory.mktemp("tfds")))


def numbers_of(images, shape=CIFAR_SHAPE, among=range(50)):
    """Which of the numbered images these are, in their order."""
    known = {pixels_of(n, shape).tobytes(): n for n in among}
    return [known[image.tobytes()] for image in images]


def test_cifar10_comes_back_exactly(cifar10):
    data = load("cifar10", directory=cifar10, validation_fraction=0.25)
    parts = {
        "train": (data.train_images, data.train_labels),
        "validation": (data.validation_images, data.validation_labels),
        "test": (data.test_images, data.test_labels),
    }
    found = {}
    for name, (images, labels) in parts.items():
        assert images.dtype == np.uint8 and labels.dtype == np.int32
        found[name] = numbers_of(images)
        np.testing.assert_array_equal(labels, np.array(found[name]) % 10)
    assert sorted(found["train"] + found["validation"]) == list(CIFAR["train"])
    assert sorted(found["test"]) == list(CIFAR["test"])
    assert len(found["validation"]) == 10
    assert data.num_classes == 10 and data.input_shape == CIFAR_SHAPE


def test_only_what_is_used_is_decoded(cifar10, monkeypatch):
    decode, decoded = image_files.decode_image, set()

    def record(encoded, *how):
        decoded.add(encoded.name)
        return decode(encoded, *how)

    monkeypatch.setattr(image_files, "decode_image", record)
    whole = load("cifar10", directory=cifar10, validation_fraction=0.0)
    assert len(decoded) == 50 and len(whole.validation_images) == 0
    decoded.clear()
    part = load(
        "cifar10", directory=cifar10, validation_fraction=0.0, train_examples=20
    )
    assert len(decoded) == 30
    np.testing.assert_array_equal(part.train_images, whole.train_images[:20])


def test_images_are_resized_as_those_of_a_folder(cifar10, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for split, numbers in CIFAR.items():
        for n in numbers:
            path = tmp_path / "images" / split / str(n % 10) / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(pixels_of(n, CIFAR_SHAPE)).read())
    options = {"image_size": 12, "validation_fraction": 0.0}
    folder = load("folder", directory=str(tmp_path / "images"), **options)
    ours = load("cifar10", directory=cifar10, **options)
    assert ours.input_shape == (12, 12, 3)
    assert {image.tobytes() for image in ours.train_images} == {
        image.tobytes() for image in folder.train_images
    }


# Other data sets, by "tfds:NAME": what each holds is told by its features.

IMAGE = tfds.features.Image(shape=(6, 5, 3))
ANY_SIZE = tfds.features.Image(shape=(None, None, 3))
CLASSES = tfds.features.ClassLabel(names=["ant", "bee"])


@cache
def builder_of(image, label):
    class Insects(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        name = "insects"
        pkg_dir_path = None

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict({"image": image, "label": label}),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, _):
            raise NotImplementedError

        def _generate_examples(self):
            raise NotImplementedError

    return Insects


def prepare_insects(
    directory, *, splits=("train", "test"), image=IMAGE, label=CLASSES, labels=(0, 1)
):
    """As many images a split as labels; the first is the largest if sizes differ."""

    def shape(n):
        if image is ANY_SIZE:
            return (9 - n % 4, 7, 3)
        return image.shape if image.shape[-1] == 3 else image.shape[:2]

    records = {
        split: [
            {"image": png(pixels_of(n, shape(n))), "label": label}
            for n, label in enumerate(labels, start=10 * position)
        ]
        for position, split in enumerate(splits)
    }
    return str(prepare_like(builder_of(image, label), directory, records))


def test_any_other_set_can_be_named(tmp_path):
    directory = prepare_insects(tmp_path, labels=(0, 1, 1))
    data = load("tfds:insects", directory=directory, validation_fraction=0.0)
    assert data.class_names == ("ant", "bee")
    for images, labels, first in (
        (data.train_images, data.train_labels, 0),
        (data.test_images, data.test_labels, 10),
    ):
        numbers = numbers_of(images, (6, 5, 3), range(first, first + 3))
        np.testing.assert_array_equal(
            labels, np.array([0, 1, 1])[np.array(numbers) % 10]
        )


@pytest.mark.extras
def test_streamed_images_are_opened_again_by_another_process(cifar10):
    data = load("cifar10", directory=cifar10, memory_bytes=30 * 32 * 32 * 3)
    assert data.streamed and len(data.train_images) == 36
    sent = pickle.loads(pickle.dumps(data.train_images))
    reader = StepReader(sent, batch_size=12, seed=3, positions=np.arange(12))
    found = [reader(step) for step in range(3)]
    images = np.concatenate([batch.images for batch in found])
    labels = data.train_labels[np.concatenate([batch.examples for batch in found])]
    numbers = numbers_of(images)
    assert len(set(numbers)) == 36
    np.testing.assert_array_equal(labels, np.array(numbers) % 10)
    # One more byte, and they are all in memory.
    kept = load("cifar10", directory=cifar10, memory_bytes=36 * 32 * 32 * 3)
    np.testing.assert_array_equal(kept.train_images, data.train_images[:])


def test_grey_images_keep_one_channel(tmp_path):
    directory = prepare_insects(tmp_path, image=tfds.features.Image(shape=(6, 5, 1)))
    data = load("tfds:insects", directory=directory, validation_fraction=0.0)
    assert data.input_shape == (6, 5, 1)
    assert sorted(numbers_of(data.train_images, (6, 5), range(2))) == [0, 1]


def test_images_of_different_sizes_need_a_size(tmp_path):
    directory = prepare_insects(tmp_path, image=ANY_SIZE)
    options = {"directory": directory, "validation_fraction": 0.0}
    with pytest.raises(ValueError, match=r"different sizes.* image_size"):
        load("tfds:insects", **options)
    for resize, to_square in (("crop", ImageOps.fit), ("pad", ImageOps.pad)):
        data = load("tfds:insects", image_size=4, resize=resize, **options)
        originals = [
            Image.fromarray(pixels_of(number, (9 - number % 4, 7, 3)))
            for number in (10, 11)
        ]
        assert {image.tobytes() for image in data.test_images} == {
            to_square(image, (4, 4), Image.Resampling.BILINEAR).tobytes()
            for image in originals
        }


@pytest.mark.parametrize(
    ("splits", "tested"),
    [
        (("train", "test"), "test"),
        (("train", "validation"), "validation"),
        (("train", "validation", "test"), "test"),
    ],
    ids=str,
)
def test_the_test_set_is_test_or_else_validation(tmp_path, splits, tested):
    directory = prepare_insects(tmp_path, splits=splits)
    arrays = load_tfds("tfds:insects", directory)
    test_images = arrays.test_images
    first = 10 * splits.index(tested)
    images = test_images[:2]
    numbers = numbers_of(images, (6, 5, 3), range(first, first + 2))
    assert sorted(numbers) == [first, first + 1]
    # A validation split that does not test validates.
    data = load("tfds:insects", directory=directory, validation_fraction=0.0)
    found = numbers_of(data.validation_images, (6, 5, 3), range(30))
    assert sorted(found) == ([10, 11] if len(splits) == 3 else [])
    assert len(data.train_labels) == 2
    told = " ".join(data.notes)
    assert ("validation of insects is the test set" in told) == (tested == "validation")
    assert ("of insects is the validation split" in told) == (len(splits) == 3)


def test_imagenet_is_tested_on_its_validation_images(tmp_path):
    # Its test images have the label -1.
    records = {
        split: [
            {"file_name": f"{n}", "image": png(pixels_of(n, (9, 9 + n, 3)))}
            | {"label": -1 if split == "test" else n}
            for n in numbers
        ]
        for split, numbers in {
            "train": range(3),
            "validation": range(3, 5),
            "test": range(5, 9),
        }.items()
    }
    prepare_like(tfds.builder_cls("imagenet2012"), tmp_path, records)
    arrays = load_tfds("imagenet", str(tmp_path), image_size=8)
    images, labels, test_images, test_labels, names, *_ = arrays
    assert images.shape == (3, 8, 8, 3) and len(names) == 1000
    assert sorted(labels.read(np.arange(3)).tolist()) == [0, 1, 2]
    assert sorted(test_labels.read(np.arange(2)).tolist()) == [3, 4]
    assert test_images[1:].shape == (1, 8, 8, 3)


@pytest.mark.parametrize(
    "memory_bytes", [None, pytest.param(0, marks=pytest.mark.extras)]
)
def test_another_version_is_told(tmp_path, monkeypatch, memory_bytes):
    """Though it holds the same images, in memory or streamed."""
    options = {"validation_fraction": 0.0, "memory_bytes": memory_bytes}

    def describe(folder, **how):
        directory = prepare_insects(tmp_path / folder, **how)
        dataset = load("tfds:insects", directory=directory, **options)
        return identity.describe(dataset, name="tfds:insects")

    before = describe("first")
    assert identity.differences(before, describe("copy")) == []
    version = tfds.core.Version("1.0.1")
    monkeypatch.setattr(builder_of(IMAGE, CLASSES), "VERSION", version)
    found = identity.differences(before, describe("other"))
    assert found == ["the version was insects/1.0.0 and is insects/1.0.1"]
    monkeypatch.undo()
    other = identity.differences(before, describe("labels", labels=(1, 0)))
    assert "labels of the training images differ" in other
    assert "labels of the test images differ" in other


# What is refused.


def refusal(error, name, directory="", **options):
    """The message, which must come within seconds."""
    started = time.perf_counter()
    with pytest.raises(error) as caught:
        load(name, directory=str(directory), **options)
    assert time.perf_counter() - started < 10
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_does_not_fit_into_memory_is_refused_unread(cifar10, monkeypatch):
    # A tenth of 1,024,000 bytes is room for 33 images of 3,072, and not for 34.
    monkeypatch.setattr(checks, "_MEMORY_SHARE", 0.1)
    memory = {"SC_PHYS_PAGES": 250, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(checks.os, "sysconf", memory.__getitem__)
    options = {"directory": cifar10, "validation_fraction": 0.1}
    assert len(load("cifar10", train_examples=19, **options).train_images) == 19
    monkeypatch.setattr("mothernets_jax.data.tfds_source._Records.read", None)
    message = refusal(ValueError, "cifar10", train_examples=20, **options)
    assert message.startswith("20 training, 4 validation and 10 test images of 32x32")
    assert "at most 10% of this machine's memory" in message
    for field in ("image_size", "train_examples", "validation_fraction"):
        assert f" {field}" in message


@pytest.mark.parametrize("tensorflow", [False, True])
def test_a_missing_set_that_cannot_be_fetched(tmp_path, monkeypatch, tensorflow):
    found = object() if tensorflow else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    message = refusal(FileNotFoundError, "svhn", tmp_path)
    assert f"'svhn' is not in {tmp_path}/svhn_cropped/" in message
    assert f"`python -m mothernets_jax.data.prepare svhn {tmp_path}`" in message
    assert " directory=PATH." in message
    reason = r".mat does not answer within 5 seconds" if tensorflow else "TensorFlow"
    assert reason in message
    assert ("requirements-prepare.txt" in message) is not tensorflow
    assert not list(tmp_path.iterdir())


def test_a_network_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    over = threading.Event()

    def hang(*_, **__):
        over.wait(60)
        raise OSError("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(tfds_builder, "_PATIENCE_SECONDS", 0.2)
    message = refusal(FileNotFoundError, "cifar100", tmp_path)
    over.set()
    assert "does not answer within 0.2 seconds" in message


def test_what_must_be_downloaded_by_hand_says_how(tmp_path):
    message = refusal(FileNotFoundError, "imagenet", tmp_path, image_size=64)
    assert f"by hand, into {tmp_path}/downloads/manual (" in message
    assert "ILSVRC2012_img_train.tar" in message


def test_a_missing_set_is_fetched_where_it_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(tfds_builder, "_answers", lambda address: True)
    # In a process of its own, where it is found by its name.
    monkeypatch.setattr(tfds_builder, "download_and_prepare", prepare_cifar10)
    data = load("cifar10", directory=str(tmp_path / "new"), validation_fraction=0.0)
    assert sorted(numbers_of(data.train_images)) == list(CIFAR["train"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tfds:ciffar10", "no data set 'ciffar10'.* Did you mean 'tfds:cifar10'"),
        ("tfds:cifar10:9.9.9", "'cifar10:9.9.9': .*cannot be loaded at version 9"),
        ("tfds:", "unknown data set 'tfds:', expected .*tfds:NAME"),
        ("cifar", "unknown data set 'cifar', expected .*Did you mean 'cifar10'"),
    ],
)
def test_an_unknown_name_is_refused(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        load(name, directory=str(tmp_path))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"splits": ("train",)}, r"has the splits train; expected train and test \(or"),
        ({"splits": ("test",)}, "has the splits test; expected train and test"),
        (
            {"label": tfds.features.Scalar(np.int64)},
            "not one of 8-bit images with one class each; .* holds image, label",
        ),
        (
            {"image": tfds.features.Image(shape=(6, 5, 1), dtype=np.uint16)},
            "not one of 8-bit images",
        ),
        ({"labels": (0, 1, -1)}, r"1 of 3 training images have a label.*\(-1, say\)"),
    ],
    ids=lambda case: str(*case) if isinstance(case, dict) else "",
)
def test_a_set_that_does_not_suit_is_refused(tmp_path, how, message):
    directory = prepare_insects(tmp_path, **how)
    with pytest.raises(ValueError, match=message):
        load("tfds:insects", directory=directory, validation_fraction=0.0)


@pytest.fixture
def insects(tmp_path):
    """A data set's folder, to be damaged."""
    prepare_insects(tmp_path)
    return tmp_path / "insects" / "1.0.0"


def test_another_file_format_is_refused(insects):
    info = json.loads((insects / "dataset_info.json").read_text())
    info["fileFormat"] = "tfrecord"
    (insects / "dataset_info.json").write_text(json.dumps(info))
    message = refusal(ValueError, "tfds:insects", insects.parents[1])
    assert "prepared as tfrecord, which needs TensorFlow to be read" in message
    assert "expected array_record" in message and " directory=PATH." in message


@pytest.mark.parametrize("how", ["missing", "truncated", "description"])
def test_a_damaged_set_is_refused(insects, how):
    (file,) = insects.glob("insects-train*")
    if how == "missing":
        file.unlink()
    elif how == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        (insects / "dataset_info.json").write_text("{")
    message = refusal(
        ValueError, "tfds:insects", insects.parents[1], validation_fraction=0.0
    )
    expected = "cannot open" if how == "description" else "cannot read insects train"
    assert expected in message and "prepare" in message


def test_without_tfds_its_sets_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert "pip install -r requirements.txt" in refusal(ValueError, "mnist")


# The command that prepares.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits"], "unknown data set 'digits', expected one of cifar10"),
        (["imagenet"], "error: TFDS could not prepare 'imagenet': .*ILSVRC2012"),
        (["tfds:ciffar10"], "error: TFDS has no data set 'ciffar10'"),
    ],
)
def test_prepare_refuses(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["prepare", *arguments, str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        prepare.main()
    assert caught.value.code == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.partition(": .*")[0] in line


def test_prepare_names_the_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["prepare", "cifar10", str(tmp_path)])
    monkeypatch.setattr(tfds_builder, "download_and_prepare", prepare_cifar10)
    prepare.main()
    assert capsys.readouterr().out.strip().endswith(str(tmp_path))
    assert len(load_tfds("cifar10", str(tmp_path))[1].read(np.arange(40))) == 40
