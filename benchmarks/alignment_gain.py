"""How much larger MotherNets are with the best alignment than with the paper's.

    python -m benchmarks.alignment_gain --out=benchmarks/results/alignment.json

Random clusters of every family, and presets in one cluster where they can be connected.
The figure is parameters of the MotherNet, best alignment / first layers.
"""

import random

from absl import app, flags

from benchmarks.random_networks import CLASSES, FAMILIES, SHAPE, random_members
from benchmarks.turns import write_results
from mothernets_jax import presets
from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.growth.clustering import cluster
from mothernets_jax.growth.mothernet import mothernet

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_CLUSTERS = flags.DEFINE_integer("clusters", 200, "Random clusters of each family.")

ENSEMBLES = ("v5", "r10", "d5", "v25", "r25", "w5", "m5")


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
            gain(random_members(family, draw)) for _ in range(_CLUSTERS.value)
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
