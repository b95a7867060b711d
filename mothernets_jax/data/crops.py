"""ImageNet's crops: the part of an image that is resized to a square.

A box is (left, top, right, bottom) in pixels of the image, not rounded: resizing
interpolates.

References: Going Deeper with Convolutions (Szegedy et al., CVPR 2015), section 6, as
in torchvision's RandomResizedCrop and Resize(256), CenterCrop(224).
"""

import math

import numpy as np

CROPS = ("shift", "resized")

Box = tuple[float, float, float, float]

ATTEMPTS = 10
_AREA = (0.08, 1.0)
_ASPECT = (3 / 4, 4 / 3)
_CENTRE = 0.875


def random_box(draws: np.ndarray, width: int, height: int) -> Box:
    """Random box of 8% to 100% of an image's area, 3/4 to 4/3 times as wide as high.

    Args:
        draws: floats [ATTEMPTS, 4], uniform in [0, 1), for area, aspect, left and top;
            the first attempt that fits into the image is taken, else the largest part
            in its middle that is not too wide or too high.
        width: the image's width, in pixels.
        height: the image's height, in pixels.
    """
    for area, aspect, left, top in draws.tolist():
        pixels = width * height * (_AREA[0] + area * (_AREA[1] - _AREA[0]))
        # As often 3/4 as 4/3, hence the power.
        ratio = _ASPECT[0] * (_ASPECT[1] / _ASPECT[0]) ** aspect
        across, down = math.sqrt(pixels * ratio), math.sqrt(pixels / ratio)
        if across <= width and down <= height:
            left, top = left * (width - across), top * (height - down)
            return left, top, left + across, top + down
    widest, highest = height * _ASPECT[1], width / _ASPECT[0]
    return _centred(min(width, widest), min(height, highest), width, height)


def centre_box(width: int, height: int) -> Box:
    """Square box in the middle of an image, 7/8 as wide as the image's shorter side.

    Resizing this box to 224 pixels is the same as resizing the shorter side to 256 and
    taking the middle 224, without rounding in between.

    Args:
        width: the image's width, in pixels.
        height: the image's height, in pixels.
    """
    side = _CENTRE * min(width, height)
    return _centred(side, side, width, height)


def _centred(across: float, down: float, width: int, height: int) -> Box:
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, left + across, top + down
