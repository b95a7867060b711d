"""Predictions of files: bit for bit those of the loaded images, and nothing is lost."""

import csv
from pathlib import Path

import jax
import numpy as np
import pytest
from image_folders import CLASSES, random_pixels, write_folder
from PIL import Image

import mothernets_jax as mn
from mothernets_jax import data
from mothernets_jax.data import image_formats
from mothernets_jax.data.preparation import Preparation
from mothernets_jax.ensembles.files_prediction import FailedFile

NETWORKS = {"A": mn.mlp((4,)), "B": mn.mlp((3, 3))}


def ensemble_for(shape, **options):
    members = {
        name: (network, mn.init(network, jax.random.key(i), shape, 3))
        for i, (name, network) in enumerate(NETWORKS.items())
    }
    options = {"mean": 120, "std": 60, "class_names": CLASSES} | options
    return mn.Ensemble(members, input_shape=shape, **options)


def write_turned(path, pixels):
    """A JPEG that lies on its side, and says so."""
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels).save(path, exif=exif)


@pytest.mark.parametrize("resize", [None, "crop", "pad", "stretch"])
def test_predictions_are_those_of_the_loaded_test_set(tmp_path, cache_home, resize):
    root = tmp_path / "images"
    write_folder(root)
    for number, name in enumerate(CLASSES):
        # Upright it is 6x5, as the others are.
        write_turned(root / f"test/{name}/b.jpg", random_pixels(number, (5, 6, 3)))
    options = {} if resize is None else {"image_size": 4, "resize": resize}
    dataset = data.load("folder", directory=str(root), **options)
    preparation = dataset.preparation
    assert preparation == Preparation(**options)
    ensemble = ensemble_for(dataset.input_shape, preparation=preparation)
    for settings in ({}, {"combine": "vote", "batch_size": 4}):
        found = ensemble.predict_files(root / "test", **settings)
        expected = ensemble.predict(dataset.test_images, **settings)
        np.testing.assert_array_equal(
            np.array([row.probability for row in found]), expected.max(axis=1)
        )
        names = [CLASSES[label] for label in expected.argmax(axis=1)]
        assert [row.class_name for row in found] == names
        assert [Path(row.path).name for row in found] == ["a.png", "b.jpg"] * 3
        assert found.failed == []
    doubt = ensemble.uncertainty(dataset.test_images)
    rows = ensemble.predict_files(root / "test").rows
    for name, own in doubt._asdict().items():
        assert [getattr(row, name) for row in rows] == own.tolist()


def test_files_of_all_kinds_are_rows_or_reasons(tmp_path, monkeypatch):
    monkeypatch.setattr(image_formats, "MOST_PIXELS", 400)
    ensemble = ensemble_for((4, 4, 3), preparation=Preparation(4))
    good = []
    for i, suffix in enumerate(["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"]):
        good.append(tmp_path / f"{i}.{suffix}")
        Image.fromarray(random_pixels(i, (8, 9, 3))).save(good[-1])
    whole = good[0].read_bytes()
    bad = {
        "cut.png": (whole[: len(whole) // 2], ""),
        "empty.png": (b"", "it is empty"),
        "text.jpg": (b"just text", "it is in no known format"),
        "page.pdf": (b"%PDF-1.7", "its format is PDF, which is not read"),
    }
    for name, (content, _) in bad.items():
        (tmp_path / name).write_bytes(content)
    Image.fromarray(np.zeros((21, 20), np.uint8)).save(tmp_path / "large.png")
    reasons = {name: why for name, (_, why) in bad.items()}
    reasons |= {"large.png": "it has more than ", "none.png": "No such file"}
    given = [tmp_path / "none.png", *good, *(tmp_path / n for n in bad)]
    given.insert(3, tmp_path / "large.png")
    found = ensemble.predict_files(given, batch_size=2)
    assert [row.path for row in found.rows] == [str(path) for path in good]
    assert len(found) == 7
    failed = {Path(path).name: reason for path, reason in found.failed}
    assert failed.keys() == reasons.keys()
    for name, reason in failed.items():
        assert reason.startswith(reasons[name]) and reason
    assert [own.path for own in found.files] == [str(path) for path in given]

    found.write_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        lines = [*csv.DictReader(file)]
    assert [line["path"] for line in lines] == [str(path) for path in given]
    for line, own in zip(lines, found.files, strict=True):
        if isinstance(own, FailedFile):
            assert line["error"] == own.reason and not line["class_name"]
            continue
        assert line["class_name"] == own.class_name and not line["error"]
        assert np.float32(line["probability"]) == np.float32(own.probability)
        assert float(line["entropy"]) == pytest.approx(own.entropy, rel=1e-8)


def test_names_are_quoted_and_never_stop_the_table(tmp_path):
    names = ('a "cow", brown', "line\nbreak", "=1+1")
    ensemble = ensemble_for((2, 2, 1), class_names=names)
    path = tmp_path / 'x, "y".png'
    Image.fromarray(random_pixels(0, (2, 2))).save(path)
    odd = b"\xff.png".decode("utf-8", "surrogateescape")
    found = ensemble.predict_files([path, odd], resize="crop")
    found.write_csv(str(tmp_path / "table.csv"))
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        _, first, second = csv.reader(file)
    assert first[:2] == [str(path), found.rows[0].class_name]
    assert second[0] == "\\udcff.png"
    with pytest.raises(ValueError, match="path is None"):
        found.write_csv(None)  # type: ignore[arg-type]


def test_how_files_become_images_is_known_once(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(random_pixels(0, (5, 7, 3))).save(path)
    told, knows = ensemble_for((4, 4, 3)), Preparation(4, resize="pad")
    known = ensemble_for((4, 4, 3), preparation=knows)
    (expected,), (found,) = (
        known.predict_files(path),
        told.predict_files(path, resize="pad"),
    )
    assert found == expected
    (other,) = told.predict_files([path], resize="stretch")
    assert other.probability != expected.probability
    with pytest.raises(
        ValueError, match=r"trained on arrays or .*: give resize, one of"
    ):
        told.predict_files(path)
    with pytest.raises(
        ValueError, match=r"resize is 'pad', but .*\(image_size=4, pad\)"
    ):
        known.predict_files(path, resize="pad")
    with pytest.raises(ValueError, match="and resize='fit': expected one of shift"):
        told.predict_files(path, resize="fit")
    features = ensemble_for((1, 1, 30))
    with pytest.raises(
        ValueError, match=r"inputs of shape \(1, 1, 30\): expected 1 or"
    ):
        features.predict_files(path, resize="crop")
    with pytest.raises(ValueError, match="batch_size is 0"):
        known.predict_files(path, batch_size=0)
    with pytest.raises(ValueError, match="'greedy', whose weights were not fitted"):
        known.predict_files([], combine="greedy")
    assert known.predict_files([]).files == ()
