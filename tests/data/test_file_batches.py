"""Image files batch by batch: in order, full, as a data set reads them."""

import numpy as np
import pytest
from image_folders import random_pixels
from PIL import Image

from mothernets_jax.data import file_batches
from mothernets_jax.data.decoding import Encoded, EncodedImages
from mothernets_jax.data.file_batches import read_in_batches
from mothernets_jax.data.preparation import Preparation, read_prepared


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """50 grey images of 2x3, of which each fifth cannot be read."""
    folder = tmp_path_factory.mktemp("images")
    for i, image in enumerate(random_pixels(0, (50, 2, 3))):
        Image.fromarray(image).save(folder / f"{i:02}.png")
        if i % 5 == 0:
            (folder / f"{i:02}.png").write_bytes(b"")
    return sorted(map(str, folder.iterdir()))


@pytest.mark.parametrize("batch_size", [1, 7, 40, 1000])
def test_batches_are_full_and_in_order(paths, batch_size, monkeypatch):
    monkeypatch.setattr(file_batches, "_CHUNK_FILES", 3)
    batches = [*read_in_batches(paths, Preparation(), (2, 3, 1), batch_size)]
    numbers = [n for batch in batches for n in batch.numbers]
    assert numbers == [n for n in range(50) if n % 5]
    sizes = [len(batch.images) for batch in batches if len(batch.images)]
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    images = np.concatenate([batch.images for batch in batches])
    expected = random_pixels(0, (50, 2, 3))[numbers]
    np.testing.assert_array_equal(images[..., 0], expected)
    failed = {n: why for batch in batches for n, why in batch.failed.items()}
    assert failed == dict.fromkeys(range(0, 50, 5), "it is empty")


def test_of_no_files_there_is_no_batch():
    assert [*read_in_batches([], Preparation(), (2, 3, 1), 8)] == []


def test_few_images_are_in_memory_at_a_time(paths, monkeypatch):
    """Whoever stops at the first batch has read no more than the next, and a few."""
    read = []
    monkeypatch.setattr(file_batches, "_CHUNK_FILES", 1)
    monkeypatch.setattr(file_batches.os, "cpu_count", lambda: 1)
    monkeypatch.setattr(
        file_batches, "read_prepared", lambda path, *_: read.append(path) or 0
    )
    batches = read_in_batches(paths, Preparation(), (1, 1, 1), 4)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert 4 <= len(read) <= 2 * 4 + 4


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch", "resized"])
def test_an_image_is_that_of_the_data_set(tmp_path, resize):
    path = str(tmp_path / "a.png")
    Image.fromarray(random_pixels(1, (9, 14, 3))).save(path)
    crop = "resized" if resize == "resized" else "shift"
    resize = "crop" if resize == "resized" else resize
    of_set = EncodedImages(
        lambda numbers: [Encoded(path, path)] * len(numbers),
        np.arange(1),
        (5, 5, 3),
        5,
        crop,
        resize=resize,
    )
    found = read_prepared(path, Preparation(5, crop, resize), (5, 5, 3))
    np.testing.assert_array_equal(found, of_set.read()[0])


def test_grey_becomes_colour_and_colours_are_never_lost(tmp_path):
    grey, path = random_pixels(2, (4, 4)), str(tmp_path / "a.png")
    Image.fromarray(grey).save(path)
    found = read_prepared(path, Preparation(), (4, 4, 3))
    np.testing.assert_array_equal(found, np.stack([grey] * 3, axis=-1))
    Image.fromarray(found).save(path)  # in RGB, but without colours
    found = read_prepared(path, Preparation(), (4, 4, 1))
    np.testing.assert_array_equal(found[..., 0], grey)
    Image.fromarray(random_pixels(3, (4, 4, 3))).save(path)
    with pytest.raises(ValueError, match="it has colours, expected grey"):
        read_prepared(path, Preparation(), (4, 4, 1))
    with pytest.raises(ValueError, match=r"it is 4x4 pixels .*: not 4x5, as all"):
        read_prepared(path, Preparation(), (4, 5, 3))
