"""How much larger MotherNets are with the best alignment than with the paper's.

    python -m benchmarks.alignment_gain --out=benchmarks/results/alignment.json

Random clusters of every family, and presets in one cluster where they can be connected.
The figure is parameters of the MotherNet, best alignment / first layers.
"""

import random

from absl import app, flags

from benchmarks.turns import write_results
from mothernets_jax import presets
from mothernets_jax.architectures import Architecture, densenet, mlp, resnet, vgg
from mothernets_jax.clustering import cluster
from mothernets_jax.costs import num_params
from mothernets_jax.mothernet import mothernet

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_CLUSTERS = flags.DEFINE_integer("clusters", 200, "Random clusters of each family.")

SHAPE, CLASSES = (32, 32, 3), 10
FAMILIES = ("mlp", "vgg", "resnet", "densenet", "densenet with bottlenecks")
ENSEMBLES = ("v5", "r10", "d5", "v25", "r25", "w5", "m5")


def random_cluster(family: str, draw: random.Random) -> list[Architecture]:
    """Two to five members of one to three blocks of one to five layers."""
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

    return [member() for _ in range(draw.randint(2, 5))]


def gain(members: list[Architecture]) -> float:
    """Parameters of the MotherNet, best alignment / first layers."""
    sizes = (
        num_params(mothernet(members, align=align), SHAPE, CLASSES)
        for align in ("best", "first")
    )
    best, first = sizes
    return best / first


def main(argv: list[str]) -> None:
    del argv
    draw = random.Random(0)
    rows = {}
    for family in FAMILIES:
        gains = sorted(
            gain(random_cluster(family, draw)) for _ in range(_CLUSTERS.value)
        )
        rows[family] = {
            "mean": sum(gains) / len(gains),
            "median": gains[len(gains) // 2],
            "largest": gains[-1],
            "share_of_clusters_that_gain": sum(g > 1 for g in gains) / len(gains),
        }
        print(family, rows[family], flush=True)
    ensembles = {}
    for name in ENSEMBLES:
        networks = getattr(presets, name)()
        found = cluster(networks, input_shape=SHAPE, num_classes=CLASSES)
        ensembles[name] = [gain([networks[m] for m in c.members]) for c in found]
        print(name, ensembles[name], flush=True)
    results = {"clusters": _CLUSTERS.value, "random": rows, "ensembles": ensembles}
    write_results(_OUT.value, results)


if __name__ == "__main__":
    app.run(main)
