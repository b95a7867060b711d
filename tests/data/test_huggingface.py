"""Data sets of the library `datasets`: the pixels of a folder, read in place."""

import io
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from image_folders import CLASSES, random_pixels
from PIL import Image

from mothernets_jax import api
from mothernets_jax.data.huggingface import is_huggingface
from mothernets_jax.data.identity import describe
from mothernets_jax.data.preparation import Preparation
from mothernets_jax.data.public import Dataset


def test_other_values_are_not_of_the_library():
    assert not any(map(is_huggingface, (None, "datasets", np.zeros(3), {}, Dataset)))
    with pytest.raises(
        ValueError, match=r"dataset is of type list: expected a datasets"
    ):
        Dataset.from_huggingface([])


def test_nothing_imports_the_library():
    for path in (ROOT / "mothernets_jax").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) datasets\b", text, re.MULTILINE), path


ROOT = Path(__file__).parents[2]
PIXELS = random_pixels(0, (60, 6, 5, 3))
LABELS = [i % 3 for i in range(60)]


def encoded(pixels, suffix="png"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, suffix)
    return {"bytes": file.getvalue(), "path": None}


@pytest.fixture(scope="module")
def hf():
    return pytest.importorskip("datasets")


def make(hf, numbers=range(60), images=None, **columns):
    """A data set of some of the images."""
    features = {"picture": hf.Image(), "class": hf.ClassLabel(names=list(CLASSES))}
    features |= {name: hf.Value("string") for name in columns}
    values = {
        "picture": images or [encoded(PIXELS[i]) for i in numbers],
        "class": [LABELS[i] for i in numbers],
        **columns,
    }
    return hf.Dataset.from_dict(values, hf.Features(features))


def expected(numbers=range(60), **options):
    numbers = list(numbers)
    labels = [LABELS[i] for i in numbers]
    return Dataset.from_arrays(PIXELS[numbers], labels, class_names=CLASSES, **options)


def assert_same(data, other):
    for split in ("train", "calibration", "validation", "test"):
        for kind in ("images", "labels"):
            own, wanted = (getattr(d, f"{split}_{kind}") for d in (data, other))
            np.testing.assert_array_equal(own[:], wanted)
    assert data.class_names == other.class_names
    assert data.mean.tolist() == other.mean.tolist()


@pytest.mark.extras
def test_drawn_splits_are_those_of_the_arrays(hf):
    options = {"validation_fraction": 0.2, "calibration_fraction": 0.1}
    data = Dataset.from_huggingface(make(hf), **options)
    assert_same(data, expected(**options))
    assert data.preparation == Preparation()
    # A selection in another order, and a format, are read as rows are.
    order = np.random.default_rng(1).permutation(60)
    selected = make(hf).select(order.tolist()).with_format("numpy")
    assert_same(Dataset.from_huggingface(selected), expected(order))


@pytest.mark.extras
def test_groups_stay_together(hf):
    groups = [f"p{i // 4}" for i in range(60)]
    data = Dataset.from_huggingface(make(hf, patient=groups), group_column="patient")
    assert_same(data, expected(groups=groups))


@pytest.mark.extras
def test_splits_of_a_dict_are_followed(hf):
    parts = {"train": range(30), "validation": range(30, 45), "test": range(45, 60)}
    own = hf.DatasetDict({name: make(hf, part) for name, part in parts.items()})
    own["unsupervised"] = make(hf, range(3))
    data = Dataset.from_huggingface(own)
    pairs = {
        name: (PIXELS[list(part)], [LABELS[i] for i in part])
        for name, part in parts.items()
    }
    given = {"validation": pairs["validation"], "test": pairs["test"]}
    other = Dataset.from_arrays(*pairs["train"], class_names=CLASSES, **given)
    assert_same(data, other)
    assert "no splits: unsupervised." in data.notes[0]
    without = hf.DatasetDict({"Training": own["train"]})
    assert_same(Dataset.from_huggingface(without), expected(range(30)))


@pytest.mark.extras
def test_our_decoder_reads_what_it_knows_and_nothing_else(hf, tmp_path):
    grey = [encoded(own[..., 0]) for own in PIXELS]
    data = Dataset.from_huggingface(make(hf, images=grey), image_size=4)
    assert data.input_shape == (4, 4, 1)
    assert data.preparation == Preparation(4)
    # Turned as its Exif says, which PIL's own reading in `datasets` leaves to others.
    turned = Image.fromarray(PIXELS[0].transpose(1, 0, 2)[:, ::-1])
    exif = Image.Exif()
    exif[0x0112] = 8
    turned.save(tmp_path / "turned.png", exif=exif)
    path = {"bytes": None, "path": str(tmp_path / "turned.png")}
    rest = [encoded(own) for own in PIXELS[1:]]
    data = Dataset.from_huggingface(make(hf, images=[path, *rest]))
    assert_same(data, expected())
    # EPS would start Ghostscript.
    script = {"bytes": b"%!PS-Adobe-3.0 EPSF-3.0\n", "path": None}
    with pytest.raises(
        ValueError, match=r"row 0 of train: its format is EPS, which is"
    ):
        Dataset.from_huggingface(make(hf, images=[script, *rest]))
    with pytest.raises(ValueError, match=r"row 0 of train: it is empty"):
        Dataset.from_huggingface(make(hf, images=[None, *rest]))


@pytest.mark.extras
def test_images_that_stay_in_place_are_the_same(hf, tmp_path):
    make(hf).save_to_disk(tmp_path / "saved")
    own = hf.load_from_disk(tmp_path / "saved")
    memory = Dataset.from_huggingface(own)
    streamed = Dataset.from_huggingface(own, memory_bytes=100)
    assert streamed.streamed
    assert_same(streamed, memory)
    read = pickle.loads(pickle.dumps(streamed.train_images))
    np.testing.assert_array_equal(read[3:5], memory.train_images[3:5])
    # The identity of what is streamed: its files' sizes and order, wherever they are.
    assert describe(
        Dataset.from_huggingface(make(hf), memory_bytes=100), name="a"
    ) == describe(streamed, name="a")
    other = [encoded(own) for own in PIXELS]
    other[59] = encoded(PIXELS[59], "bmp")  # the same pixels
    changed = Dataset.from_huggingface(make(hf, images=other), memory_bytes=100)
    assert changed.source.files != streamed.source.files
    assert changed.source.decoded == streamed.source.decoded


@pytest.mark.extras
def test_labels_are_classes_texts_or_numbers(hf):
    pictures = make(hf).remove_columns("class")
    words = pictures.add_column("label", [CLASSES[i] for i in LABELS])
    assert_same(Dataset.from_huggingface(words), expected())
    numbers = pictures.add_column("labels", [10 * i for i in LABELS])
    assert Dataset.from_huggingface(numbers).class_names == ("0", "10", "20")
    named = Dataset.from_huggingface(make(hf), class_names=("x", "y", "z"))
    assert named.class_names == ("x", "y", "z")


MISTAKES = [
    ("iterable", {}, r"dataset is an IterableDataset, .*without streaming=True"),
    ("transform", {}, r"has a transform, which would not be applied"),
    ("no train", {}, r"has the splits 'test': expected train"),
    ("two trains", {}, r"has the splits 'train, training': expected train"),
    (
        "other classes",
        {},
        r"the column 'class' is ClassLabel.* in train and ClassLabel",
    ),
    (
        "two images",
        {},
        r"has 2 columns of images .*: expected one, or its name as image",
    ),
    ("no labels", {}, r"has 0 columns of labels among 'picture, kind': expected"),
    (
        "",
        {"image_column": "class"},
        r"'class', whose values are of the type ClassLabel",
    ),
    (
        "",
        {"image_column": "pictures"},
        r"image_column is 'pictures'.*did you mean 'pict",
    ),
    ("", {"label_column": "klass"}, r"label_column is 'klass'.*did you mean 'class'"),
    (
        "",
        {"group_column": "x"},
        r"group_column is 'x', and the columns of the data set",
    ),
    ("missing", {"group_column": "kind"}, r"row 7 of train has no kind: fill it in"),
    ("unlabelled", {}, r"1 of 60 given images have a label that is no class \(-1, say"),
]


@pytest.mark.extras
@pytest.mark.parametrize(("how", "options", "message"), MISTAKES)
def test_a_mistake_is_told(hf, how, options, message):
    own = make(hf)
    if how == "iterable":
        own = own.to_iterable_dataset()
    elif how == "transform":
        own = own.with_transform(lambda rows: rows)
    elif how == "no train":
        own = hf.DatasetDict(test=own)
    elif how == "two trains":
        own = hf.DatasetDict(train=own, training=own)
    elif how == "other classes":
        names = hf.ClassLabel(names=["x", "y", "z"])
        own = hf.DatasetDict(train=own, test=own.cast_column("class", names))
    elif how == "two images":
        own = own.add_column(
            "more", own.cast_column("picture", hf.Image(decode=False))["picture"]
        )
        own = own.cast_column("more", hf.Image())
    elif how == "no labels":
        own = make(hf, kind=["x"] * 60).remove_columns("class")
    elif how == "missing":
        own = make(hf, kind=[None if i == 7 else "x" for i in range(60)])
    elif how == "unlabelled":
        own = own.map(
            lambda row, i: {"class": -1 if i == 5 else row["class"]}, with_indices=True
        )
    with pytest.raises(ValueError, match=message):
        Dataset.from_huggingface(own, **options)


@pytest.mark.extras
def test_train_takes_it(hf, tmp_path, monkeypatch):
    def fake(settings, *, dataset, **_):
        assert settings.data.name == "arrays" and settings.data.image_size == 4
        assert dataset.streamed and dataset.input_shape == (4, 4, 3)
        raise ValueError("enough")

    monkeypatch.setattr(api, "train_and_evaluate", fake)
    settings = {"data.image_size": 4, "data.memory_share": 0.0}
    with pytest.raises(ValueError, match="enough"):
        api.train(make(hf), settings=settings, workdir=tmp_path / "x", progress=False)
    with pytest.raises(
        ValueError, match="labels given, and data is Dataset, which has"
    ):
        api.train(make(hf), LABELS, workdir=tmp_path / "x", progress=False)
