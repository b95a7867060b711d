"""Folders of small images for tests."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cow")


def random_pixels(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write_folder(root: Path, shape: tuple[int, ...] = (6, 5, 3)) -> dict:
    """Two PNGs of each class in train/, one in test/; returns pixels by their path."""
    pixels = {}
    for name in CLASSES:
        for file in ("train/{}/0.png", "train/{}/1.PNG", "test/{}/a.png"):
            place = file.format(name)
            pixels[place] = random_pixels(len(pixels), shape)
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            # All of one size and time: a renamed file is known by its name alone.
            Image.fromarray(pixels[place]).save(root / place, compress_level=0)
            os.utime(root / place, (0, 0))
    return pixels
