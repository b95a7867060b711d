"""Random networks that the benchmarks of MotherNets and clusters draw."""

import random

from mothernets_jax.architectures import Architecture, densenet, mlp, resnet, vgg

SHAPE, CLASSES = (32, 32, 3), 10
FAMILIES = ("mlp", "vgg", "resnet", "densenet", "densenet with bottlenecks")


def random_members(
    family: str, draw: random.Random, *, fewest: int = 2, most: int = 5
) -> list[Architecture]:
    """So many members of one to three blocks of one to five layers."""
    number = draw.randint(1, 3)

    def block() -> list[tuple[int, int]]:
        layers = range(draw.randint(1, 5))
        return [(draw.choice([1, 3, 5]), draw.choice([16, 32, 48, 64])) for _ in layers]

    def member() -> Architecture:
        blocks = [block() for _ in range(number)]
        if family == "mlp":
            return mlp([width for _, width in block()])
        if family == "vgg":
            return vgg(blocks)
        if family == "resnet":
            return resnet([(64, units) for units in blocks])
        return densenet(blocks, bottleneck=0 if family == "densenet" else 4)

    return [member() for _ in range(draw.randint(fewest, most))]
