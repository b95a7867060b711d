"""The setting `data.augment`: equal texts for equal augmentations, and digests."""

import dataclasses

import pytest

from mothernets_jax.config.augmentation import with_function
from mothernets_jax.config.identity import digest
from mothernets_jax.config.validation import from_config
from mothernets_jax.training.augmentations.transforms import make_transforms


def settings(augment=""):
    config = {"architectures": {"A": "mlp 4"}, "data": {"augment": augment}}
    return from_config(config, ("mothernets", "full_data"))


def brighter(key, images):
    return images | 1


def darker(key, images):
    return images & 254


def test_equal_augmentations_are_equal_settings():
    one, other = settings("randaugment+mixup"), settings(" randaugment(2,9) + mixup ()")
    assert one == other and digest(one) == digest(other)
    assert one.data.augment == "randaugment(2, 9) + mixup(0.2)"
    assert digest(one) != digest(settings("mixup"))
    assert from_config(one.to_json(), ("mothernets", "full_data")) == one


def test_what_is_none_is_refused():
    with pytest.raises(
        ValueError, match="^config.data.augment is 'mixpu': expected .*"
    ):
        settings("mixpu")


def test_a_function_stands_in_the_settings_with_its_digest():
    found = with_function(settings("mixup"), brighter)
    own, mixup = found.data.augment.split(" + ")
    assert own.startswith("own:brighter:") and mixup == "mixup(0.2)"
    assert with_function(found, brighter) == found
    assert digest(found) != digest(with_function(settings("mixup"), darker))
    # Where it is named already, its place stays.
    turned = dataclasses.replace(
        found, data=dataclasses.replace(found.data, augment=f"{mixup} + {own}")
    )
    assert with_function(turned, brighter) == turned
    with pytest.raises(
        ValueError, match="^config.data.augment has 'own:brighter:.*'ow"
    ):
        with_function(found, darker)
    with pytest.raises(ValueError, match="^config.data.augment has the function brig"):
        with_function(found, None)
    with pytest.raises(ValueError, match="^the augmentation is a str: expected a func"):
        with_function(settings(), "mixup")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^the augmentation function: .* lambda"):
        with_function(settings(), lambda key, images: images)


def test_a_function_of_a_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def invert(key, images):\n    return 255 - images\n")
    found = settings(f"{path}:invert")
    start, _, own = found.data.augment.rpartition(":")
    assert start == f"{path}:invert" and len(own) == 16
    (transform,) = make_transforms(found.data.augment)
    assert transform.function(None, 5) == 250
    # It is that of the file as it was.
    path.write_text("def invert(key, images):\n    return 254 - images\n")
    assert digest(settings(f"{path}:invert")) != digest(found)
    with pytest.raises(ValueError, match="^augment is .* has changed since: restore"):
        make_transforms(found.data.augment)
    for content, message in (
        ("x = 1", "names invert in .*, which is nothing of this name: expected"),
        ("invert = 1", "which is 1: expected a function"),
        ("1 / 0", "fails when it is loaded: ZeroDivisionError: division by zero"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            make_transforms(settings(f"{path}:invert").data.augment)
    path.unlink()
    message = "^config.data.augment names the file .* cannot be read .No such file"
    with pytest.raises(ValueError, match=message):
        settings(f"{path}:invert")
