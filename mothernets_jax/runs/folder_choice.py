"""Settings for a folder of images, when nobody has chosen any: what a laptop can do.

The networks are the paper's V5 at the largest width, and of images of several sizes at
the largest size, whose training takes at most `MOST_FLOPS`. One core of a server was
measured at 1.9e10 FLOP/s on V5 at a quarter of its widths, 32x32 pixels, batches of 128
(benchmarks/results/cifar10_folder_thin_mothernets.json): these FLOPs take it some 90
minutes, and several cores less.

MotherNets are hatched before the rate falls, which it then does in each member, as in
configs/pareto.py; of few images there are as many epochs as make enough steps, as in
the preset `few_digits` of configs/vgg_ensemble.py.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mothernets_jax.architectures.costs import train_flops
from mothernets_jax.config.field_names import DATA, named_as_fields
from mothernets_jax.data.folder_classes import TEST_FRACTION, find_images
from mothernets_jax.data.image_formats import open_image
from mothernets_jax.growth.mothernet import mothernet
from mothernets_jax.presets import v5
from mothernets_jax.stages.amounts import fitting_batch

MOST_FLOPS = 1e14
_FLOPS_PER_SECOND = 1.9e10  # of one core
_WIDTHS = (0.25, 0.125)
_SIDES = (64, 32)  # pixels, of images that are resized
_LOOKED_AT = 200  # images whose sizes are read
_VALIDATION = 0.1
_EPOCHS, _MOST_EPOCHS, _STEPS = 30, 200, 1_500  # of a MotherNet
_BATCH, _SMALLEST_BATCH, _FEWEST_STEPS = 128, 16, 8  # of an epoch
_HATCHED_SHARE = 0.4  # of a MotherNet's epochs, those of a member


class Choice(NamedTuple):
    """What was chosen for a folder.

    Attributes:
        overrides: values, as typed, by the setting's name.
        sentences: the choice in words, for the terminal.
    """

    overrides: dict[str, str]
    sentences: tuple[str, ...]


@named_as_fields(DATA)
def choose_for_folder(directory: str, given: Mapping[str, str]) -> Choice:
    """Chooses networks, image size, batch size and epochs for a folder of images.

    Args:
        directory: the folder, with train/ and perhaps test/, or with class folders.
        given: values, as typed, by the setting's name, that the user has chosen; they
            stay, and the rest is chosen without regard to them.

    Raises:
        ValueError: folders that cannot be told apart, or no images.
        FileNotFoundError: there is no such folder.
    """
    found = find_images(directory, TEST_FRACTION)
    examples = len(found.train)
    if found.validation is None:
        examples -= round(_VALIDATION * examples)
    batch = fitting_batch(
        examples, steps=_FEWEST_STEPS, largest=_BATCH, smallest=_SMALLEST_BATCH
    )
    steps = max(1, examples // batch)
    epochs = min(_MOST_EPOCHS, max(_EPOCHS, math.ceil(_STEPS / steps)))
    member_epochs = round(_HATCHED_SHARE * epochs)
    sizes = _sizes(found.paths)
    sides = _SIDES if _must_resize(sizes) else (None,)
    classes = len(found.class_names)
    for side, width in itertools.product(sides, _WIDTHS):
        height, pixels_wide = (side, side) if side else sizes[0]
        flops = (
            steps
            * batch
            * _flops(width, (height, pixels_wide, 3), classes, epochs, member_epochs)
        )
        if flops <= MOST_FLOPS:
            break
    overrides = {
        "architectures": repr({name: str(a) for name, a in v5(width).items()}),
        "methods": repr(("mothernets",)),
        "train.batch_size": str(batch),
        "train.epochs": str(epochs),
        "hatch.epochs": str(member_epochs),
        "mother.schedule": "constant",
        "hatch.schedule": "linear",
        "hatch.warmup_epochs": "0.0",
        **({"data.image_size": str(side)} if side else {}),
    }
    hours = flops / _FLOPS_PER_SECOND / 3600
    resized = f"{height}x{pixels_wide} pixels" + (" (resized)" if side else "")
    sentences = (
        f"{examples:,} training images of {resized}, {classes} classes. Chosen:",
        f"V5, five VGGs, at {width:g} of the paper's widths, batches of {batch},",
        f"{epochs} epochs for the MotherNet and {member_epochs} for each member.",
        f"That is {flops:.1e} training FLOPs: {_duration(hours)} for one core,",
        "less for several.",
    )
    chosen = [name for name in overrides if name in given]
    if chosen:
        sentences += (f"As given, and not as chosen here: {', '.join(chosen)}.",)
    return Choice(overrides, sentences)


def _flops(
    width: float,
    input_shape: tuple[int, int, int],
    classes: int,
    epochs: int,
    member_epochs: int,
) -> float:
    """Training FLOPs of V5 from one MotherNet, for each training image."""
    members = list(v5(width).values())
    mother = train_flops(mothernet(members), input_shape, classes)
    hatched = sum(train_flops(own, input_shape, classes) for own in members)
    return epochs * mother + member_epochs * hatched


def _sizes(paths: list[str]) -> list[tuple[int, int]]:
    """(height, width) of images from all over the folder, of those that can be read."""
    places = np.linspace(0, len(paths) - 1, min(_LOOKED_AT, len(paths))).astype(int)
    sizes = []
    for path in (paths[place] for place in places.tolist()):
        try:
            with open_image(path) as image:
                sizes.append((image.height, image.width))
        except Exception:  # noqa: BLE001, S112 (named with all that are bad, when read)
            continue
    return sizes or [(_SIDES[-1], _SIDES[-1])]


def _must_resize(sizes: Sequence[tuple[int, int]]) -> bool:
    """Whether the images differ in size, or are larger than a laptop can train on."""
    return len(set(sizes)) > 1 or max(sizes[0]) > max(_SIDES)


def _duration(hours: float) -> str:
    """A time in words that promise no precision.

    >>> _duration(0.02), _duration(0.5), _duration(7.7)
    ('some minutes', 'about 30 minutes', 'about 8 hours')
    """
    if hours < 0.1:
        return "some minutes"
    if hours < 1.5:
        return f"about {round(hours * 60, -1):.0f} minutes"
    return f"about {hours:.0f} hours"
