"""Whether data are those of before: a small record of them, and what has changed.

A digest tells that pixels differ, not which; the numbers and names beside it tell the
most likely changes in words.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from mothernets_jax.data.dataset import Dataset
from mothernets_jax.data.digests import digest_of
from mothernets_jax.wording import named

_MOST_NAMES = 10  # of classes, in a message
# What is compared of a split with as many images as before, and how it is told.
_CONTENT = {
    "labels": "labels of the {} images differ",
    "pixels": "pixels of the {} images differ",
    "decoded": "pixels of the {} images differ",
    "files": "names, sizes or order of the {} images' files differ",
}


def describe(
    dataset: Dataset, *, name: str, ood_images: np.ndarray | None = None
) -> dict[str, Any]:
    """Describes data so that others are told from them, wherever they are kept.

    Args:
        dataset: already split.
        name: of the data set.
        ood_images: uint8 [examples, height, width, channels] of another data set, on
          which the ensemble is to be unsure; None for no images.

    Returns:
        Plain values: `name`; `version` of a published data set; `class_names` in
        order; `image_shape`; `streamed`; `mean` and `std` of each channel; `splits`,
        by name the number of `images` and SHA-256 digests of `labels` and of `pixels`.
        Training images that are streamed have `files` instead, which stands for their
        names, sizes and order, and `decoded`, of those pixels that gave mean and
        deviation.
    """
    source = dataset.source
    training: dict[str, Any] = {
        "images": len(dataset.train_labels),
        "labels": digest_of(dataset.train_labels),
    }
    if isinstance(dataset.train_images, np.ndarray):
        training["pixels"] = digest_of(dataset.train_images)
    else:
        training |= {"files": source.files, "decoded": source.decoded}
    others = {
        "calibration": (dataset.calibration_images, dataset.calibration_labels),
        "validation": (dataset.validation_images, dataset.validation_labels),
        "test": (dataset.test_images, dataset.test_labels),
    }
    splits = {
        split: {
            "images": len(labels),
            "labels": digest_of(labels),
            "pixels": digest_of(images),
        }
        for split, (images, labels) in others.items()
    }
    if ood_images is not None and len(ood_images):
        pixels = digest_of(ood_images)
        splits["out-of-distribution"] = {"images": len(ood_images), "pixels": pixels}
    return {
        "name": name,
        "version": source.version,
        "class_names": list(dataset.class_names),
        "image_shape": list(dataset.input_shape),
        "streamed": dataset.streamed,
        "mean": dataset.mean.tolist(),
        "std": dataset.std.tolist(),
        "splits": {"training": training, **splits},
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Tells in words how data differ from those of before; nothing if they do not.

    Where training images were in memory and are streamed, or the other way round, what
    depends on that is not compared: pixels, their shape, mean and deviation.

    Args:
        before: from `describe`.
        now: from `describe`.
    """
    found = [
        f"the {what} was {named(before[key])} and is {named(now[key])}"
        for key, what in (("name", "data set"), ("version", "version"))
        if before[key] != now[key]
    ]
    found += _differing_classes(before["class_names"], now["class_names"])
    same_kind = before["streamed"] == now["streamed"]
    if same_kind and before["image_shape"] != now["image_shape"]:
        was, is_ = (_shape(each["image_shape"]) for each in (before, now))
        return [*found, f"the images were {was} and are {is_}"]
    for split in {**before["splits"], **now["splits"]}:
        compared = [each["splits"].get(split, {"images": 0}) for each in (before, now)]
        found += _differing_split(split, *compared, labels_only=not same_kind)
    statistics = [(each["mean"], each["std"]) for each in (before, now)]
    if not found and same_kind and statistics[0] != statistics[1]:
        found = ["mean and deviation of the training images' channels differ"]
    return found


def _differing_classes(before: Sequence[str], now: Sequence[str]) -> list[str]:
    if before == now:
        return []
    if max(len(before), len(now)) <= _MOST_NAMES:
        return [f"the classes were {_names(before)} and are {_names(now)}"]
    known, present = set(before), set(now)
    gone = [name for name in before if name not in present]
    new = [name for name in now if name not in known]
    if not gone and not new:
        return [f"the {len(now):,} classes are in another order"]
    changes = [f"without {_names(gone)}"] if gone else []
    changes += [f"with {_names(new)}"] if new else []
    counts = f"{len(before):,} classes and are {len(now):,}"
    return [f"there were {counts}, {' and '.join(changes)}"]


def _differing_split(
    split: str, before: Mapping[str, Any], now: Mapping[str, Any], *, labels_only: bool
) -> list[str]:
    if before["images"] != now["images"]:
        counts = f"{before['images']:,} {split} images and are {now['images']:,}"
        return [f"there were {counts}"]
    compared = ("labels",) if labels_only else _CONTENT
    return [
        _CONTENT[key].format(split)
        for key in compared
        if before.get(key) != now.get(key)
    ]


def _names(names: Collection[str]) -> str:
    """The first few of some names."""
    some = [named(name) for name in names][:_MOST_NAMES]
    more = len(names) - len(some)
    return ", ".join(some) + (f" and {more:,} more" if more else "")


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
