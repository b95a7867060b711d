"""Data sets by name, all as one `Dataset`.

| name | images | options |
|---|---|---|
| `digits` | scikit-learn's handwritten digits, 8x8 | `fold`, `test_fraction` |
| `folder` | your own images | those of `cifar10`, `test_fraction` |
| `cifar10` | TFDS, same names | `directory`, `image_size`, `crop`, `resize` |
| `cifar100` | TFDS, same names | those of `cifar10` |
| `mnist`, `fashion_mnist` | TFDS, same names | those of `cifar10` |
| `svhn` | TFDS's `svhn_cropped`, without its split "extra" | those of `cifar10` |
| `imagenet` | TFDS's `imagenet2012`, tested on "validation" | those of `cifar10` |
| `tfds:NAME` | any other set of labelled images in TFDS | those of `cifar10` |

A new kind of data is a new file with a function that returns `Arrays`, and an entry
in each of the two tables below.
"""

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np

from mothernets_jax.data.dataset import Arrays, Dataset, split
from mothernets_jax.data.decoding import EncodedImages
from mothernets_jax.data.digits import load_digits_fold
from mothernets_jax.data.drawn_test import TEST_FRACTION
from mothernets_jax.data.image_folder import load_image_folder, load_test_images
from mothernets_jax.data.preparation import Preparation, check_options
from mothernets_jax.data.tfds_builder import PREFIX, TFDS_NAMES, is_tfds
from mothernets_jax.data.tfds_source import load_tfds
from mothernets_jax.utils.argument_errors import (
    Argument,
    ArgumentError,
    Assignment,
    parts_of,
)
from mothernets_jax.utils.messages import short_repr

__all__ = ["GIVEN", "Dataset", "load", "load_ood_images"]

# Name of data that are handed over in Python, not loaded.
GIVEN = "arrays"
_LOADERS: dict[str, Callable[..., Arrays]] = {
    "digits": load_digits_fold,
    "folder": load_image_folder,
    "tfds": load_tfds,
}
# The options of `load` that each loader takes, as keyword arguments.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "digits": ("fold", "test_fraction"),
    "folder": (
        "directory",
        "image_size",
        "crop",
        "resize",
        "memory_bytes",
        "test_fraction",
    ),
    "tfds": ("name", "directory", "image_size", "crop", "resize"),
}
# The options that are not given.
_UNSET: dict[str, Any] = {
    "directory": "",
    "fold": 0,
    "image_size": None,
    "crop": "shift",
    "resize": "crop",
    "test_fraction": TEST_FRACTION,
}
_NAMES = ("digits", "folder", *TFDS_NAMES, f"{PREFIX}NAME")


def load(
    name: str,
    *,
    directory: str = "",
    fold: int = 0,
    train_examples: int | None = None,
    validation_fraction: float = 0.1,
    calibration_fraction: float = 0.0,
    test_fraction: float = TEST_FRACTION,
    image_size: int | None = None,
    crop: str = "shift",
    resize: str = "crop",
    memory_bytes: int | None = None,
) -> Dataset:
    """Loads a data set and keeps parts of its training set for other uses.

    Args:
        name: `digits`, `folder`, `cifar10`, `cifar100`, `mnist`, `fashion_mnist`,
            `svhn`, `imagenet`, or `tfds:NAME` for any other set of TFDS.
        directory: for `folder`, the folder that holds train/ and test/, or the class
            folders; for TFDS, where it keeps its data sets, empty for its default.
        fold: for `digits`, number of the fold that is the test set, from 0 on.
        train_examples: number of images to train on; None for all that are left.
        validation_fraction: share of the training set to keep for validation, in
            [0, 1); not applied to a data set with a validation split of its own.
        calibration_fraction: share of the training set to keep for calibration, in
            [0, 1); both shares together are less than 1.
        test_fraction: for the digits and a folder without a test set, the share of each
            class, in (0, 1), that becomes the test set.
        image_size: for a folder and TFDS, height and width, in pixels, to resize to;
            None where the images have one size already.
        crop: for a folder and TFDS, `shift`, or `resized` for ImageNet's random parts,
            which need an `image_size`; with these the training images are always
            streamed, as each epoch decodes other parts of them.
        resize: for a folder and TFDS with an `image_size`, the way to make images
            square: `crop` to the middle, `pad` with black, or `stretch`; `resized`
            crops take their own parts instead.
        memory_bytes: number of bytes; training images of a folder or of TFDS that take
            more when decoded are streamed. None to stream none, `resized` crops
            excepted.

    Raises:
        ValueError: an unknown name, an option that this data set does not have,
            `resized` crops without a size or beside another `resize`, or data that the
            loader or `dataset.split` refuses.
        FileNotFoundError: the folder or a part of it is missing, or the data set of
            TFDS is not there and cannot be fetched.
    """
    kind = _kind(name)
    options: dict[str, Any] = {
        "directory": directory,
        "fold": fold,
        "image_size": image_size,
        "crop": crop,
        "resize": resize,
        "test_fraction": test_fraction,
    }
    _check_options(name, kind, options)
    if crop == "resized":
        memory_bytes = 0
    options |= {"name": name, "memory_bytes": memory_bytes}
    arrays = _LOADERS[kind](**{key: options[key] for key in _OPTIONS[kind]})
    dataset = split(
        *arrays,
        validation_fraction=validation_fraction,
        calibration_fraction=calibration_fraction,
        train_examples=train_examples,
        memory_bytes=memory_bytes,
    )
    if "image_size" not in _OPTIONS[kind]:  # they come as arrays
        return dataset
    return dataset._replace(preparation=Preparation(image_size, crop, resize))


def _check_options(name: str, kind: str, options: dict[str, Any]) -> None:
    """Refuses options that a data set does not have, or that exclude one another.

    Raises:
        ValueError: an option does not fit; the message names it.
    """
    # Training on the digits because only the folder's path was given, and not its
    # kind, would be a silent and expensive mistake.
    for option, value in options.items():
        if value != _UNSET[option] and option not in _OPTIONS[kind]:
            takers = [other for other in _OPTIONS if option in _OPTIONS[other]]
            raise ArgumentError(
                Argument(option),
                f"={short_repr(value)} is given, but the data set {short_repr(name)} "
                f"has no such option (only {', '.join(takers)}). Leave it out, or "
                "choose ",
                Assignment("name"),
                f"={takers[0]}.",
            )
    check_options(options["image_size"], options["crop"], options["resize"])


def load_ood_images(
    name: str,
    *,
    directory: str,
    crop: str,
    resize: str = "crop",
    input_shape: tuple[int, int, int],
) -> np.ndarray:
    """Loads another data set's test images, in the form of those that a network knows.

    Args:
        name: the data set's name, one that `load` takes; empty for no images.
        directory: for `folder`, a folder with a test set, or one without splits, of
            which all images are taken; for TFDS, where it keeps its data sets, empty
            for its default.
        crop: `shift` or `resized`, as for the known images; for a folder and TFDS.
        resize: `crop`, `pad` or `stretch`, as for the known images; for a folder and
            TFDS.
        input_shape: (height, width, channels) of the known images; images of a folder
            and of TFDS are resized to it if it is square. Grey images become colour
            ones where needed, but no images with colours become grey.

    Returns:
        uint8 [examples, height, width, channels].

    Raises:
        ValueError: an unknown name, a data set that cannot be loaded, or images that
            cannot be brought into this form.
    """
    height, width, channels = input_shape
    if not name and not directory:
        return np.empty((0, *input_shape), np.uint8)
    if not name:
        raise ArgumentError(
            Argument("directory"),
            f" is {short_repr(directory)}, but ",
            Argument("name"),
            f" is empty: name the data set too, one of {', '.join(_NAMES)}",
        )
    try:
        images = _load_test_images(
            _kind(name),
            name=name,
            directory=directory,
            image_size=height if height == width else None,
            crop=crop,
            resize=resize,
        )
    except (ValueError, FileNotFoundError) as error:
        raise ArgumentError(
            Argument("name"), f" is {short_repr(name)}: ", *parts_of(error)
        ) from error
    if channels == 1 and (images == images[..., :1]).all():
        images = images[..., :1]  # files that stay files are read as colours
    if channels == 3 and images.shape[3] == 1:
        images = np.repeat(images, 3, axis=3)
    if images.shape[1:] != input_shape:
        raise ArgumentError(
            Argument("name"),
            f" is {short_repr(name)}: its images have (height, width, channels) "
            f"{images.shape[1:]}, expected {input_shape}, those of the images that "
            "train. Choose another, or make a folder of such images",
        )
    return images


def _load_test_images(kind: str, **options: Any) -> np.ndarray:
    """The test images of a data set; of a folder without splits, all images."""
    if kind == "folder":
        kept = ("directory", "image_size", "crop", "resize")
        return load_test_images(**{option: options[option] for option in kept})
    options |= {"fold": 0, "test_fraction": TEST_FRACTION}
    arrays = _LOADERS[kind](**{option: options[option] for option in _OPTIONS[kind]})
    images = arrays.test_images
    return images.read() if isinstance(images, EncodedImages) else images


def _kind(name: str) -> str:
    """Name of the loader that reads a data set.

    Raises:
        ValueError: no loader reads it.
    """
    if name == GIVEN:
        raise ValueError(
            f"the data set {GIVEN!r} is one that was handed over in Python, and cannot "
            "be loaded: hand it over again, by mothernets_jax.train"
        )
    if name not in _NAMES and not is_tfds(name):
        close = difflib.get_close_matches(name[:100], _NAMES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"unknown data set {short_repr(name)}, expected one of "
            f"{', '.join(_NAMES)}.{hint}"
        )
    return "tfds" if is_tfds(name) else name
