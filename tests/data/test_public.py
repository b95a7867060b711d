"""`mn.Dataset`: each constructor gives what the loader beneath it does."""

import re
from pathlib import Path

import numpy as np
import pytest
from image_folders import write_folder

import mothernets_jax as mn
from mothernets_jax import api
from mothernets_jax.data import load

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("cache_home")


def test_arrays():
    features = np.random.default_rng(0).normal(size=(50, 3))
    data = mn.Dataset.from_arrays(features, ["a", "b"] * 25, test_fraction=0.4)
    assert isinstance(data, mn.Dataset) and data.input_shape == (1, 1, 3)
    assert isinstance(data._replace(notes=()), mn.Dataset)
    assert len(data.test_labels) == 20 and data.input_dtype == np.float32


def test_folders(tmp_path):
    write_folder(tmp_path, (6, 6, 3))
    options = {"image_size": 4, "validation_fraction": 0.5}
    data = mn.Dataset.from_folder(tmp_path, **options)
    expected = load("folder", directory=str(tmp_path), **options)
    assert isinstance(data, mn.Dataset)
    np.testing.assert_array_equal(data.train_images, expected.train_images)
    assert data.preparation == expected.preparation


def test_tfds_names_are_told():
    with pytest.raises(ValueError, match="unknown data set 'cifar11'.*cifar10"):
        mn.Dataset.from_tfds("cifar11")


def test_the_code_of_the_documentation_runs(tmp_path, monkeypatch):
    """Verbatim, without what downloads."""
    monkeypatch.chdir(tmp_path)
    pixels = write_folder(Path("photos"))
    rows = [
        f"photos/{place},{place.split('/')[1]},{place.split('/')[0]},{number}"
        for number, place in enumerate(pixels)
    ]
    rows += [row.replace("/0.", "/copy.") + "0" for row in rows if "/0." in row]
    for place in [own for own in pixels if "/0." in own]:
        (Path("photos") / place.replace("/0.", "/copy.")).write_bytes(
            (Path("photos") / place).read_bytes()
        )
    Path("scans.csv").write_text("\n".join(["path,label,split,patient", *rows]))
    text = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 6
    names = {}
    for block in blocks:
        if "tfds" not in block and "load_dataset" not in block:
            exec(block, names)  # noqa: S102 (our own documentation)
            assert isinstance(names.get("data", names["mn"]), mn.Dataset | type(mn))
    assert names["data"].class_names == ("ant", "bee", "cow")


def test_train_takes_tables(tmp_path, monkeypatch):
    pixels = write_folder(tmp_path, (6, 6, 3))
    rows = [f"{own},{own.split('/')[1]}" for own in pixels]
    table = tmp_path / "all.CSV"
    table.write_text("\n".join(["path,label", *rows]))
    given = {}

    def fake(settings, *, dataset, **_):
        given.update(data=dataset, settings=settings)
        raise ValueError("enough")

    monkeypatch.setattr(api, "train_and_evaluate", fake)
    options = {"data.image_size": 4, "data.validation_fraction": 0.2}
    for path in (table, str(table)):
        with pytest.raises(ValueError, match="enough"):
            mn.train(path, settings=options, workdir=tmp_path / "run", progress=False)
        data = given.pop("data")
        expected = mn.Dataset.from_table(table, image_size=4, validation_fraction=0.2)
        np.testing.assert_array_equal(data.train_images, expected.train_images)
        assert data.preparation.image_size == 4
        assert given["settings"].data.name == "arrays"
    for wrong, message in (
        ({"labels": [0]}, "labels given, and data is"),
        (
            {"settings": {"data.fold": 1}},
            r"settings\.data\.fold is 1, and data is a ta",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            mn.train(table, workdir=tmp_path / "run", progress=False, **wrong)
