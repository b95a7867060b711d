"""Places for labels beside points, so that they cover no points and no labels."""

import math
from collections.abc import Sequence
from functools import partial

Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels

_DIRECTIONS = [0, 180, 90, 270, 45, 315, 135, 225]  # degrees, the best first
_DISTANCES = (11, 20, 32, 46, 62, 80)  # pixels from the point to the label
_ASTRAY = 400.0  # square pixels of overlap that are no worse than a wrong neighbour
_FAR = 3.0  # square pixels of overlap that are no worse than a pixel of distance
_MARKER = 7  # pixels around a point that are its marker's


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    area: Box,
    obstacles: Sequence[Box] = (),
) -> list[Box]:
    """A box for each label, as near to its point as there is room for it.

    Args:
        points: (x, y) in pixels.
        sizes: (width, height) of the labels' texts in pixels.
        area: box that the labels should keep to.
        obstacles: boxes that the labels should not cover either.
    """
    markers = [(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER) for x, y in points]
    placed: list[Box] = []
    for number, (point, size) in enumerate(zip(points, sizes, strict=True)):
        others = [*points[:number], *points[number + 1 :]]
        taken = [*markers, *obstacles, *placed]
        candidates = [
            (distance, _box(point, size, distance, direction))
            for distance in _DISTANCES
            for direction in _DIRECTIONS
        ]
        cost = partial(_cost, taken=taken, others=others, area=area)
        placed.append(min(candidates, key=cost)[1])
    return placed


def overlap(one: Box, other: Box) -> float:
    """The area in square pixels that two boxes have in common."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def gap(box: Box, point: tuple[float, float]) -> float:
    """Pixels between a box and a point; 0 where it is inside."""
    across = max(box[0] - point[0], point[0] - box[2], 0.0)
    up = max(box[1] - point[1], point[1] - box[3], 0.0)
    return math.hypot(across, up)


def _cost(
    candidate: tuple[float, Box],
    taken: Sequence[Box],
    others: Sequence[tuple[float, float]],
    area: Box,
) -> float:
    """The cost of a place: square pixels outside or taken, and the distance."""
    distance, box = candidate
    astray = any(gap(box, other) < distance for other in others)
    outside = (box[2] - box[0]) * (box[3] - box[1]) - overlap(box, area)
    shared = sum(overlap(box, other) for other in taken)
    return 3 * outside + shared + _FAR * distance + _ASTRAY * astray


def _box(point, size, distance: float, direction: float) -> Box:
    """The label's box when its nearest edge is that far from the point."""
    across, up = (f(math.radians(direction)) for f in (math.cos, math.sin))
    centre_x = point[0] + across * distance + round(across) * size[0] / 2
    centre_y = point[1] + up * distance + round(up) * size[1] / 2
    left, bottom = centre_x - size[0] / 2, centre_y - size[1] / 2
    return left, bottom, left + size[0], bottom + size[1]
