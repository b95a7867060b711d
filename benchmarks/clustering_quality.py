"""How near the search for clusters of many networks comes to the best division.

    python -m benchmarks.clustering_quality --out=benchmarks/results/clustering.json

Random ensembles of 13 to 15 networks, more than `cluster` divides exactly by itself,
for which all divisions can still be searched. The figure is parameters reused, search /
exact, for the fewest clusters (but at least two), one and two more.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import app, flags

from benchmarks.random_networks import CLASSES, FAMILIES, SHAPE, random_members
from benchmarks.turns import write_results
from mothernets_jax.architectures import Architecture
from mothernets_jax.architectures.costs import num_params
from mothernets_jax.growth import clustering

_OUT = flags.DEFINE_string("out", None, "JSON file of results.", required=True)
_ENSEMBLES = flags.DEFINE_list(
    "ensembles", "13:102,14:48,15:12", "MEMBERS:NUMBER of random ensembles."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the random ensembles.")

MIXED = "all together"


def random_ensemble(
    family: str, members: int, draw: random.Random
) -> dict[str, Architecture]:
    """Networks of one family, all of which can be connected; or of all families."""
    families = FAMILIES if family == MIXED else (family,)
    networks = []
    while len(networks) < members:
        most = members - len(networks)
        few = min(3, most) if family == MIXED else most
        networks += random_members(draw.choice(families), draw, fewest=few, most=few)
    return {f"network{number}": a for number, a in enumerate(networks, start=1)}


def reused(
    networks: Mapping[str, Architecture], number: int | None, *, exact: bool
) -> tuple[int, int]:
    """Number of clusters, and the parameters that they reuse."""
    clustering.EXACT_LIMIT = len(networks) if exact else 0
    found = clustering.cluster(
        networks, num_clusters=number, input_shape=SHAPE, num_classes=CLASSES
    )
    sizes = (num_params(cluster.mothernet, SHAPE, CLASSES) for cluster in found)
    return len(found), sum(
        (len(cluster.members) - 1) * size
        for cluster, size in zip(found, sizes, strict=True)
    )


def divisions(
    family: str, members: int, draw: random.Random
) -> Iterator[dict[str, Any]]:
    """A row for each number of clusters that a random ensemble is divided into."""
    networks = random_ensemble(family, members, draw)
    fewest, _ = reused(networks, None, exact=False)
    for more in range(3):
        number = max(2, fewest) + more
        _, best = reused(networks, number, exact=True)
        _, found = reused(networks, number, exact=False)
        yield {
            "family": family,
            "members": members,
            "more_clusters": more,
            "ratio": found / best,
        }


def summary(ratios: Sequence[float]) -> dict[str, float]:
    return {
        "divisions": len(ratios),
        "share_that_equal": sum(ratio == 1 for ratio in ratios) / len(ratios),
        "mean": sum(ratios) / len(ratios),
        "worst": min(ratios),
    }


def main(argv: list[str]) -> None:
    del argv
    rows, draw = [], random.Random(_SEED.value)
    kinds = (*FAMILIES, MIXED)
    for members, number in (map(int, text.split(":")) for text in _ENSEMBLES.value):
        for i in range(number):
            rows += divisions(kinds[i % len(kinds)], members, draw)
        print(members, summary([row["ratio"] for row in rows]), flush=True)
    results: dict[str, Any] = {"all": summary([row["ratio"] for row in rows])}
    for field in ("family", "members", "more_clusters"):
        values = dict.fromkeys(row[field] for row in rows)
        results[f"by_{field}"] = {
            value: summary([row["ratio"] for row in rows if row[field] == value])
            for value in values
        }
    write_results(_OUT.value, results)


if __name__ == "__main__":
    app.run(main)
